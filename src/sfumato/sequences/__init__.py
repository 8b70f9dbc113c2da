"""Multi-view videos from what cameras record: videos are decoded, and uncalibrated rigs calibrated."""

from __future__ import annotations

from sfumato.sequences.load_sequence import load_sequence

__all__ = ["load_sequence"]
