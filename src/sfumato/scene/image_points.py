"""Projection of world points to pixels, the inverse of ``camera_rays``."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.scene.cameras import Camera
from sfumato.scene.shutter import Shutter, pose_between
from sfumato.scene.unprojection import distort_directions

# Each iteration multiplies the error by the fraction of the image that a point crosses during the read-out.
_ROUNDS = 12
_CLOSE_PX = 1e-4


@torch.no_grad()
def image_points(camera: Camera, points: Tensor) -> tuple[Tensor, Tensor]:
    """Project points to pixels, also outside the image.

    With a rolling shutter a point is seen by the line (row or column) whose pose projects it to that line;
    outside the image, by the first or the last line.

    Args:
        camera: any lens, with a rolling shutter or without.
        points: [m, 3] world frame, scene units.

    Returns:
        Pixels [m, 2], NaN where the lens has no projection; camera z [m] at mid exposure, scene units.

    Raises:
        ShapeError: the points have another shape.
        ConfigError: the shutter's poses are 180 degrees apart.

    Gradients: none.

    Source: the fixed point of Wu et al. 2025, section 4.2, for rolling shutters.
    """
    check_shapes(points=(points, "m 3"))
    exact = points.double()
    if camera.shutter is None:
        pose = camera.camera_from_world.to(exact)
        seen = exact @ pose[:3, :3].T + pose[:3, 3]
        return _pixels_of(camera, seen).to(points), seen[:, 2].to(points)
    pixels, seen = _rolling(camera, camera.shutter, exact)
    return pixels.to(points), seen[:, 2].to(points)


def _rolling(camera: Camera, shutter: Shutter, points: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels [m, 2], and the points [m, 3] in the camera's frame at mid exposure."""
    axis, lines = (1, camera.height) if shutter.reads_rows else (0, camera.width)
    ends = camera.camera_from_world.to(points), shutter.camera_from_world_end.to(points)
    rotations, centres = pose_between(*ends, shutter.times(lines))

    def seen_from(line: Tensor, points: Tensor) -> Tensor:
        first = line.floor().long().clamp(0, max(lines - 2, 0))
        second = (first + 1).clamp_max(lines - 1)
        share = (line - first)[:, None]
        away = points - torch.lerp(centres[first], centres[second], share)
        # Neighbouring lines differ so little that linear interpolation of their matrices is nearly a
        # rotation.
        rotation = torch.lerp(rotations[first], rotations[second], share[..., None])
        return (rotation @ away[..., None])[..., 0]

    line = points.new_full((len(points),), 0.5 * (lines - 1))
    seen_middle = seen_from(line, points)
    pixels, moving = _pixels_of(camera, seen_middle), torch.arange(len(points), device=points.device)
    for _ in range(_ROUNDS):
        there = pixels[moving, axis]
        next_line = torch.where(there.isnan(), line[moving], there - 0.5).clamp(0, lines - 1)
        far = (next_line - line[moving]).abs() > _CLOSE_PX
        moving, next_line = moving[far], next_line[far]
        if not len(moving):
            break
        line[moving] = next_line
        pixels[moving] = _pixels_of(camera, seen_from(next_line, points[moving]))
    return pixels, seen_middle


def _pixels_of(camera: Camera, seen: Tensor) -> Tensor:
    """Pixels [m, 2] of points [m, 3] in the camera's frame."""
    if camera.lens.model == "ortho":
        flat = seen[:, :2]
    else:
        # Lens formulas are implemented in NumPy.
        flat = torch.from_numpy(distort_directions(camera.lens, seen.cpu().numpy())).to(seen)
    return flat * flat.new_tensor(camera.focal_px) + flat.new_tensor(camera.centre_px)
