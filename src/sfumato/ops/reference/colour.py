"""Definition of the view-dependent colour of a Gaussian."""

import torch
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.maths.quaternions import normalised
from sfumato.maths.sh import sh_basis

# Forms of colour: spherical harmonics clamped at zero, as in the field's files; the sigmoid of spherical
# harmonics; or the sigmoid of three logits, independent of the view.
FORMS = ("sh", "sh-sigmoid", "logit")


def colour(
    sh: Tensor,
    means: Tensor,
    camera_centre: Tensor,
    degree: int,
    visible: Tensor | None = None,
    form: str = "sh",
) -> Tensor:
    """Colours of Gaussians seen from a camera.

    Args:
        sh: [n, k, 3] coefficients; those above ``degree`` are not read. With "logit": logits of red,
            green and blue, k at least 1.
        means: [n, 3] centres of the Gaussians, world frame.
        camera_centre: [3] position of the camera, world frame.
        degree: highest degree evaluated, 0 to 3; 0 with "logit".
        visible: [n] bool; the others are not evaluated, get zeros and no gradient. None: all.
        form: "sh" for max(0, 0.5 + sum), "sh-sigmoid" for sigmoid(sum), "logit" for sigmoid(sh[:, 0]).

    Returns:
        [n, 3] sRGB-encoded colours: not negative and not bounded above, or in (0, 1) through a sigmoid.

    Raises:
        ConfigError: ``form`` is none of the three.

    Gradients: sh, means, camera_centre. None where the colour is clamped at zero, nor to the direction of a
        Gaussian at the camera's centre.

    Source: Kerbl et al. 2023; the sigmoids: Deybach 2025, eq. 2, 61 and 62.
    """
    if form not in FORMS:
        raise ConfigError(f"colour form {form!r} is unknown: give {', '.join(FORMS)}")
    if visible is not None:
        rows = visible.nonzero().squeeze(-1)
        colours = colour(sh[rows], means[rows], camera_centre, degree, form=form)
        return colours.new_zeros(len(sh), 3).index_copy(0, rows, colours)
    if form == "logit":
        return sh[:, 0].sigmoid()
    basis = sh_basis(normalised(means - camera_centre), degree)
    total = torch.einsum("nk,nkd->nd", basis, sh[:, : basis.shape[1]])
    return total.sigmoid() if form == "sh-sigmoid" else (total + 0.5).clamp_min(0.0)
