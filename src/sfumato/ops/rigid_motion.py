"""Poses of Gaussians that are fixed to moving frames."""

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ShapeError
from sfumato.ops import reference
from sfumato.ops.backend import HOST, implementation, uses_definition
from sfumato.ops.operation import operation


@operation("sfumato::rigid_motion")
def _rigid_motion(
    means: Tensor,
    quats: Tensor,
    frame_means: Tensor,
    frame_quats: Tensor,
    rest_means: Tensor,
    rest_quats: Tensor,
    frames: Tensor,
) -> tuple[Tensor, Tensor]:
    return implementation("rigid_motion", means).forward(
        means, quats, frame_means, frame_quats, rest_means, rest_quats, frames
    )


@_rigid_motion.register_fake
def _(means, quats, frame_means, frame_quats, rest_means, rest_quats, frames):
    return torch.empty_like(means), torch.empty_like(quats)


@operation("sfumato::rigid_motion_backward")
def _rigid_motion_backward(
    grad_means: Tensor,
    grad_quats: Tensor,
    means: Tensor,
    quats: Tensor,
    frame_quats: Tensor,
    rest_means: Tensor,
    rest_quats: Tensor,
    frames: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return implementation("rigid_motion", means).backward(
        grad_means, grad_quats, means, quats, frame_quats, rest_means, rest_quats, frames
    )


@_rigid_motion_backward.register_fake
def _(grad_means, grad_quats, means, quats, frame_quats, rest_means, rest_quats, frames):
    like = means, quats, rest_means, frame_quats
    return tuple(torch.empty_like(tensor) for tensor in like)


def _setup(ctx, inputs, output):
    means, quats, _, frame_quats, rest_means, rest_quats, frames = inputs
    ctx.save_for_backward(means, quats, frame_quats, rest_means, rest_quats, frames)


def _backward(ctx, grad_means, grad_quats):
    return *_rigid_motion_backward(grad_means, grad_quats, *ctx.saved_tensors), None, None, None


_rigid_motion.register_autograd(_backward, setup_context=_setup)


def rigid_motion(
    means: Tensor,
    quats: Tensor,
    frame_means: Tensor,
    frame_quats: Tensor,
    rest_means: Tensor,
    rest_quats: Tensor,
    frames: Tensor,
) -> tuple[Tensor, Tensor]:
    """Poses of Gaussians that move with rigid frames.

    Args:
        means: [n, 3] at rest, world frame, scene units.
        quats: [n, 4] at rest, world_from_local as (w, x, y, z), any non-zero length.
        frame_means: [m, 3] origins of the frames now.
        frame_quats: [m, 4] rotations of the frames now, any non-zero length.
        rest_means: [m, 3] origins of the frames at rest; no gradient.
        rest_quats: [m, 4] rotations of the frames at rest, of length one; no gradient.
        frames: [n] int64 row of the frame of each Gaussian.

    Returns:
        [n, 3] means and [n, 4] quaternions now, of the lengths of ``quats``.

    Raises:
        ShapeError: a tensor has another shape, dtype or device, or ``frames`` are not rows.

    Gradients: means, quats, frame_means, frame_quats (through their normalisation).
    """
    check_shapes(
        like=means,
        means=(means, "n 3"),
        quats=(quats, "n 4"),
        frame_means=(frame_means, "m 3"),
        frame_quats=(frame_quats, "m 4"),
        rest_means=(rest_means, "m 3"),
        rest_quats=(rest_quats, "m 4"),
    )
    check_shapes(frames=(frames, f"{len(means)}"))
    if frames.dtype != torch.int64 or frames.device != means.device:
        raise ShapeError(
            f"frames are {frames.dtype} on {frames.device}, expected torch.int64 on {means.device}"
        )
    if frames.numel() and not 0 <= int(frames.min()) <= int(frames.max()) < len(frame_means):
        raise ShapeError(f"frames are not rows from 0 to {len(frame_means) - 1}")
    inputs = means, quats, frame_means, frame_quats, rest_means, rest_quats, frames
    # On a GPU plain torch serves: a few operations on thousands of rows.
    if uses_definition(means) or means.device != HOST:
        return reference.rigid_motion(*inputs)
    return _rigid_motion(*inputs)
