import numpy as np
import pytest
import torch
from scipy import special

from sfumato.errors import ConfigError
from sfumato.maths.sh import sh_basis


def sphere_quadrature():
    """Directions and weights that integrate polynomials up to degree 12 exactly."""
    z, weights = np.polynomial.legendre.leggauss(12)
    angles = np.arange(24) * (2 * np.pi / 24)
    z, angles = (grid.ravel() for grid in np.meshgrid(z, angles, indexing="ij"))
    ring = np.sqrt(1 - z**2)
    directions = torch.tensor(np.stack([ring * np.cos(angles), ring * np.sin(angles), z], -1))
    return directions, torch.tensor(np.repeat(weights, 24) * (2 * np.pi / 24))


def test_basis_is_orthonormal():
    directions, weights = sphere_quadrature()
    basis = sh_basis(directions, 3)
    torch.testing.assert_close(basis.T @ (weights[:, None] * basis), torch.eye(16).double())


def test_signs_and_order_are_those_of_associated_legendre_functions():
    directions, _ = sphere_quadrature()
    x, y, z = directions.numpy().T
    polar, azimuth = np.arccos(z), np.arctan2(y, x)
    basis = sh_basis(directions, 3).numpy()
    for degree in range(4):
        for order in range(-degree, degree + 1):
            complex_value = special.sph_harm_y(degree, abs(order), polar, azimuth)
            part = complex_value.real if order >= 0 else complex_value.imag
            # The complex functions include the Condon-Shortley phase, as does the real basis.
            expected = part * (1 if order == 0 else np.sqrt(2))
            np.testing.assert_allclose(basis[:, degree * (degree + 1) + order], expected, atol=1e-12)


def test_lower_degrees_are_prefixes():
    directions, _ = sphere_quadrature()
    for degree in range(3):
        assert torch.equal(sh_basis(directions, degree), sh_basis(directions, 3)[:, : (degree + 1) ** 2])


@pytest.mark.parametrize("degree", [-1, 4])
def test_other_degrees_are_refused(degree):
    with pytest.raises(ConfigError, match="degree"):
        sh_basis(torch.zeros(1, 3), degree)
