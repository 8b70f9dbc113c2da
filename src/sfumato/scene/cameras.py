"""Cameras: a rigid pose, intrinsics in pixels and a lens."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.checks import check_finite, check_shapes, check_type, number, pair, whole_number
from sfumato.errors import ConfigError, ShapeError
from sfumato.maths.rigid import centre_of
from sfumato.scene.lenses import PINHOLE, Lens, check_lens
from sfumato.scene.shutter import Shutter


@dataclass(frozen=True)
class Camera:
    """One view of the world. OpenCV axes: x right, y down, z forward.

    Attributes:
        camera_from_world: [4, 4] rigid transform, float32 or float64.
        focal_px:          (fx, fy).
        centre_px:         (cx, cy) principal point; the centre of pixel (0, 0) is (0.5, 0.5).
        size_px:           (width, height).
        lens:              map from directions to the image plane; an ideal pinhole by default.
        shutter:           rolling shutter, whose first line is read out at ``camera_from_world``; None
                           for a global shutter.

    Raises:
        ShapeError: a pose is not a [4, 4] tensor of floats, or the two differ in dtype or device.
        ConfigError: a number is not finite, a size or focal length is not positive or not a pair, or the lens
            is unknown.
    """

    camera_from_world: Tensor
    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    size_px: tuple[int, int]
    lens: Lens = PINHOLE
    shutter: Shutter | None = None

    def __post_init__(self) -> None:
        check_shapes(camera_from_world=(self.camera_from_world, "4 4"))
        if not self.camera_from_world.is_floating_point():
            raise ShapeError(f"camera_from_world is {self.camera_from_world.dtype}; a pose needs floats")
        for name, convert in (("focal_px", number), ("centre_px", number), ("size_px", whole_number)):
            object.__setattr__(self, name, pair(name, getattr(self, name), convert))
        check_finite("camera_from_world", self.camera_from_world)
        if min(self.size_px) < 1 or min(self.focal_px) <= 0:
            raise ConfigError(f"size_px {self.size_px} and focal_px {self.focal_px} must be positive")
        if not all(map(math.isfinite, (*self.focal_px, *self.centre_px))):
            raise ConfigError(f"focal_px {self.focal_px} and centre_px {self.centre_px} must be finite")
        check_type("lens", self.lens, Lens)
        check_lens(self.lens)
        if self.shutter is not None:
            check_type("shutter", self.shutter, Shutter)
            end = self.shutter.camera_from_world_end
            check_shapes(like=self.camera_from_world, camera_from_world_end=(end, "4 4"))

    def __repr__(self) -> str:
        parts = [
            f"{self.width}x{self.height} px",
            "focal {:g}, {:g} px".format(*self.focal_px),
            self.lens.model,
        ]
        if self.shutter is not None:
            parts.append(f"rolling shutter {self.shutter.direction}")
        return f"Camera({', '.join(parts)})"

    @property
    def width(self) -> int:
        return self.size_px[0]

    @property
    def height(self) -> int:
        return self.size_px[1]

    @property
    def intrinsics(self) -> Tensor:
        """[3, 3] float64 matrix K, pixels."""
        (fx, fy), (cx, cy) = self.focal_px, self.centre_px
        return torch.tensor([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]], dtype=torch.float64)

    @property
    def centre_world(self) -> Tensor:
        """[3] position of the camera in the world frame, scene units."""
        return centre_of(self.camera_from_world)

    @property
    def half_image(self) -> float:
        """Length that half of the image spans at distance 1, the geometric mean of both axes."""
        width, height = (0.5 * side / focal for side, focal in zip(self.size_px, self.focal_px, strict=True))
        return math.sqrt(width * height)

    def resized(self, width: int, height: int) -> Camera:
        """The same camera with its image resampled to ``width`` x ``height`` pixels."""
        if (width, height) == self.size_px:
            return self
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            focal_px=(self.focal_px[0] * sx, self.focal_px[1] * sy),
            centre_px=(self.centre_px[0] * sx, self.centre_px[1] * sy),
            size_px=(width, height),
        )

    def cropped(self, left: int, top: int, width: int, height: int) -> Camera:
        """The same camera with its image cropped; the crop's first pixel is (left, top)."""
        return replace(
            self, centre_px=(self.centre_px[0] - left, self.centre_px[1] - top), size_px=(width, height)
        )
