"""Gradients of blending along a ray by formula; the hits of a ray are in order, the nearest first."""

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
    """Weight alpha_n T_n of a hit, by which its colour counts in each channel of its own.

    Args:
        alpha: [m, n] of the hits, the nearest first.

    Returns:
        [m, n].

    Source: Deybach 2025, eq. 18 and 46.
    """
    return alpha * transmittance_before(alpha)


def contribution_behind(image: Tensor, colours: Tensor, weight: Tensor) -> Tensor:
    """What lies behind each hit: S_n = C - sum over m <= n of c_m alpha_m T_m.

    Known as soon as the hit is reached, so that the hits need not be kept or walked through backwards.
    ``image`` includes the background, and so does what is returned.

    Args:
        image: [m, d] what the rays see.
        colours: [m, n, d] of the hits, the nearest first.
        weight: [m, n] alpha_n T_n.

    Returns:
        [m, n, d].

    Source: Deybach 2025, eq. 21, equal to eq. 20.
    """
    return image[:, None] - torch.cumsum(weight[..., None] * colours, dim=1)


def d_image_d_alpha(colours: Tensor, alpha: Tensor, behind: Tensor) -> Tensor:
    """Change c_n T_n - S_n / (1 - alpha_n) of what a ray sees with the alpha of a hit.

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
    """Change exp(-sigma) of alpha = opacity * exp(-sigma) with the opacity.

    Args:
        sigma: [m, n] half the squared Mahalanobis distance at the point of maximum.

    Returns:
        [m, n].

    Source: Deybach 2025, eq. 22; the last factor of eq. 44 is this one.
    """
    return torch.exp(-sigma)


def d_alpha_d_response(opacities: Tensor) -> Tensor:
    """Change of alpha = opacity * response with the response: the opacity.

    Args:
        opacities: [n].

    Returns:
        [n].

    Source: Deybach 2025, eq. 23.
    """
    return opacities


def d_response_d_sigma(sigma: Tensor) -> Tensor:
    """Change -exp(-sigma) of the response exp(-sigma).

    Args:
        sigma: [m, n] half the squared Mahalanobis distance at the point of maximum.

    Returns:
        [m, n].

    Source: Deybach 2025, eq. 24.
    """
    return -torch.exp(-sigma)
