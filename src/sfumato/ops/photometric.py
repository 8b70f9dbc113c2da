"""The loss between a render and a photograph."""

from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ConfigError
from sfumato.ops import reference
from sfumato.ops.backend import implementation, uses_definition
from sfumato.ops.operation import operation

PIXEL_LOSSES = ("l1", "mse")


@operation("sfumato::photometric_loss")
def _photometric_loss(
    image: Tensor, target: Tensor, weight: Tensor, ssim_weight: float, pixel_loss: str
) -> tuple[Tensor, Tensor]:
    return implementation("photometric", image).forward(image, target, weight, ssim_weight, pixel_loss)


@_photometric_loss.register_fake
def _(image, target, weight, ssim_weight, pixel_loss):
    return image.new_empty(()), image.new_empty(image.shape)


def _setup(ctx, inputs, output):
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[1])


def _backward(ctx, grad_loss, _):
    (gradient,) = ctx.saved_tensors
    return grad_loss * gradient, None, None, None, None


_photometric_loss.register_autograd(_backward, setup_context=_setup)


def photometric_loss(
    image: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ssim_weight: float = 0.2,
    pixel_loss: str = "l1",
) -> Tensor:
    """Compute (1 - ssim_weight) * pixel + ssim_weight * (1 - SSIM) between a render and a photograph.

    Args:
        image: [h, w, 3] render.
        target: [h, w, 3] photograph, no gradient.
        weight: [h, w] weight of each pixel in both terms, or None for equal ones. SSIM compares the
            images multiplied by it, so that pixels of weight 0 have no influence.
        ssim_weight: share of the SSIM term, 0 to 1.
        pixel_loss: "l1" (absolute differences) or "mse" (squared ones).

    Returns:
        [] the loss; 0 when all weights are 0.

    Raises:
        ShapeError: a tensor has another shape, dtype or device.
        ConfigError: ``pixel_loss`` is neither of the two, or ``ssim_weight`` is outside [0, 1].

    Gradients: image.

    Source: Kerbl et al. 2023, with D-SSIM = 1 - SSIM; Wang et al. 2004.
    """
    check_shapes(
        like=image,
        image=(image, "h w 3"),
        target=(target, "h w 3"),
        **({} if weight is None else {"weight": (weight, "h w")}),
    )
    if pixel_loss not in PIXEL_LOSSES or not 0 <= ssim_weight <= 1:
        raise ConfigError(
            f'pixel_loss {pixel_loss!r} must be "l1" or "mse", ssim_weight {ssim_weight} in [0, 1]'
        )
    if uses_definition(image):
        return reference.photometric_loss(
            image, target, weight, ssim_weight=ssim_weight, pixel_loss=pixel_loss
        )
    weights = image.new_empty(0, 0) if weight is None else weight
    return _photometric_loss(image, target, weights, ssim_weight, pixel_loss)[0]
