"""Gaussians that are hard to trace, rays aimed at them, and comparison with the reference."""

import torch

from sfumato.maths.quaternions import rotation_from_quats
from sfumato.ops.reference.trace_rays import trace_rays as definition
from sfumato.ops.trace_rays import trace_rays
from support.op_scenes import assert_gradients_close, gradients

FORWARD, BACKWARD = 1e-4, 1e-3
LIMITS = {"near": 0.01, "far": 1e10}
PARTS = ("means", "quats", "scales", "opacities")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def gaussians(n, random, *, size=0.2, spread=1.0, channels=3):
    """Inputs by name: Gaussians around the world's origin."""

    def normal(*shape):
        return torch.randn(*shape, generator=random)

    return {
        "means": normal(n, 3) * spread,
        "quats": normal(n, 4),
        "scales": size * (normal(n, 3) * 0.5).exp(),
        "opacities": (normal(n) * 1.5).sigmoid(),
        "features": torch.rand(n, channels, generator=random),
        "background": torch.rand(channels, generator=random),
    }


def aimed_rays(scene, m, random, *, distance=5.0, reach=2.0):
    """Rays from all around, each towards a point inside some Gaussian's hull."""
    n = len(scene["means"])
    chosen = torch.arange(m) % n
    inside = torch.randn(m, 3, generator=random)
    inside = inside / inside.norm(dim=1, keepdim=True) * torch.rand(m, 1, generator=random) * reach
    axes = rotation_from_quats(scene["quats"])[chosen] * scene["scales"][chosen][:, None]
    targets = scene["means"][chosen] + torch.einsum("nij,nj->ni", axes, inside)
    origins = torch.randn(m, 3, generator=random)
    origins = origins / origins.norm(dim=1, keepdim=True) * distance
    lengths = torch.rand(m, 1, generator=random) * 3 + 0.2
    return {"origins": origins, "directions": (targets - origins) * lengths / distance}


def scattered(random):
    return gaussians(80, random)


def tiny(random):
    return gaussians(60, random, size=1e-4, spread=0.5)


def needles(random):
    scene = gaussians(40, random, size=1.0)
    scene["scales"] = torch.tensor([1.0, 1e-3, 1e-3]).expand(40, 3).clone()
    return scene


def discs(random):
    scene = gaussians(40, random, size=1.0)
    scene["scales"] = torch.tensor([0.5, 0.5, 5e-4]).expand(40, 3).clone()
    return scene


def sheets(random):
    """As thin as after training."""
    scene = gaussians(40, random)
    scene["scales"][:, 2] = 1e-6
    return scene


def huge(random):
    scene = gaussians(60, random)
    scene["scales"][::7] = 40.0
    scene["opacities"][::7] = 0.1
    return scene


def nested(random):
    scene = gaussians(24, random, spread=0.01)
    scene["scales"] = torch.logspace(-2, 0.5, 24)[:, None] * torch.tensor([1.0, 0.8, 0.5])
    scene["opacities"] = torch.full((24,), 0.15)
    return scene


def crowd(random):
    """More overlapping Gaussians than a fixed-size list of hits could store."""
    scene = gaussians(400, random, spread=0.002, size=0.3)
    scene["opacities"] = 0.01 + 0.02 * scene["opacities"]
    return scene


def opaque(random):
    scene = gaussians(80, random)
    scene["opacities"] = torch.ones(80)
    return scene


SCENES = {f.__name__: f for f in (scattered, tiny, needles, discs, sheets, huge, nested, crowd, opaque)}


def inputs_of(name, m=60, **rays):
    random = generator(3)
    scene = SCENES[name](random)
    return {**scene, **aimed_rays(scene, m, random, **rays)}


def exactly(inputs):
    return {name: value.double() for name, value in inputs.items()}


def assert_agrees(inputs, **options):
    """Compare outputs and gradients with the reference; returns the outputs."""
    options = {**LIMITS, **options}
    found = trace_rays(**inputs, **options)
    wanted = definition(**exactly(inputs), **options)
    for got, target in zip(found, wanted, strict=True):
        assert got.dtype == torch.float32
        assert (got - target).norm() < FORWARD * target.norm()
        assert (got - target).abs().max() < FORWARD * target.abs().max()
    got = gradients(lambda **leaves: trace_rays(**leaves, **options), inputs)
    target = gradients(lambda **leaves: definition(**leaves, **options), exactly(inputs))
    assert_gradients_close(got, target, BACKWARD)
    for name, gradient in target.items():
        worst = (got[name] - gradient).abs().max() / gradient.abs().max().clamp_min(1e-30)
        assert worst < BACKWARD, f"gradient of {name}: {worst:.1e} of the largest"
    return found
