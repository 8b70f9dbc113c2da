"""Noise on the means of transparent Gaussians, for exploration."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.maths.device_copies import moved_like
from sfumato.maths.quaternions import rotation_from_quats
from sfumato.scene.gaussians import Gaussians

# Noise fades out around this opacity, this steeply.
_OPACITY, _STEEPNESS = 0.005, 100.0


def normal_like(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal numbers with the shape, dtype and device of ``like``, drawn on the generator's
    device."""
    drawn = torch.randn(like.shape, generator=generator, dtype=like.dtype, device=generator.device)
    return moved_like(drawn, like)


@torch.no_grad()
def shake(gaussians: Gaussians, strength: float, generator: torch.Generator) -> None:
    """Add noise to the means of faint Gaussians in place, with the covariance of each.

    Args:
        gaussians: n of them.
        strength: standard deviation of the noise per squared scale, 1 / scene units.
        generator: source of random numbers.

    Source: Kheradmand et al. 2024, eq. 8.
    """
    faint = torch.sigmoid(-_STEEPNESS * (gaussians.opacities - _OPACITY))
    noise = normal_like(gaussians.means, generator) * (strength * faint)[:, None]
    rotations = rotation_from_quats(gaussians.quats)
    local = (rotations.transpose(1, 2) @ noise[..., None]) * (gaussians.scales**2)[..., None]
    gaussians.means.data += (rotations @ local).squeeze(-1)
