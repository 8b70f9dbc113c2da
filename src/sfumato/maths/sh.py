"""Real spherical harmonics in the basis and sign order of the field's ``.ply`` files, degree 0 to 3."""

from math import pi, sqrt

import torch
from torch import Tensor

from sfumato.errors import ConfigError

# Normalisations: the integral of each squared basis function over the sphere is one. The signs of the
# odd orders (the Condon-Shortley phase) are in the polynomials of sh_basis.
SH_C0 = sqrt(1 / pi) / 2
SH_C1 = sqrt(3 / pi) / 2
SH_C2_XY = sqrt(15 / pi) / 2
SH_C2_ZZ = sqrt(5 / pi) / 4
SH_C2_XX_YY = sqrt(15 / pi) / 4
SH_C3_XXX = sqrt(35 / (2 * pi)) / 4
SH_C3_XYZ = sqrt(105 / pi) / 2
SH_C3_XZZ = sqrt(21 / (2 * pi)) / 4
SH_C3_ZZZ = sqrt(7 / pi) / 4
SH_C3_ZXX_ZYY = sqrt(105 / pi) / 4


def sh_basis(directions: Tensor, degree: int) -> Tensor:
    """Values of the basis functions in the given directions.

    Args:
        directions: [n, 3] unit vectors.
        degree: highest degree, 0 to 3.

    Returns:
        [n, (degree + 1)**2] values, by degree l and then order -l to l.

    Raises:
        ConfigError: the degree is not 0, 1, 2 or 3.

    Gradients: directions, of the polynomials below; the radial component is meaningless.
    """
    if degree not in (0, 1, 2, 3):
        raise ConfigError(f"SH degree {degree} is not supported: give 0, 1, 2 or 3")
    x, y, z = directions.unbind(-1)
    values = [torch.full_like(x, SH_C0)]
    if degree >= 1:
        values += [-SH_C1 * y, SH_C1 * z, -SH_C1 * x]
    if degree >= 2:
        values += [
            SH_C2_XY * x * y,
            -SH_C2_XY * y * z,
            SH_C2_ZZ * (3 * z * z - 1),
            -SH_C2_XY * x * z,
            SH_C2_XX_YY * (x * x - y * y),
        ]
    if degree >= 3:
        values += [
            -SH_C3_XXX * y * (3 * x * x - y * y),
            SH_C3_XYZ * x * y * z,
            -SH_C3_XZZ * y * (5 * z * z - 1),
            SH_C3_ZZZ * z * (5 * z * z - 3),
            -SH_C3_XZZ * x * (5 * z * z - 1),
            SH_C3_ZXX_ZYY * z * (x * x - y * y),
            -SH_C3_XXX * x * (x * x - 3 * y * y),
        ]
    return torch.stack(values, -1)
