"""Ray tracing of an image whose rays share an origin, or nearly do."""

from typing import NamedTuple

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.ops import reference
from sfumato.ops.backend import Tensors, implementation, uses_definition
from sfumato.ops.limits import limits_like
from sfumato.ops.operation import operation


class Traced(NamedTuple):
    """Results of tracing an image of rays.

    Attributes:
        image: [h, w, d] blended values over the background.
        alpha: [h, w] 1 - final transmittance.
        distance: [h, w] sum of weight times tau, scene units; None if not computed.
        visible: [n] bool, whether a Gaussian may have been hit.
    """

    image: Tensor
    alpha: Tensor
    distance: Tensor | None
    visible: Tensor


@operation("sfumato::trace")
def _trace(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colours: Tensor,
    eye: Tensor,
    directions: Tensor,
    offsets: Tensor,
    background: Tensor,
    absgrad_probe: Tensor,
    depths: Tensor,
    limits: Tensor,
    distances: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensors]:
    return implementation("trace", means).forward(
        means, quats, scales, opacities, colours, eye, directions, offsets, background, depths, limits,
        distances,
    )  # fmt: skip


@_trace.register_fake
def _(means, quats, scales, opacities, colours, eye, directions, offsets, background, _probe, *rest):
    depths, limits, distances = rest
    kept = implementation("trace", means).kept(
        means, quats, scales, opacities, colours, eye, directions, offsets, background, depths, limits,
        distances,
    )  # fmt: skip
    height, width = directions.shape[:2]
    image, alpha = means.new_empty(height, width, colours.shape[1]), means.new_empty(height, width)
    distance = means.new_empty((height, width) if distances else (0, 0))
    return image, alpha, distance, means.new_empty(len(means), dtype=torch.bool), kept


@operation("sfumato::trace_backward")
def _trace_backward(
    grads: Tensors,
    outputs: Tensors,
    kept: Tensors,
    shape: Tensors,
    colours: Tensor,
    background: Tensor,
    limits: Tensor,
    exact: bool,
    with_rays: bool,
    absolute: bool,
) -> Tensors:
    return implementation("trace", colours).backward(
        grads, outputs, kept, shape, colours, background, limits, exact, with_rays, absolute
    )


@_trace_backward.register_fake
def _(grads, outputs, kept, shape, colours, background, limits, exact, with_rays, absolute):
    quats, scales, opacities = shape
    rays = (*grads[1].shape, 6) if with_rays else (0, 0, 6)
    found = (torch.empty_like(t) for t in (scales, quats, scales, opacities, colours, opacities))
    return [*found, opacities.new_empty(rays)]


def _before_normalisation(grad: Tensor, directions: Tensor) -> Tensor:
    """Gradient to directions of any length, from that to their unit vectors."""
    length = directions.norm(dim=-1, keepdim=True)
    inverse = torch.where(length > 0, 1 / length, 0.0)
    unit = directions * inverse
    return (grad - (grad * unit).sum(-1, keepdim=True) * unit) * inverse


def _setup(ctx, inputs, output):
    *tensors, background, absgrad_probe, depths, limits, _ = inputs
    *outputs, visible, kept = output
    ctx.absolute, ctx.exact = absgrad_probe.numel() > 0, depths.numel() == 0
    ctx.mark_non_differentiable(visible, *kept)
    ctx.save_for_backward(*outputs, background, limits, *tensors, *kept)


def _backward(ctx, grad_image, grad_alpha, grad_distance, *_):
    image, alpha, distance, background, limits, *inputs_and_kept = ctx.saved_tensors
    _, quats, scales, opacities, colours, _, directions, offsets, *kept = inputs_and_kept
    of_eye, of_directions, of_offsets, of_background = ctx.needs_input_grad[5:9]
    to_means, *to_rest, to_absgrad_probe, to_rays = _trace_backward(
        [grad_image, grad_alpha, grad_distance], [image, alpha, distance], kept, [quats, scales, opacities],
        colours, background, limits, ctx.exact, of_directions or of_offsets, ctx.absolute,
    )  # fmt: skip
    to_eye = -to_means.sum(0) if of_eye else None
    to_directions = _before_normalisation(to_rays[..., :3], directions) if of_directions else None
    to_offsets = to_rays[..., 3:] if of_offsets and offsets.numel() else None
    to_background = ((1 - alpha)[..., None] * grad_image).sum((0, 1)) if of_background else None
    to_probe = to_absgrad_probe if ctx.absolute else None
    to_inputs = to_means, *to_rest, to_eye, to_directions, to_offsets, to_background, to_probe
    return *to_inputs, None, None, None


