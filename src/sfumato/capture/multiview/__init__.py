"""Multi-view videos: one scene filmed by several static cameras."""

from __future__ import annotations

from sfumato.capture.multiview.load_rig import load_multiview
from sfumato.capture.multiview.multiview_video import MultiViewVideo, RigCamera

__all__ = ["MultiViewVideo", "RigCamera", "load_multiview"]
