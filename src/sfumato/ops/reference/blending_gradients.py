"""Analytic gradients of blending along a ray, whose hits are sorted, the nearest first."""

import torch
from torch import Tensor


def transmittance_before(alpha: Tensor) -> Tensor:
    """Share of the light that reaches each hit: T_n = prod over m < n of (1 - alpha_m).

    Args:
        alpha: [m, n] of the hits, the nearest first.

    Returns:
        [m, n], 1 at the first hit.

    Source: Deybach 2025, eq. 4, 67 and 68.
    """
    clear = torch.cumprod(1 - alpha, dim=1)
    return torch.cat([torch.ones_like(clear[:, :1]), clear[:, :-1]], dim=1)


def d_image_d_colour(alpha: Tensor) -> Tensor:
    """Derivative of the image with respect to the colour of a hit, in the same channel: alpha_n T_n.

    Args:
        alpha: [m, n] of the hits, the nearest first.

    Returns:
        [m, n].

    Source: Deybach 2025, eq. 18 and 46.
    """
    return alpha * transmittance_before(alpha)


def contribution_behind(image: Tensor, colours: Tensor, weight: Tensor) -> Tensor:
    """Contribution of all that lies behind each hit: S_n = C - sum over m <= n of c_m alpha_m T_m.

    It can be computed front to back, so that hits need not be stored or visited in reverse. ``image`` and the
    result include the background.

    Args:
        image: [m, d] colours of the rays.
        colours: [m, n, d] of the hits, the nearest first.
        weight: [m, n] alpha_n T_n.

    Returns:
        [m, n, d].

    Source: Deybach 2025, eq. 21, equal to eq. 20.
    """
    return image[:, None] - torch.cumsum(weight[..., None] * colours, dim=1)


def d_image_d_alpha(colours: Tensor, alpha: Tensor, behind: Tensor) -> Tensor:
    """Derivative of the image with respect to the alpha of a hit: c_n T_n - S_n / (1 - alpha_n).

    Args:
        colours: [m, n, d] of the hits, the nearest first.
        alpha: [m, n], below 1.
        behind: [m, n, d] S_n, as from ``contribution_behind``.

    Returns:
        [m, n, d].

    Source: Deybach 2025, eq. 19 and 65 to 75.
    """
    return colours * transmittance_before(alpha)[..., None] - behind / (1 - alpha)[..., None]


def d_alpha_d_opacity(sigma: Tensor) -> Tensor:
    """Derivative of alpha = opacity * exp(-sigma) with respect to the opacity: exp(-sigma).

    Args:
        sigma: [m, n] half the squared Mahalanobis distance at the point of maximum.

    Returns:
        [m, n].

    Source: Deybach 2025, eq. 22; the last factor of eq. 44 is this one.
    """
    return torch.exp(-sigma)


def d_alpha_d_response(opacities: Tensor) -> Tensor:
    """Derivative of alpha = opacity * response with respect to the response: the opacity.

    Args:
        opacities: [n].

    Returns:
        [n].

    Source: Deybach 2025, eq. 23.
    """
    return opacities


def d_response_d_sigma(sigma: Tensor) -> Tensor:
    """Derivative of the response exp(-sigma) with respect to sigma: -exp(-sigma).

    Args:
        sigma: [m, n] half the squared Mahalanobis distance at the point of maximum.

    Returns:
        [m, n].

    Source: Deybach 2025, eq. 24.
    """
    return -torch.exp(-sigma)
