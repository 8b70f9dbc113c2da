"""Gaussians of given opacities and sizes, each with an identifying number."""

import torch

from sfumato.scene.gaussians import Gaussians
from sfumato.training.population import Population

NAMES = ("means", "log_scales", "quats", "logit_opacities", "sh")


def crowd(opacities, scales=0.01, *, dtype=torch.float32) -> Gaussians:
    """One rotated Gaussian per opacity, at distinct positions; its number is its first SH coefficient.

    Args:
        opacities: n opacities.
        scales: one for all, [n] or [n, 3].
        dtype: of every field.
    """
    opacities = torch.as_tensor(opacities, dtype=dtype)
    n = len(opacities)
    generator = torch.Generator().manual_seed(5)
    scales = torch.as_tensor(scales, dtype=dtype)
    scales = (scales[:, None] if scales.ndim == 1 else scales).expand(n, 3)
    means = torch.zeros(n, 3, dtype=dtype)
    means[:, 0] = 10.0 + torch.arange(n)
    quats = torch.randn(n, 4, generator=generator, dtype=dtype)
    sh = torch.randn(n, 4, 3, generator=generator, dtype=dtype)
    sh[:, 0, 0] = torch.arange(n)
    return Gaussians(means, scales.log(), quats, torch.logit(opacities), sh)


def population(opacities, scales=0.01) -> Population:
    """A crowd with non-zero moments that differ between rows."""
    made = Population.starting_with(crowd(opacities, scales))
    rows = torch.arange(len(made)) + 1.0
    for name in NAMES:
        first, second = made.parameters[name].exp_avg, made.parameters[name].exp_avg_sq
        first += rows.reshape(-1, *[1] * (first.ndim - 1))
        second += 100 * rows.reshape(-1, *[1] * (first.ndim - 1))
    return made


def numbers(gaussians: Gaussians) -> list[int]:
    """The number of the Gaussian that each row comes from."""
    return gaussians.sh[:, 0, 0].int().tolist()


def moments_come_from(now: Population, name: str) -> list[int]:
    """The number of the Gaussian whose moments each row has; -1: they are zero.

    Raises:
        AssertionError: the two moments of a row or the columns of one disagree.
    """
    first, second = now.parameters[name].exp_avg, now.parameters[name].exp_avg_sq
    assert torch.equal(100 * first, second)
    first = first.reshape(len(now), first[:1].numel() or 1)
    assert (first == first[:, :1]).all()
    return (first[:, 0] - 1).int().tolist()


def same(first: Gaussians, second: Gaussians) -> bool:
    """Whether two crowds agree to the last bit."""
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in NAMES)
