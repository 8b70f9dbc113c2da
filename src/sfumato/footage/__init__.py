"""Pictures for a reconstruction, taken from videos and photographs."""

from sfumato.footage.footage import gather
from sfumato.footage.options import FrameOptions
from sfumato.footage.records import Dropped, Footage, Picture, made_by, read_footage

__all__ = ["Dropped", "Footage", "FrameOptions", "Picture", "gather", "made_by", "read_footage"]
