"""The depth of the surface that a view of a scene shows, where it is certain."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato import ops
from sfumato.errors import ConfigError
from sfumato.ops.constants import BLUR_PX2
from sfumato.render.projection import ellipses_of
from sfumato.render.rasterize import rasterize
from sfumato.render.settings import RasterSettings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.lenses import PINHOLE

# Long side of the images; their noise is averaged over many views.
SIDE_PX = 320
# Width of a bin of the histogram along each ray, as a share of the depth, and the most bins.
_BIN, _MOST_BINS = 0.025, 96
# A pixel has a surface if at least this much of its ray is blocked, and at least this share of that within
# three bins.
_LEAST_ALPHA, _LEAST_SHARE = 0.8, 0.6
# Gaussians outside these quantiles of depth count as in the first or last bin.
_TAIL = 0.001


@dataclass(frozen=True)
class ViewDepth:
    """A rendered view: depth and image.

    Attributes:
        camera: pinhole of the images.
        depth: [h, w] camera z of the surface at the pixels' centres, scene units; 0 where there is none.
        image: [h, w, 3] colours in [0, 1].
    """

    camera: Camera
    depth: Tensor
    image: Tensor

    def pixels_of(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """The pixels in which points of the camera's frame lie.

        Args:
            x, y, z: [...] camera frame, scene units.

        Returns:
            [...] int64 rows of the flattened images, 0 outside; and [...] whether they lie within the images.
        """
        height, width = self.depth.shape
        (focal_x, focal_y), (centre_x, centre_y) = self.camera.focal_px, self.camera.centre_px
        safe = z.clamp_min(torch.finfo(torch.float32).tiny)
        column, row = (x / safe * focal_x + centre_x).floor(), (y / safe * focal_y + centre_y).floor()
        within = (z > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
        return torch.where(within, row * width + column, 0.0).long(), within


def view_depth(gaussians: Gaussians, camera: Camera, settings: RasterSettings) -> ViewDepth:
    """Render the depth of the surface that a view shows.

    The blending weights of the Gaussians are accumulated in bins of the logarithm of their depth, each split
    between the two nearest bins. The depth is the mean over three bins, around the bin in which half of the
    opacity is reached: at edges it lies on one surface, like the median, whereas the mean over the whole ray
    lies between two. Pixels in which these bins hold little of the opacity, at edges and in haze, have none.

    Args:
        gaussians: the scene.
        camera: a pinhole, of any size.
        settings: of the rasterizer, at the camera's size.
    """
    scale = min(1.0, SIDE_PX / max(camera.size_px))
    width, height = (max(1, round(side * scale)) for side in camera.size_px)
    small = camera.resized(width, height)
    settings = replace(settings, blur_px2=settings.blur_px2 * scale**2, depth=False)
    image = rasterize(gaussians, small, settings).image.clamp(0, 1)
    projected, opacities, _ = ellipses_of(gaussians, small, settings)
    visible = projected.radius_px[:, 0] > 0
    if not visible.any():
        return ViewDepth(small, image.new_zeros(height, width), image)
    logs = projected.depth.clamp_min(torch.finfo(image.dtype).tiny).log()
    low, high = _quantiles(logs[visible])
    count = min(_MOST_BINS, max(4, math.ceil((high - low) / _BIN) + 1))
    step = max((high - low) / (count - 1), _BIN)
    place = ((logs - low) / step).clamp(0, count - 1 - 1e-4)
    first = place.floor().long()[:, None]
    share, drawn = place[:, None] - first, visible[:, None].to(place)
    bins = image.new_zeros(len(place), count)
    bins.scatter_(1, first, drawn * (1 - share)).scatter_(1, first + 1, drawn * share)
    weights, alpha = ops.composite(
        projected.mean_px,
        projected.conic,
        opacities,
        bins,
        projected.depth,
        projected.radius_px,
        bins.new_zeros(count),
        width=width,
        height=height,
    )
    middle, inside = _around_median(weights, alpha)
    is_sure = (alpha > _LEAST_ALPHA) & (inside > _LEAST_SHARE * alpha)
    return ViewDepth(small, torch.where(is_sure, (low + step * middle).exp(), 0.0), image)


def _quantiles(logs: Tensor) -> tuple[float, float]:
    """The lowest and the highest depth of the bins."""
    ordered = logs.sort().values
    last = len(ordered) - 1
    return float(ordered[int(_TAIL * last)]), float(ordered[last - int(_TAIL * last)])


def _around_median(weights: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """[h, w] the mean place around the bin of the median, in bins, and the weight that it is the mean of."""
    reached = weights.cumsum(-1) < 0.5 * alpha[..., None]
    median = reached.sum(-1).clamp_max(weights.shape[-1] - 1)
    padded = torch.nn.functional.pad(weights, (1, 1))
    near = torch.stack([padded.gather(-1, (median + side)[..., None])[..., 0] for side in range(3)], -1)
    inside = near.sum(-1)
    return median + (near[..., 2] - near[..., 0]) / inside.clamp_min(1e-6), inside


def pinholes(camera: Camera) -> Iterator[Camera]:
    """Pinhole cameras in the place of a camera, whose renders need no lens.

    Args:
        camera: of a training view. A panorama has six pinholes; of another lens the pinhole has the pose and
            focal length, and of a rolling shutter the pose of the first line.

    Raises:
        ConfigError: it is orthographic.
    """
    model = camera.lens.model
    if model == "ortho":
        raise ConfigError("orthographic cameras show no distances; a mesh needs views in perspective")
    if model != "equirectangular":
        yield replace(camera, lens=PINHOLE, shutter=None)
        return
    side = max(1, camera.height // 2)
    half = side / 2
    for axis, angle in ((1, 0), (1, 1), (1, 2), (1, 3), (0, 1), (0, 3)):
        pose = _turned(axis, angle).to(camera.camera_from_world) @ camera.camera_from_world
        yield Camera(pose, (half, half), (half, half), (side, side))


def _turned(axis: int, quarters: int) -> Tensor:
    """[4, 4] rotation about x (0) or y (1) by quarter turns."""
    turn = torch.eye(4, dtype=torch.float64)
    one, other = (1, 2) if axis == 0 else (2, 0)
    cos, sin = (1, 0, -1, 0)[quarters], (0, 1, 0, -1)[quarters]
    turn[one, one] = turn[other, other] = cos
    turn[one, other], turn[other, one] = -sin, sin
    return turn


def raster_settings(settings: object) -> RasterSettings:
    """Settings by which the depth of a run's scene is rendered, whatever its renderer."""
    if type(settings) is RasterSettings:
        return settings
    return RasterSettings(background=getattr(settings, "background", (0.0, 0.0, 0.0)), blur_px2=BLUR_PX2)
