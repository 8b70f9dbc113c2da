"""Videos of one scene by several cameras that stand still."""

from __future__ import annotations

from sfumato.capture.multiview.load_rig import load_multiview
from sfumato.capture.multiview.multiview_video import MultiViewVideo, RigCamera

__all__ = ["MultiViewVideo", "RigCamera", "load_multiview"]
