"""The penalty on opacities and scales, which lets unneeded Gaussians fade."""

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ConfigError
from sfumato.ops import reference
from sfumato.ops.backend import Floats, implementation, uses_definition
from sfumato.ops.operation import operation


@operation("sfumato::opacity_and_scale")
def _opacity_and_scale(
    log_scales: Tensor, logit_opacities: Tensor, means: Tensor, viewpoint: Tensor, settings: Floats
) -> tuple[Tensor, Tensor, Tensor]:
    return implementation("opacity_and_scale", log_scales).forward(
        log_scales, logit_opacities, means, viewpoint, *settings
    )


@_opacity_and_scale.register_fake
def _(log_scales, logit_opacities, means, viewpoint, settings):
    return log_scales.new_empty(()), torch.empty_like(log_scales), torch.empty_like(logit_opacities)


def _setup(ctx, inputs, output):
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[1:])


def _backward(ctx, grad, *_):
    to_scales, to_opacities = ctx.saved_tensors
    return grad * to_scales, grad * to_opacities, None, None, None


_opacity_and_scale.register_autograd(_backward, setup_context=_setup)


def opacity_and_scale(
    log_scales: Tensor,
    logit_opacities: Tensor,
    means: Tensor,
    viewpoint: Tensor,
    *,
    least_distance: float,
    opacity_weight: float,
    scale_weight: float,
) -> Tensor:
    """Term of the loss: the mean opacity, and the mean of scale divided by distance from the camera.

    Distant Gaussians may be large, as they appear small.

    Args:
        log_scales: [n, 3] ln of the standard deviations, scene units.
        logit_opacities: [n] logits of the opacities.
        means: [n, 3] centres, world frame, scene units.
        viewpoint: [3] centre of the camera, world frame.
        least_distance: more than 0; nearer Gaussians count as this far from the camera, scene units.
        opacity_weight: factor of the mean opacity.
        scale_weight: factor of the mean over all Gaussians and axes of scale / distance.

    Returns:
        [] the weighted sum; 0 without Gaussians.

    Raises:
        ShapeError: a tensor has another shape, dtype or device.
        ConfigError: ``least_distance`` is not above 0.

    Gradients: log_scales, logit_opacities.

    Source: Kheradmand et al. 2024, eq. 11, where scales are in scene units, not relative to the distance.
    """
    check_shapes(
        like=log_scales,
        log_scales=(log_scales, "n 3"),
        logit_opacities=(logit_opacities, "n"),
        means=(means, "n 3"),
        viewpoint=(viewpoint, "3"),
    )
    if not least_distance > 0:
        raise ConfigError(f"least_distance is {least_distance}; give more than 0")
    settings = [least_distance, opacity_weight, scale_weight]
    tensors = log_scales, logit_opacities, means.detach(), viewpoint.detach()
    if uses_definition(log_scales):
        return reference.opacity_and_scale(*tensors, *settings)
    return _opacity_and_scale(*tensors, settings)[0]
