"""Photographs with cameras, as they are trained on."""

from sfumato.capture.dataset import Capture, View, load_capture
from sfumato.capture.pixels import Pixels
from sfumato.capture.points import PointCloud

__all__ = ["Capture", "Pixels", "PointCloud", "View", "load_capture"]
