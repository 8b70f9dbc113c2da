"""Rigid transforms as exponentials of twists (wx, wy, wz, vx, vy, vz): a rotation vector and a velocity."""

from math import factorial

import numpy as np
import torch
from torch import Tensor

from sfumato.maths.device_copies import numbers_like

# Below this squared angle the closed forms lose digits, and this many terms of the series lose none.
_SMALL_ANGLE2 = 0.25
_TERMS = 8


def rigid_from_twist(twists: Tensor) -> Tensor:
    """Rigid transforms of twists: the exponential map of se(3).

    Args:
        twists: [..., 6] rotation vectors, radians, and velocities of the origin, scene units.

    Returns:
        [..., 4, 4] transforms x -> R x + V v with R = I + a W + b W^2 and V = I + b W + c W^2, where W
        is the cross product with w, a = sin(t) / t, b = (1 - cos(t)) / t^2, c = (t - sin(t)) / t^3 and
        t = |w|; the identity for zero.

    Gradients: twists; exact at zero as elsewhere.

    Source: Murray, Li and Sastry 1994, chapter 2.
    """
    turn, velocity = twists.split(3, dim=-1)
    a, b, c = _coefficients(turn.square().sum(-1)[..., None, None])
    cross = cross_matrix(turn)
    squared = cross @ cross
    one = torch.eye(3, dtype=twists.dtype, device=twists.device)
    shift = (one + b * cross + c * squared) @ velocity[..., None]
    top = torch.cat([one + a * cross + b * squared, shift], dim=-1)
    bottom = numbers_like((0.0, 0.0, 0.0, 1.0), twists).expand(*twists.shape[:-1], 1, 4)
    return torch.cat([top, bottom], dim=-2)


def centre_of(camera_from_world: Tensor) -> Tensor:
    """[3] position of a camera in the world frame.

    Args:
        camera_from_world: [4, 4] rigid.

    Gradients: camera_from_world.
    """
    rotation, translation = camera_from_world[:3, :3], camera_from_world[:3, 3]
    return -rotation.T @ translation


def centres_of(poses: np.ndarray) -> np.ndarray:
    """[n, 3] positions of cameras in the world frame.

    Args:
        poses: [n, 4, 4] camera_from_world.
    """
    return -np.einsum("nji,nj->ni", poses[:, :3, :3], poses[:, :3, 3])


def best_rotation(covariance: Tensor) -> Tensor:
    """Rotations that map points onto others with the least sum of squared distances.

    Args:
        covariance: [..., 3, 3] sums over pairs of (x - mean x) (y - mean y)^T, for points x and their
            targets y.

    Returns:
        [..., 3, 3] proper rotations.

    Source: Kabsch 1976.
    """
    left, _, right = torch.linalg.svd(covariance)
    flip = torch.linalg.det(left) * torch.linalg.det(right)
    signs = torch.stack([torch.ones_like(flip), torch.ones_like(flip), flip.sign()], -1)
    return right.mT @ (signs[..., None] * left.mT)


def cross_matrix(vectors: Tensor) -> Tensor:
    """Matrices W with W x = w cross x.

    Args:
        vectors: [..., 3] w.

    Returns:
        [..., 3, 3] antisymmetric matrices.

    Gradients: vectors.
    """
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    rows = ((zero, -z, y), (z, zero, -x), (-y, x, zero))
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _coefficients(angle2: Tensor) -> list[Tensor]:
    """a, b and c of :func:`rigid_from_twist`, as functions of the squared angle."""
    is_small = angle2 < _SMALL_ANGLE2
    # Each branch gets arguments in its domain: an infinite derivative times zero would be NaN.
    small, large = torch.where(is_small, angle2, 0.0), torch.where(is_small, 1.0, angle2)
    angle = large.sqrt()
    sine = angle.sin()
    closed = (sine / angle, 2 * (angle / 2).sin().square() / large, (angle - sine) / (large * angle))
    return [torch.where(is_small, _series(small, k), value) for k, value in enumerate(closed, start=1)]


def _series(angle2: Tensor, first: int) -> Tensor:
    """1 / first! - angle2 / (first + 2)! + angle2^2 / (first + 4)! - ..."""
    total = torch.zeros_like(angle2)
    for k in reversed(range(_TERMS)):
        total = 1 / factorial(first + 2 * k) - angle2 * total
    return total
