"""Small scenes to edit."""

import torch

from sfumato.scene.gaussians import Gaussians


def doubles(seed, *shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def scene_of(means, *, log_scale=-3.0, degree=0, seed=0, dtype=torch.float32):
    """Gaussians at given places with random shapes and colours."""
    means = torch.as_tensor(means, dtype=torch.float64)
    n = len(means)
    return Gaussians(
        means,
        log_scale + 0.4 * doubles(seed + 1, n, 3),
        doubles(seed + 2, n, 4),
        doubles(seed + 3, n),
        0.3 * doubles(seed + 4, n, (degree + 1) ** 2, 3),
    ).to(dtype)


def crowd(n=60, *, degree=3, seed=0, dtype=torch.float32):
    """A ball of Gaussians around (0, 0, 0)."""
    return scene_of(doubles(seed, n, 3), log_scale=-1.2, degree=degree, seed=seed, dtype=dtype)


def assert_same(one, other, **tolerance):
    for name in ("means", "log_scales", "quats", "logit_opacities", "sh"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), **tolerance)
