"""Definition of the view-dependent colour of a Gaussian."""

import torch
from torch import Tensor

from sfumato.maths.quaternions import normalised
from sfumato.maths.sh import sh_basis


def colour(
    sh: Tensor, means: Tensor, camera_centre: Tensor, degree: int, visible: Tensor | None = None
) -> Tensor:
    """Colours max(0, 0.5 + sum) of spherical harmonics seen from a camera.

    Args:
        sh: [n, k, 3] coefficients; those above ``degree`` are not read.
        means: [n, 3] centres of the Gaussians, world frame.
        camera_centre: [3] position of the camera, world frame.
        degree: highest degree evaluated, 0 to 3.
        visible: [n] bool; the others are not looked at, get zeros and pass no gradient. None: all.

    Returns:
        [n, 3] sRGB-encoded colours, not negative and not bounded above.

    Gradients: sh, means, camera_centre. None where the colour is cut off at zero, nor to the direction
        of a Gaussian that sits in the camera's centre.
    """
    if visible is not None:
        rows = visible.nonzero().squeeze(-1)
        colours = colour(sh[rows], means[rows], camera_centre, degree)
        return colours.new_zeros(len(sh), 3).index_copy(0, rows, colours)
    directions = normalised(means - camera_centre)
    basis = sh_basis(directions, degree)
    return (torch.einsum("nk,nkd->nd", basis, sh[:, : basis.shape[1]]) + 0.5).clamp_min(0.0)
