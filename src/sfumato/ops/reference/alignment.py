"""Definition of the normal equations of rigid bodies that are aligned to a photograph."""

import torch
from torch import Tensor

from sfumato.ops.constants import ALIGNMENT_ENTRIES, ALIGNMENT_TOLERANCE


def alignment(
    offsets: Tensor,
    colours: Tensor,
    weights: Tensor,
    first: Tensor,
    positions: Tensor,
    rotations: Tensor,
    image: Tensor,
    camera_from_world: Tensor,
    intrinsics: Tensor,
) -> Tensor:
    """Normal equations [k, 27] of k bodies; see :func:`sfumato.ops.alignment`.

    Args:
        offsets, colours, weights: [s, 3], [s, 3], [s] of the points.
        first: [k + 1] int64 rows at which the points of each body begin.
        positions, rotations: [k, 3], [k, 3, 3] of the bodies.
        image: [h, w, 3] the photograph.
        camera_from_world, intrinsics: [4, 4], [3, 3] of the camera.

    Source: Lucas and Kanade 1981.
    """
    bodies = torch.repeat_interleave(torch.arange(len(positions), device=offsets.device), first.diff())
    offset = torch.einsum("sab,sb->sa", rotations[bodies], offsets)
    rotation = camera_from_world[:3, :3]
    x = (offset + positions[bodies]) @ rotation.T + camera_from_world[:3, 3]
    z = torch.where(x[:, 2] > 0, x[:, 2], 1.0)
    focal = intrinsics.diagonal()[:2]
    pixel = focal * x[:, :2] / z[:, None] + intrinsics[:2, 2]
    height, width = image.shape[:2]
    limit = pixel.new_tensor([width, height]) - 0.5
    inside = (x[:, 2] > 0) & ((pixel > 0.5) & (pixel < limit)).all(1)
    pixel = torch.where(inside[:, None], pixel, 0.5)
    colour, slope = _sampled(image, pixel)
    residual = colour - colours

    zero = torch.zeros_like(z)
    across = torch.stack([focal[0] / z, zero, -focal[0] * x[:, 0] / z**2], 1)
    down = torch.stack([zero, focal[1] / z, -focal[1] * x[:, 1] / z**2], 1)
    by_translation = slope @ torch.stack([across, down], 1) @ rotation
    # A small rotation vector t moves the point by the cross product of t and offset.
    by_rotation = torch.linalg.cross(offset[:, None].expand_as(by_translation), by_translation)
    jacobian = torch.cat([by_translation, by_rotation], 2)
    weight = weights * inside / (1 + residual.square().sum(1) / ALIGNMENT_TOLERANCE**2)
    squares = torch.einsum("s,sci,scj->sij", weight, jacobian, jacobian)
    row, column = torch.triu_indices(6, 6)
    entries = torch.cat(
        [squares[:, row, column], torch.einsum("s,sci,sc->si", weight, jacobian, residual)], 1
    )
    return positions.new_zeros(len(positions), ALIGNMENT_ENTRIES).index_add(0, bodies, entries)


def _sampled(image: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor]:
    """Bilinear samples [s, 3] of an image, and their derivatives [s, 3, 2] with respect to x and y."""
    height, width = image.shape[:2]
    corner = (pixel - 0.5).floor().long()
    column, row = corner[:, 0].clamp(max=max(width - 2, 0)), corner[:, 1].clamp(max=max(height - 2, 0))
    a, b = (pixel[:, 0] - 0.5 - column)[:, None], (pixel[:, 1] - 0.5 - row)[:, None]
    right, below = (column + 1).clamp(max=width - 1), (row + 1).clamp(max=height - 1)
    upper = image[row, right] - image[row, column]
    lower = image[below, right] - image[below, column]
    top, bottom = image[row, column] + a * upper, image[below, column] + a * lower
    return top + b * (bottom - top), torch.stack([upper + b * (lower - upper), bottom - top], 2)
