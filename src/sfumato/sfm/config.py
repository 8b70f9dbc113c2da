"""Every option of structure from motion: one frozen record, one default each, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sfumato.choices import check_choices
from sfumato.errors import ConfigError


@dataclass(frozen=True)
class SfmConfig:
    """How cameras are found from pictures.

    Attributes:
        seed: of all random numbers; the same seed and pictures give the same cameras and points.
        minutes: time budget; with many pictures, fewer features are detected and pictures that do not fit the
            budget are left out, with a message; None: unlimited.
        feature_side_px: long side of the reduced pictures in which features are detected; None: chosen by the
            number of pictures.
        max_features: maximum number of features per picture; None: chosen by the number of pictures.
        pairs: which pictures are matched: neighbours in a video and similar pictures (sequential), similar
            pictures (retrieval), all pairs (exhaustive); auto chooses by the number of pictures.
        camera_model: COLMAP camera model of every camera; auto: OPENCV with eight pictures or more,
            else SIMPLE_RADIAL.
        poses: use of the cameras of a posed dataset: keep, refine or re-estimate them.
        upright: turn the world so that gravity points along +y, the down direction of splat viewers, and
            align it with recorded GPS positions, in metres with +z to the north.
        known_distance: two pictures and the distance between their cameras, which sets the scale and
            overrides GPS: FIRST SECOND DISTANCE.
    """

    seed: int = 0
    minutes: float | None = None
    feature_side_px: int | None = None
    max_features: int | None = None
    pairs: Literal["auto", "sequential", "retrieval", "exhaustive"] = "auto"
    camera_model: Literal["auto", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE"] = "auto"
    poses: Literal["keep", "refine", "estimate"] = "keep"
    upright: bool = True
    known_distance: tuple[str, str, float] | None = None

    def __post_init__(self) -> None:
        check_choices(self, "sfm.")
        if self.minutes is not None and not self.minutes > 0:
            raise ConfigError(f"sfm.minutes is {self.minutes}; give more than 0")
        if self.feature_side_px is not None and not 64 <= self.feature_side_px <= 10_000:
            raise ConfigError(f"feature_side_px is {self.feature_side_px}; give 64 to 10000")
        if self.max_features is not None and not 100 <= self.max_features <= 32_768:
            raise ConfigError(f"max_features is {self.max_features}; give 100 to 32768")
        if self.known_distance is not None:
            first, second, distance = self.known_distance
            if not 0 < distance < 1e9:
                raise ConfigError(f"known_distance is {distance}; give more than 0")
            if first == second:
                raise ConfigError(f"known_distance names {first!r} twice; give two pictures")
