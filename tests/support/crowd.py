"""Gaussians of given opacities and sizes, each with a number that tells it from the others."""

import numpy as np
import torch
from scipy.spatial import cKDTree

from sfumato.render.output import Render, SeenGaussians
from sfumato.scene.gaussians import Gaussians
from sfumato.training.clearance import Clearance
from sfumato.training.densify import Moment
from sfumato.training.population import Population

NAMES = ("means", "log_scales", "quats", "logit_opacities", "sh")
# (height, width) of the pictures that are pretended.
HEIGHT, WIDTH = 4, 8
# Distance of a camera from which a whole crowd is equally far.
AWAY = 1e6


def crowd(opacities, scales=0.01, *, dtype=torch.float32) -> Gaussians:
    """One Gaussian an opacity, apart from each other and turned; its number is its first SH coefficient.

    Args:
        opacities: n numbers.
        scales: one for all, n, or [n, 3].
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
    """A crowd with moments that are nowhere zero and differ from row to row."""
    made = Population.starting_with(crowd(opacities, scales))
    rows = torch.arange(len(made)) + 1.0
    for name in NAMES:
        _, first, second = made.rows(name)
        first += rows.reshape(-1, *[1] * (first.ndim - 1))
        second += 100 * rows.reshape(-1, *[1] * (first.ndim - 1))
    return made


def numbers(gaussians: Gaussians) -> list[int]:
    """Whom each row comes from."""
    return gaussians.sh[:, 0, 0].int().tolist()


def moments_come_from(now: Population, name: str) -> list[int]:
    """Whose moments each row carries; -1: they are zero.

    Raises:
        AssertionError: the two moments of a row or the columns of one disagree.
    """
    _, first, second = now.rows(name)
    assert torch.equal(100 * first, second)
    first = first.reshape(len(now), first[:1].numel() or 1)
    assert (first == first[:, :1]).all()
    return (first[:, 0] - 1).int().tolist()


def clearance(*cameras, radius=0.0) -> Clearance:
    """A ball around each camera; one at ``AWAY`` from any crowd if none is given."""
    return Clearance(cKDTree(np.array(cameras or [(0.0, AWAY, 0.0)])), radius)


def moment(**changes) -> Moment:
    """The middle of refinement in a scene of depth 1."""
    values = {
        "step": 10,
        "progress": 0.3,
        "allowed": 10**6,
        "means_rate": 0.0,
        "depth": 1.0,
        "clearance": clearance(),
        "generator": torch.Generator().manual_seed(0),
    }
    return Moment(**{**values, **changes})


def pulled(pull, *, visible=None, size=(HEIGHT, WIDTH), absolute=True) -> Render:
    """A view after its backward pass, in which ``pull`` is what each Gaussian's score should be.

    Args:
        pull: n lengths of the gradient, in halves of the image, along the width.
        visible: n bool; all if None.
        size: (height, width) of the picture.
        absolute: give the absolute gradient; else that of the centres.
    """
    pull = torch.as_tensor(pull, dtype=torch.float32)
    grad = torch.stack([pull / (0.5 * size[1]), torch.zeros_like(pull)], dim=1)
    mean_px, probe = torch.zeros_like(grad), torch.zeros_like(grad) if absolute else None
    (probe if absolute else mean_px).grad = grad
    visible = torch.ones(len(pull), dtype=torch.bool) if visible is None else torch.as_tensor(visible)
    seen = SeenGaussians(visible, torch.ones(len(pull), 2, dtype=torch.int32), mean_px, probe, size[::-1])
    return Render(torch.zeros(*size, 3), torch.zeros(size), None, seen)


def same(first: Gaussians, second: Gaussians) -> bool:
    """Whether two crowds agree to the last bit."""
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in NAMES)