_trace.register_autograd(_backward, setup_context=_setup)


def trace(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colours: Tensor,
    eye: Tensor,
    directions: Tensor,
    background: Tensor,
    *,
    near: float | Tensor,
    far: float | Tensor,
    offsets: Tensor | None = None,
    absgrad_probe: Tensor | None = None,
    depths: Tensor | None = None,
    distances: bool = True,
) -> Traced:
    """Blend Gaussians front to back along an image of rays, each ray in its own order.

    alpha = min(0.999, opacity * exp(-sigma)) at the Gaussian's point of maximum on the ray, whose distance
    tau gives the order. A hit with alpha < 1/255, or tau outside [near, far], is skipped. A ray stops
    before the Gaussian that would bring its transmittance to 1e-4 or below.

    Args:
        means: [n, 3] centres, world frame, scene units.
        quats: [n, 4] world_from_local as (w, x, y, z), any non-zero length.
        scales: [n, 3] standard deviations along the local axes, scene units.
        opacities: [n] peak opacities.
        colours: [n, d] values to blend.
        eye: [3] common origin of all rays, world frame.
        directions: [h, w, 3] of any length; zero where there is no ray, which leaves the background.
            Neighbouring pixels should have similar directions: speed depends on it.
        background: [d] value behind everything.
        near, far: distances along the ray that are kept, scene units; numbers, or tensors of one.
        offsets: [h, w, 3] origin of each ray relative to ``eye``, or None; small compared with the distance
            of the scene, as for a rolling shutter or a lens.
        absgrad_probe: [n] or None; its value is not read, its gradient is the sum over the rays of the
            length of the gradient of ``means``; float32 only.
        depths: [n] to blend in this order on every ray, nearest first, as a rasterizer does; None: each
            ray in the order of its own hits.
        distances: whether to compute the distance, at a small cost.

    Returns:
        Traced. A Gaussian that is not finite, or has no size or rotation, is not rendered.

    Raises:
        ShapeError: a tensor has another shape, dtype or device.

    Gradients: all tensors. A hit clamped at 0.999 passes none to its sigma and opacity. None through the
        order, the skipping and the stop.

    Source: Moenne-Loccoz et al. 2024; gradients as in Deybach 2025.
    """
    check_shapes(
        like=means,
        means=(means, "n 3"),
        quats=(quats, "n 4"),
        scales=(scales, "n 3"),
        opacities=(opacities, "n"),
        colours=(colours, "n d"),
        eye=(eye, "3"),
        directions=(directions, "h w 3"),
        background=(background, "d"),
        **({} if offsets is None else {"offsets": (offsets, "h w 3")}),
        **({} if depths is None else {"depths": (depths, "n")}),
    )
    height, width = directions.shape[:2]
    if uses_definition(means):
        origins = eye.expand(height * width, 3) if offsets is None else eye + offsets.reshape(-1, 3)
        directions = directions.reshape(-1, 3)
        flat = reference.trace(
            means, quats, scales, opacities, colours, origins, directions, background,
            near=near, far=far, depths=depths,
        )  # fmt: skip
        image, alpha, distance = (t.reshape(height, width, *t.shape[1:]) for t in flat)
        visible = reference.sound(means, quats, scales, opacities)
        return Traced(image, alpha, distance if distances else None, visible)
    offsets = means.new_empty(0) if offsets is None else offsets
    depths = means.new_empty(0) if depths is None else depths.detach()
    probe = means.new_empty(0) if absgrad_probe is None else absgrad_probe
    image, alpha, distance, visible, _ = _trace(
        means, quats, scales, opacities, colours, eye, directions, offsets, background, probe, depths,
        limits_like(near, far, means).flatten(), distances,
    )  # fmt: skip
    return Traced(image, alpha, distance if distances else None, visible)
