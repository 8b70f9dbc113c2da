"""Least-squares projection of functions onto spherical harmonics."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from sfumato.maths.sh import sh_basis

# Number of heights and azimuths of the quadrature: exact for polynomials up to degree 15.
_HEIGHTS, _TURNS = 8, 16
# Rows at a time, so that the values in all directions stay small.
_ROWS = 1 << 14


def projected_sh(sh: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Coefficients of the least-squares fit, over all directions, to ``function`` of the sum of ``sh``.

    Args:
        sh: [n, k, 3] coefficients of degree 0 to 3.
        function: of values of any shape, one by one.

    Returns:
        [n, k, 3] of the same degree: least squares over the sphere.

    Gradients: none.
    """
    directions, weights = (tensor.to(sh.device) for tensor in _sphere())
    basis = sh_basis(directions, math.isqrt(sh.shape[1]) - 1)
    there, back = basis.to(sh), (basis * weights[:, None]).T.to(sh)
    with torch.no_grad():
        parts = [torch.einsum("km,nmd->nkd", back, function(there @ part)) for part in sh.split(_ROWS)]
    return torch.cat(parts) if parts else sh.clone()


@cache
def _sphere() -> tuple[Tensor, Tensor]:
    """Directions [m, 3] and weights [m] with sum 4 pi: Gauss-Legendre in z times even azimuths."""
    heights, weights = np.polynomial.legendre.leggauss(_HEIGHTS)
    turns = (np.arange(_TURNS) + 0.5) * (2 * np.pi / _TURNS)
    radii = np.sqrt(1 - heights**2)[:, None]
    z = np.broadcast_to(heights[:, None], (_HEIGHTS, _TURNS))
    directions = np.stack([radii * np.cos(turns), radii * np.sin(turns), z], -1)
    areas = np.repeat(weights * (2 * np.pi / _TURNS), _TURNS)
    return torch.from_numpy(directions.reshape(-1, 3)), torch.from_numpy(areas)
