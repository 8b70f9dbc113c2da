"""Selection by masks of views, projected onto the Gaussians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ConfigError
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians

SHARE = 0.7


@dataclass(frozen=True)
class MaskedView:
    """A mask and its camera.

    Attributes:
        camera: an ideal pinhole.
        mask: [h, w] bool of the camera's size, True where marked.
    """

    camera: Camera
    mask: Tensor


def in_masks(gaussians: Gaussians, views: Sequence[MaskedView], share: float = SHARE) -> Tensor:
    """Select Gaussians whose centre is marked in enough of the pictures that contain it.

    Occlusion is ignored: a point behind a marked object is marked in one picture but not in others, so views
    from several sides separate the two.

    Args:
        gaussians: the scene.
        views: pictures with masks.
        share: least fraction of marked pictures among those in whose frame the centre lies.

    Returns:
        [n] bool; False for centres in no picture.

    Raises:
        ConfigError: there is no view, ``share`` is not in (0, 1], or a camera is not a pinhole.
        ShapeError: a mask has another size than its camera.
    """
    if not views:
        raise ConfigError("masks: there is no picture with a mask; give at least one")
    if not 0 < share <= 1:
        raise ConfigError(f"masks: share is {share}; give a number above 0, up to 1")
    inside = torch.zeros(len(gaussians), dtype=torch.int32)
    marked = torch.zeros(len(gaussians), dtype=torch.int32)
    for view in views:
        rows, row_px, column_px = _pixels(gaussians.means.detach().double(), view)
        inside[rows] += 1
        marked[rows] += view.mask[row_px, column_px].int()
    return (inside > 0) & (marked >= share * inside)


def _pixels(means: Tensor, view: MaskedView) -> tuple[Tensor, Tensor, Tensor]:
    """Which means lie in a picture, and the row and column of their pixels."""
    camera = view.camera
    if not camera.lens.is_pinhole:
        raise ConfigError(f"masks: the lens is {camera.lens.model!r}; undistort the pictures first")
    check_shapes(mask=(view.mask, f"{camera.height} {camera.width}"))
    pose = camera.camera_from_world.double()
    x, y, z = (means @ pose[:3, :3].T + pose[:3, 3]).unbind(1)
    in_front = z > 0
    depth = torch.where(in_front, z, 1.0)
    column = torch.floor(camera.focal_px[0] * x / depth + camera.centre_px[0])
    row = torch.floor(camera.focal_px[1] * y / depth + camera.centre_px[1])
    seen = in_front & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    return seen.nonzero()[:, 0], row[seen].long(), column[seen].long()
