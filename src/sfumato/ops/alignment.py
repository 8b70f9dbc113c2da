"""Normal equations of rigid bodies that are aligned to a photograph."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ShapeError
from sfumato.ops import reference
from sfumato.ops.backend import implementation, uses_definition
from sfumato.ops.constants import ALIGNMENT_ENTRIES
from sfumato.ops.operation import operation


@operation("sfumato::alignment")
def _alignment(
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
    return implementation("alignment", offsets).forward(
        offsets, colours, weights, first, positions, rotations, image, camera_from_world, intrinsics
    )


@_alignment.register_fake
def _(offsets, colours, weights, first, positions, rotations, image, camera_from_world, intrinsics):
    return positions.new_empty(positions.shape[0], ALIGNMENT_ENTRIES)


@torch.no_grad()
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
    """Normal equations of the motions of k rigid bodies that align points of known colours to a photograph.

    A point lies at x = position + rotation offset. Its residual r [3] is the colour of the photograph there,
    interpolated bilinearly, minus its own. Points behind the camera or outside the image have no weight.

    Args:
        offsets: [s, 3] offsets of the points from the positions of their bodies, in body frames, scene units;
            the points of one body are consecutive.
        colours: [s, 3] of the points.
        weights: [s] of the points.
        first: [k + 1] int64 rows of ``offsets`` at which the points of each body begin; the last is s.
        positions: [k, 3] positions of the bodies, world frame, scene units.
        rotations: [k, 3, 3] rotations world_from_body.
        image: [h, w, 3] the photograph.
        camera_from_world: [4, 4] pose of the ideal pinhole camera.
        intrinsics: [3, 3] of the camera, pixels.

    Returns:
        [k, 27] the upper triangle of the sum of w J^T J, row by row, and the sum of w J^T r. J [3, 6] holds
        the derivatives of r with respect to a translation of the body and a small rotation about its position
        (both world frame); w = weight / (1 + |r|^2 / c^2) with c ``constants.ALIGNMENT_TOLERANCE``.

    Raises:
        ShapeError: a tensor has another shape, dtype or device, or ``first`` does not ascend from 0 to s.

    Gradients: none.

    Source: Lucas and Kanade 1981, with the weights of Cauchy's robust loss.
    """
    check_shapes(
        like=offsets,
        offsets=(offsets, "s 3"),
        colours=(colours, "s 3"),
        weights=(weights, "s"),
        positions=(positions, "k 3"),
        rotations=(rotations, "k 3 3"),
        image=(image, "h w 3"),
        camera_from_world=(camera_from_world, "4 4"),
        intrinsics=(intrinsics, "3 3"),
    )
    check_shapes(first=(first, f"{len(positions) + 1}"))
    if first.dtype != torch.int64 or first.device != offsets.device:
        raise ShapeError(
            f"first is {first.dtype} on {first.device}, expected torch.int64 on {offsets.device}"
        )
    if int(first[0]) or int(first[-1]) != len(offsets) or (first.diff() < 0).any():
        raise ShapeError(f"first does not ascend from 0 to the {len(offsets)} points")
    inputs = offsets, colours, weights, first, positions, rotations, image, camera_from_world, intrinsics
    return reference.alignment(*inputs) if uses_definition(offsets) else _alignment(*inputs)
