"""Poses of Gaussians that are fixed to moving frames, and their gradients."""

import numpy as np
import torch
from numba import prange

from sfumato.ops.cpu.arrays import as_array, as_tensors
from sfumato.ops.cpu.jit import kernel, scalar
from sfumato.ops.cpu.quaternions import product, quat_gradient, rotation, through_unit, unit

# Gradients of a Gaussian to its frame: to the mean and to the quaternion.
_PARTS = 7


@scalar
def _conjugate(quat):
    return quat[0], -quat[1], -quat[2], -quat[3]


@scalar
def _row(values, i):
    return values[i, 0], values[i, 1], values[i, 2], values[i, 3]


@kernel
def motion_forward(means, quats, frame_means, frame_quats, rest_means, rest_quats, frames, moved, turned):
    """Fill the means [n, 3] and quaternions [n, 4] now."""
    for i in prange(means.shape[0]):
        j = frames[i]
        _, w, x, y, z = unit(frame_quats, j)
        turn = product((w, x, y, z), _conjugate(_row(rest_quats, j)))
        rows = rotation(turn[0], turn[1], turn[2], turn[3])
        a, b, c = (
            means[i, 0] - rest_means[j, 0],
            means[i, 1] - rest_means[j, 1],
            means[i, 2] - rest_means[j, 2],
        )
        for m, row in enumerate(rows):
            moved[i, m] = frame_means[j, m] + row[0] * a + row[1] * b + row[2] * c
        for m, value in enumerate(product(turn, _row(quats, i))):
            turned[i, m] = value


@kernel
def motion_backward(
    grad_moved, grad_turned, means, quats, frame_quats, rest_means, rest_quats, frames,
    grad_means, grad_quats, parts,
):  # fmt: skip
    """Fill the gradients to the Gaussians, and those [n, 7] of each to its frame."""
    for i in prange(means.shape[0]):
        j = frames[i]
        inverse, w, x, y, z = unit(frame_quats, j)
        rest = _row(rest_quats, j)
        turn = product((w, x, y, z), _conjugate(rest))
        r0, r1, r2 = rotation(turn[0], turn[1], turn[2], turn[3])
        a, b, c = (
            means[i, 0] - rest_means[j, 0],
            means[i, 1] - rest_means[j, 1],
            means[i, 2] - rest_means[j, 2],
        )
        g0, g1, g2 = grad_moved[i, 0], grad_moved[i, 1], grad_moved[i, 2]
        grad_means[i, 0] = r0[0] * g0 + r1[0] * g1 + r2[0] * g2
        grad_means[i, 1] = r0[1] * g0 + r1[1] * g1 + r2[1] * g2
        grad_means[i, 2] = r0[2] * g0 + r1[2] * g1 + r2[2] * g2
        grad, quat = _row(grad_turned, i), _row(quats, i)
        # A product is linear in both factors; its transpose is the product with the conjugate.
        for m, value in enumerate(product(_conjugate(turn), grad)):
            grad_quats[i, m] = value
        # The rotated shift is R d: the gradient to R is g d^T, column by column.
        by_mean = quat_gradient(
            turn, (g0 * a, g1 * a, g2 * a), (g0 * b, g1 * b, g2 * b), (g0 * c, g1 * c, g2 * c)
        )
        by_quat = product(grad, _conjugate(quat))
        to_turn = (
            by_mean[0] + by_quat[0],
            by_mean[1] + by_quat[1],
            by_mean[2] + by_quat[2],
            by_mean[3] + by_quat[3],
        )
        to_frame = through_unit(product(to_turn, rest), (w, x, y, z), inverse)
        parts[i, 0], parts[i, 1], parts[i, 2] = g0, g1, g2
        for m, value in enumerate(to_frame):
            parts[i, 3 + m] = value


@kernel
def add_to_frames(parts, frames, grad_frame_means, grad_frame_quats):
    """Add the parts of the Gaussians of each frame, in their order."""
    for i in range(parts.shape[0]):
        j = frames[i]
        for m in range(3):
            grad_frame_means[j, m] += parts[i, m]
        for m in range(4):
            grad_frame_quats[j, m] += parts[i, 3 + m]


def forward(means, quats, frame_means, frame_quats, rest_means, rest_quats, frames):
    """See sfumato.ops.rigid_motion."""
    inputs = means, quats, frame_means, frame_quats, rest_means, rest_quats, frames
    moved, turned = torch.empty_like(means), torch.empty_like(quats)
    motion_forward(*map(as_array, inputs), as_array(moved), as_array(turned))
    return moved, turned


def backward(grad_means, grad_quats, means, quats, frame_quats, rest_means, rest_quats, frames):
    """Gradients to the means and quaternions, of the Gaussians and of the frames."""
    inputs = grad_means, grad_quats, means, quats, frame_quats, rest_means, rest_quats, frames
    n, m = len(means), len(frame_quats)
    own = np.empty((n, 3), np.float32), np.empty((n, 4), np.float32)
    of_frames = np.zeros((m, 3), np.float32), np.zeros((m, 4), np.float32)
    parts = np.empty((n, _PARTS), np.float32)
    motion_backward(*map(as_array, inputs), *own, parts)
    add_to_frames(parts, as_array(frames), *of_frames)
    return tuple(as_tensors([*own, *of_frames]))
