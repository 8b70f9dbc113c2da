"""Multi-view videos from recordings: videos are decoded, and uncalibrated rigs are calibrated."""

from __future__ import annotations

from sfumato.sequences.load_sequence import load_sequence

__all__ = ["load_sequence"]
