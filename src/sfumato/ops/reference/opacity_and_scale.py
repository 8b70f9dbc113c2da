"""Definition of the penalty on opacities and scales."""

from torch import Tensor


def opacity_and_scale(
    log_scales: Tensor,
    logit_opacities: Tensor,
    means: Tensor,
    viewpoint: Tensor,
    least_distance: float,
    opacity_weight: float,
    scale_weight: float,
) -> Tensor:
    """[] mean opacity, and mean of scale divided by distance; see ``sfumato.ops.opacity_and_scale``.

    Gradients: log_scales, logit_opacities.
    """
    n = max(len(means), 1)
    distances = (means - viewpoint).norm(dim=1).clamp_min(least_distance).detach()
    sizes = log_scales.exp().mean(dim=1) / distances
    return (opacity_weight * logit_opacities.sigmoid().sum() + scale_weight * sizes.sum()) / n
