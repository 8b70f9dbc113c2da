"""Rotation of spherical harmonics: coefficients mix within each degree."""

import numpy as np
import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ConfigError
from sfumato.maths.sh import sh_basis

# Integrates products of two basis functions up to degree 3, polynomials of degree 6, without error.
_POLAR, _AROUND = 4, 8
_ORTHOGONAL = 1e-5


def rotated_sh(sh: Tensor, new_from_old: Tensor) -> Tensor:
    """Coefficients of colours that rotate with their scene.

    The colour seen along a direction d is afterwards seen along ``new_from_old`` d.

    Args:
        sh: [n, k, 3] real SH coefficients, k = (degree + 1)**2, degree 0 to 3.
        new_from_old: [3, 3] rotation, or reflection, float32 or float64.

    Returns:
        [n, k, 3] coefficients; the first ones are those of ``sh``.

    Raises:
        ShapeError: an argument has another shape.
        ConfigError: the matrix is not orthogonal, or k is not 1, 4, 9 or 16.

    Gradients: sh.
    """
    check_shapes(sh=(sh, "n k 3"))
    degree = {1: 0, 4: 1, 9: 2, 16: 3}.get(sh.shape[1])
    if degree is None:
        raise ConfigError(f"sh has {sh.shape[1]} coefficients, expected 1, 4, 9 or 16")
    return torch.einsum("ij,njc->nic", sh_rotation(new_from_old, degree).to(sh), sh)


def sh_rotation(new_from_old: Tensor, degree: int) -> Tensor:
    """The matrix that rotates SH coefficients.

    Args:
        new_from_old: [3, 3] rotation, or reflection, float32 or float64.
        degree: highest degree, 0 to 3.

    Returns:
        [k, k] float64 orthogonal matrix D, k = (degree + 1)**2, one block per degree:
        D = integral over directions d of basis(new_from_old d) basis(d)^T.

    Raises:
        ShapeError: the matrix has another shape.
        ConfigError: the matrix is not orthogonal, or the degree is not supported.
    """
    check_shapes(new_from_old=(new_from_old, "3 3"))
    turn = new_from_old.detach().to("cpu", torch.float64)
    if not bool(((turn @ turn.T - torch.eye(3).double()).abs() < _ORTHOGONAL).all()):
        raise ConfigError(f"new_from_old is not a rotation: {turn.tolist()}; give an orthogonal matrix")
    directions, weights = _sphere_quadrature()
    before, after = sh_basis(directions, degree), sh_basis(directions @ turn.T, degree)
    whole = after.T @ (weights[:, None] * before)
    # Between degrees the integral is zero up to rounding, and the constant function is invariant.
    blocks = [whole[low * low : (low + 1) ** 2, low * low : (low + 1) ** 2] for low in range(1, degree + 1)]
    return torch.block_diag(torch.ones(1, 1, dtype=torch.float64), *blocks)


def _sphere_quadrature() -> tuple[Tensor, Tensor]:
    """Directions [m, 3] and weights [m], Gauss-Legendre in z times equal steps around it."""
    nodes, shares = np.polynomial.legendre.leggauss(_POLAR)
    angles = np.arange(_AROUND) * (2 * np.pi / _AROUND)
    z, around = (grid.ravel() for grid in np.meshgrid(nodes, angles, indexing="ij"))
    ring = np.sqrt(1 - z * z)
    directions = torch.from_numpy(np.stack([ring * np.cos(around), ring * np.sin(around), z], axis=-1))
    return directions, torch.from_numpy(np.repeat(shares, _AROUND) * (2 * np.pi / _AROUND))
