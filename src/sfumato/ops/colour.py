"""View-dependent colour of Gaussians."""

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ConfigError, ShapeError
from sfumato.ops import reference
from sfumato.ops.backend import implementation, uses_definition
from sfumato.ops.operation import operation
from sfumato.ops.reference.colour import FORMS


@operation("sfumato::colour")
def _colour(
    sh: Tensor, means: Tensor, camera_centre: Tensor, degree: int, visible: Tensor, plain_sum: bool
) -> Tensor:
    return implementation("colour", sh).forward(sh, means, camera_centre, degree, visible, plain_sum)


@_colour.register_fake
def _(sh, means, camera_centre, degree, visible, plain_sum):
    return means.new_empty(means.shape)


@operation("sfumato::colour_backward")
def _colour_backward(
    grad: Tensor,
    colours: Tensor,
    sh: Tensor,
    means: Tensor,
    camera_centre: Tensor,
    degree: int,
    visible: Tensor,
    plain_sum: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    return implementation("colour", sh).backward(
        grad, colours, sh, means, camera_centre, degree, visible, plain_sum
    )


@_colour_backward.register_fake
def _(grad, colours, sh, means, camera_centre, degree, visible, plain_sum):
    return sh.new_empty(sh.shape), means.new_empty(means.shape), camera_centre.new_empty(3)


def _setup(ctx, inputs, output):
    sh, means, camera_centre, ctx.degree, visible, ctx.plain_sum = inputs
    ctx.save_for_backward(output, sh, means, camera_centre, visible)


def _backward(ctx, grad):
    *tensors, visible = ctx.saved_tensors
    return *_colour_backward(grad, *tensors, ctx.degree, visible, ctx.plain_sum), None, None, None


_colour.register_autograd(_backward, setup_context=_setup)


def check_degree(degree: int, coefficients: int) -> None:
    """Refuse an SH degree other than 0 to 3, or one with too few coefficients.

    Raises:
        ConfigError: naming the degree.
    """
    if degree not in (0, 1, 2, 3) or coefficients < (degree + 1) ** 2:
        raise ConfigError(f"SH degree {degree} does not fit {coefficients} coefficients: give 0 to 3")


def colour(
    sh: Tensor,
    means: Tensor,
    camera_centre: Tensor,
    degree: int,
    visible: Tensor | None = None,
    form: str = "sh",
) -> Tensor:
    """Evaluate the colours of Gaussians seen from a camera.

    Args:
        sh: [n, k, 3] coefficients, k at least (degree + 1)**2; those above are not read. With "logit":
            logits of red, green and blue, k at least 1.
        means: [n, 3] centres of the Gaussians, world frame.
        camera_centre: [3] position of the camera, world frame.
        degree: highest degree evaluated, 0 to 3; 0 with "logit".
        visible: [n] bool; the others get zeros and no gradient. None: all.
        form: "sh" for max(0, 0.5 + sum), as in the field's files; "sh-sigmoid" for sigmoid(sum);
            "logit" for sigmoid(sh[:, 0]), the same from everywhere.

    Returns:
        [n, 3] sRGB-encoded colours: not negative and not bounded above, or in (0, 1) through a sigmoid.

    Raises:
        ShapeError: a tensor has another shape, dtype or device.
        ConfigError: the form is none of these, the degree is not 0 to 3, or sh has too few coefficients
            for it.

    Gradients: sh, means, camera_centre; none where the colour is cut off at zero.

    Source: Kerbl et al. 2023; basis and signs of the field's .ply files. The sigmoids: Deybach 2025,
        eq. 2, 61 and 62.
    """
    sizes = check_shapes(like=sh, sh=(sh, "n k 3"), means=(means, "n 3"), camera_centre=(camera_centre, "3"))
    check_degree(degree, sizes["k"])
    if form not in FORMS or (form == "logit" and degree > 0):
        raise ConfigError(f"colour form {form!r}: give {', '.join(FORMS)}, with degree 0 for logit")
    if visible is not None and (visible.dtype != torch.bool or visible.shape != means.shape[:1]):
        raise ShapeError(f"visible is {visible.dtype} {list(visible.shape)}, expected bool [{len(means)}]")
    if uses_definition(sh):
        return reference.colour(sh, means, camera_centre, degree, visible, form)
    if visible is None:
        visible = torch.ones(len(means), dtype=torch.bool, device=means.device)
    if form == "sh":
        return _colour(sh, means, camera_centre, degree, visible, False)
    logits = sh[:, 0] if form == "logit" else _colour(sh, means, camera_centre, degree, visible, True)
    # Invisible rows are minus infinity before the sigmoid: they get zeros and no gradient.
    return torch.where(visible[:, None], logits, -torch.inf).sigmoid()
