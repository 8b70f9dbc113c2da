"""Least-squares projection of functions of spherical harmonics."""

import pytest
import torch

from sfumato.maths.sh import sh_basis
from sfumato.maths.sh_projection import projected_sh


def coefficients(degree, n=5):
    random = torch.Generator().manual_seed(degree)
    return torch.randn(n, (degree + 1) ** 2, 3, generator=random, dtype=torch.float64)


def directions(n=4000):
    random = torch.Generator().manual_seed(9)
    return torch.nn.functional.normalize(torch.randn(n, 3, generator=random, dtype=torch.float64), dim=1)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_linear_functions_are_reproduced(degree):
    sh = coefficients(degree)
    found = projected_sh(sh, lambda values: 2 * values)
    assert torch.allclose(found, 2 * sh, atol=1e-12)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_coefficients_minimise_the_squared_error(degree):
    sh = 0.7 * coefficients(degree)
    found = projected_sh(sh, torch.sigmoid)
    basis = sh_basis(directions(), degree)
    wanted = (basis @ sh).sigmoid()
    # Least squares over many random directions differs by sampling noise.
    best = torch.linalg.lstsq(basis.expand(len(sh), -1, -1), wanted).solution
    error = ((basis @ found - wanted) ** 2).mean()
    least = ((basis @ best - wanted) ** 2).mean()
    assert error <= 1.02 * least + 1e-12


def test_no_rows():
    assert projected_sh(torch.zeros(0, 4, 3), torch.sigmoid).shape == (0, 4, 3)
