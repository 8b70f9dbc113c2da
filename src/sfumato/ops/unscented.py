"""The unscented transform: ellipses of Gaussians in the image of any lens."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.ops import reference
from sfumato.ops.backend import uses_definition
from sfumato.ops.constants import FAR, NEAR


class Unscented(NamedTuple):
    """Ellipses in the image; culled Gaussians have zeros everywhere.

    Attributes:
        mean_px: [n, 2] mean of the Gaussian in the image, pixels.
        covariance_px2: [n, 3] its covariance there as (xx, xy, yy), without blur.
        depth: [n] of the Gaussian's centre, scene units.
        radius_px: [n, 2] int32 half sizes of the box in which alpha reaches about 1/255.
    """

    mean_px: Tensor
    covariance_px2: Tensor
    depth: Tensor
    radius_px: Tensor


@torch.no_grad()
def unscented(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    image_of: Callable[[Tensor], tuple[Tensor, Tensor]],
    *,
    width: int,
    height: int,
    near: float | Tensor = NEAR,
    far: float | Tensor = FAR,
) -> Unscented:
    """Find the ellipses of Gaussians in an image from the projections of seven sigma points of each.

    The transform needs no derivative of the lens, is accurate to second order, and exact where the lens is
    linear. Its parameters are alpha = 1, beta = 2, kappa = 0. A Gaussian is culled if its mean has no
    projection, its depth is outside [near, far], its box misses the image, its opacity is under 1/255, or
    it is not finite or has no size or rotation. The culling is not conservative: a Gaussian as large as
    its distance may extend beyond its ellipse. Where some sigma points have no projection the box spans
    the image.

    Args:
        means: [n, 3] centres, world frame, scene units.
        quats: [n, 4] world_from_local as (w, x, y, z), any non-zero length.
        scales: [n, 3] standard deviations along the local axes, scene units.
        opacities: [n] peak opacities.
        image_of: takes points [m, 3] to pixels [m, 2], NaN where there are none, and to depths [m].
        width, height: of the image, pixels.
        near, far: depth that is kept, scene units; numbers, or tensors of one.

    Returns:
        Unscented.

    Raises:
        ShapeError: a tensor has another shape, dtype or device.

    Gradients: none.

    Source: Wu et al. 2025 (3DGUT), section 4.1; Wan and van der Merwe 2000.
    """
    check_shapes(
        like=means,
        means=(means, "n 3"),
        quats=(quats, "n 4"),
        scales=(scales, "n 3"),
        opacities=(opacities, "n"),
    )
    # Both dtypes use the definition: its results are not blended, and most of its time is spent in the lens.
    uses_definition(means)
    found = reference.unscented(
        means, quats, scales, opacities, image_of, width=width, height=height, near=near, far=far
    )
    return Unscented(*found)
