"""Front-to-back blending of ellipses."""

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.ops import reference
from sfumato.ops.backend import Integers, Tensors, implementation, uses_definition
from sfumato.ops.operation import operation


@operation("sfumato::composite")
def _composite(
    mean_px: Tensor,
    conic: Tensor,
    opacities: Tensor,
    colours: Tensor,
    depth: Tensor,
    radius_px: Tensor,
    background: Tensor,
    absgrad_probe: Tensor,
    size: Integers,
) -> tuple[Tensor, Tensor, Tensors]:
    return implementation("composite", mean_px).forward(
        mean_px, conic, opacities, colours, depth, radius_px, background, size
    )


@_composite.register_fake
def _(mean_px, conic, opacities, colours, depth, radius_px, background, absgrad_probe, size):
    width, height = size
    kept = implementation("composite", mean_px).kept(
        mean_px, conic, opacities, colours, depth, radius_px, background, size
    )
    return mean_px.new_empty(height, width, colours.shape[1]), mean_px.new_empty(height, width), kept


@operation("sfumato::composite_backward")
def _composite_backward(
    grads: Tensors,
    outputs: Tensors,
    kept: Tensors,
    inputs: Tensors,
    absolute: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return implementation("composite", inputs[0]).backward(grads, outputs, kept, inputs, absolute)


@_composite_backward.register_fake
def _(grads, outputs, kept, inputs, absolute):
    mean_px, *others = map(torch.empty_like, inputs)
    return mean_px, mean_px.new_empty(len(mean_px) if absolute else 0, 2), *others


def _setup(ctx, inputs, output):
    mean_px, conic, opacities, colours, _, _, _, absgrad_probe, _ = inputs
    image, alpha, kept = output
    ctx.mark_non_differentiable(*kept)
    # Without it torch fills images with zeros for the results that the loss does not use.
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(image, alpha, mean_px, conic, opacities, colours, *kept)
    ctx.absolute = absgrad_probe.numel() > 0


def _backward(ctx, grad_image, grad_alpha, _):
    image, alpha, mean_px, conic, opacities, colours, *kept = ctx.saved_tensors
    if grad_image is None:
        grad_image = torch.zeros_like(image)
    if grad_alpha is None:
        grad_alpha = alpha.new_empty(0, 0)
    grad_mean, grad_probe, grad_conic, grad_opacity, grad_colour = _composite_backward(
        [grad_image, grad_alpha], [image, alpha], kept, [mean_px, conic, opacities, colours], ctx.absolute
    )
    grad_background = ((1 - alpha)[..., None] * grad_image).sum((0, 1)) if ctx.needs_input_grad[6] else None
    return (
        grad_mean,
        grad_conic,
        grad_opacity,
        grad_colour,
        None,
        None,
        grad_background,
        grad_probe if ctx.absolute else None,
        None,
    )


_composite.register_autograd(_backward, setup_context=_setup)


def composite(
    mean_px: Tensor,
    conic: Tensor,
    opacities: Tensor,
    colours: Tensor,
    depth: Tensor,
    radius_px: Tensor,
    background: Tensor,
    *,
    width: int,
    height: int,
    absgrad_probe: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Blend ellipses front to back over a background.

    alpha = min(0.999, opacity * exp(-sigma)) at the pixel's centre; a pair with alpha < 1/255 is
    skipped; a pixel stops before the Gaussian that would bring its transmittance to 1e-4 or below.

    Args:
        mean_px: [n, 2] centres, pixels.
        conic: [n, 3] inverse covariances (a, b, c), sigma = (a dx^2 + c dy^2) / 2 + b dx dy, 1/px^2.
        opacities: [n] peak opacities.
        colours: [n, d] values to blend, d channels.
        depth: [n] order of blending, nearest first; ties keep the order of the rows.
        radius_px: [n, 2] int32; a Gaussian with 0 on either axis is not drawn.
        background: [d] value behind everything.
        width, height: of the image, pixels.
        absgrad_probe: [n, 2] or None; its value is not read, its gradient is the sum over the
            pixels of the absolute gradient of ``mean_px``.

    Returns:
        The image [height, width, d] and alpha [height, width], which is 1 - final transmittance.

    Raises:
        ShapeError: a tensor has another shape, dtype or device.

    Gradients: mean_px, conic, opacities, colours, background. None to sigma and opacity of a pair clamped
        at 0.999, and none through the order, the skipping and the stop.

    Source: Kerbl et al. 2023.
    """
    check_shapes(
        like=mean_px,
        mean_px=(mean_px, "n 2"),
        conic=(conic, "n 3"),
        opacities=(opacities, "n"),
        colours=(colours, "n d"),
        depth=(depth, "n"),
        background=(background, "d"),
    )
    if uses_definition(mean_px):
        return reference.composite(
            mean_px,
            conic,
            opacities,
            colours,
            depth,
            radius_px,
            background,
            width=width,
            height=height,
            absgrad_probe=absgrad_probe,
        )
    probe = mean_px.new_empty(0) if absgrad_probe is None else absgrad_probe
    image, alpha, _ = _composite(
        mean_px, conic, opacities, colours, depth.detach(), radius_px, background, probe, [width, height]
    )
    return image, alpha
