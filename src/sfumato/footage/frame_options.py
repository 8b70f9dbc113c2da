"""Options for selecting pictures from videos and photographs."""

from __future__ import annotations

from dataclasses import dataclass

from sfumato.errors import ConfigError

FEWEST_PICTURES = 3
"""Two pictures have one baseline only: with fewer than three, camera positions cannot be verified."""

FEWEST_FRAMES = 20
MOST_FRAMES = 200

LONGEST_FRAME_SIDE_PX = 1920
"""Full HD: compression and small lenses leave little detail in larger frames."""

LONGEST_PHOTO_SIDE_PX = 2400
"""Photographs are sharper per pixel, and fewer; features are detected at about this size or below."""


@dataclass(frozen=True)
class FrameOptions:
    """Options of the selection of pictures from videos and folders.

    Attributes:
        max_frames: maximum number of frames per video; None: 20 to 200, by how far the camera moves.
        max_photos: maximum number of photographs in total, spread evenly in order of file name; None: all.
        max_side_px: pictures with a longer side are downscaled by area average; None: 1920 for videos,
            2400 for photographs.
        keep_duplicates: keep near-duplicate photographs, and frames of a camera at rest.
    """

    max_frames: int | None = None
    max_photos: int | None = None
    max_side_px: int | None = None
    keep_duplicates: bool = False

    def __post_init__(self) -> None:
        if self.max_frames is not None and self.max_frames < FEWEST_PICTURES:
            raise ConfigError(f"max_frames is {self.max_frames}; give at least {FEWEST_PICTURES}")
        if self.max_photos is not None and self.max_photos < FEWEST_PICTURES:
            raise ConfigError(f"max_photos is {self.max_photos}; give at least {FEWEST_PICTURES}")
        if self.max_side_px is not None and self.max_side_px < 64:
            raise ConfigError(f"max_side_px is {self.max_side_px}; give at least 64")
