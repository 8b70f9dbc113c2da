"""Normal equations for aligning rigid bodies to a photograph.

One thread sums the points of a body in order, so the result is bit-identical for any number of threads.
"""

import numpy as np
import torch
from numba import prange

from sfumato.ops.constants import ALIGNMENT_ENTRIES, ALIGNMENT_TOLERANCE
from sfumato.ops.cpu.arrays import as_array
from sfumato.ops.cpu.jit import kernel, scalar

_INVERSE2 = 1.0 / ALIGNMENT_TOLERANCE**2


@scalar
def _sampled(image, column, row, a, b, channel):
    """A channel interpolated bilinearly between four pixels, and its horizontal and vertical derivative."""
    first, second = image[row, column, channel], image[row, column + 1, channel]
    third, fourth = image[row + 1, column, channel], image[row + 1, column + 1, channel]
    top, bottom = first + a * (second - first), third + a * (fourth - third)
    return top + b * (bottom - top), (second - first) + b * (fourth - third - second + first), bottom - top


@scalar
def _transposed_times(matrix, x, y, z):
    """The upper left 3x3 block of a matrix, transposed, times a vector."""
    return (
        matrix[0, 0] * x + matrix[1, 0] * y + matrix[2, 0] * z,
        matrix[0, 1] * x + matrix[1, 1] * y + matrix[2, 1] * z,
        matrix[0, 2] * x + matrix[1, 2] * y + matrix[2, 2] * z,
    )


@scalar
def _times(matrix, x, y, z):
    return (
        matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z,
        matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z,
        matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z,
    )


@kernel
def add_equations(offsets, colours, weights, first, places, turns, image, pose, intrinsics, sums):
    """Add the points of each body to its sums [k, 27]."""
    height, width = image.shape[0], image.shape[1]
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    for body in prange(places.shape[0]):
        u, v = np.zeros(6), np.zeros(6)
        for s in range(first[body], first[body + 1]):
            ax, ay, az = _times(turns[body], offsets[s, 0], offsets[s, 1], offsets[s, 2])
            x, y, z = _times(pose, ax + places[body, 0], ay + places[body, 1], az + places[body, 2])
            x, y, z = x + pose[0, 3], y + pose[1, 3], z + pose[2, 3]
            if not z > 0.0:
                continue
            across, down = fx * x / z + cx, fy * y / z + cy
            if not (0.5 < across < width - 0.5 and 0.5 < down < height - 0.5):
                continue
            column, row = min(int(across - 0.5), width - 2), min(int(down - 0.5), height - 2)
            # Sums over channels of residual^2, of products of image derivatives, and of derivative *
            # residual.
            squared, uu, uv, vv, ur, vr = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for channel in range(3):
                colour, du, dv = _sampled(
                    image, column, row, across - 0.5 - column, down - 0.5 - row, channel
                )
                residual = colour - colours[s, channel]
                squared += residual * residual
                uu, uv, vv = uu + du * du, uv + du * dv, vv + dv * dv
                ur, vr = ur + du * residual, vr + dv * residual
            weight = weights[s] / (1.0 + squared * _INVERSE2)
            # Derivatives of the pixel with respect to a translation and a small rotation of the body.
            ux, uy, uz = _transposed_times(pose, fx / z, 0.0, -fx * x / (z * z))
            vx, vy, vz = _transposed_times(pose, 0.0, fy / z, -fy * y / (z * z))
            u[0], u[1], u[2] = ux, uy, uz
            u[3], u[4], u[5] = ay * uz - az * uy, az * ux - ax * uz, ax * uy - ay * ux
            v[0], v[1], v[2] = vx, vy, vz
            v[3], v[4], v[5] = ay * vz - az * vy, az * vx - ax * vz, ax * vy - ay * vx
            at = 0
            for i in range(6):
                first_part, second_part = weight * (uu * u[i] + uv * v[i]), weight * (uv * u[i] + vv * v[i])
                for j in range(i, 6):
                    sums[body, at] += first_part * u[j] + second_part * v[j]
                    at += 1
            for i in range(6):
                sums[body, at + i] += weight * (ur * u[i] + vr * v[i])


def forward(offsets, colours, weights, first, places, turns, image, camera_from_world, intrinsics):
    """See sfumato.ops.alignment."""
    sums = np.zeros((len(places), ALIGNMENT_ENTRIES))
    # An image of one row or column cannot be interpolated.
    if min(image.shape[:2]) > 1:
        inputs = offsets, colours, weights, first, places, turns, image, camera_from_world, intrinsics
        add_equations(*map(as_array, inputs), sums)
    return torch.from_numpy(sums.astype(np.float32))
