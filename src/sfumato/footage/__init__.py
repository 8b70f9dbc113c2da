"""Pictures for a reconstruction, taken from videos and photographs."""

from typing import TYPE_CHECKING, Any

from sfumato.footage.frame_options import FrameOptions
from sfumato.footage.frames_file import Dropped, Footage, Picture, read_footage

if TYPE_CHECKING:
    from sfumato.footage.footage import gather

__all__ = ["Dropped", "Footage", "FrameOptions", "Picture", "gather", "read_footage"]


def __getattr__(name: str) -> Any:
    # Imported on first use: the decoders are slow to load, and many processes need only the records.
    if name == "gather":
        from sfumato.footage.footage import gather

        globals()[name] = gather
        return gather
    raise AttributeError(f"module 'sfumato.footage' has no attribute {name!r}")
