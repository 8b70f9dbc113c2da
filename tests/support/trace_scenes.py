"""Scenes that break approximations of tracing, and rays of cameras."""

import torch

from support.op_scenes import gaussians

# More than one tile in each direction, and not multiples of a block.
WIDTH, HEIGHT = 45, 38


def pinhole(width=WIDTH, height=HEIGHT, tangent=0.6):
    """Directions [h, w, 3] of a camera that looks along z; ``tangent`` of half its width."""
    x = ((torch.arange(width) + 0.5) / width * 2 - 1) * tangent
    y = ((torch.arange(height) + 0.5) / height * 2 - 1) * tangent * height / width
    return torch.stack(
        [x.expand(height, width), y[:, None].expand(height, width), torch.ones(height, width)], -1
    )


def sphere(width=WIDTH, height=HEIGHT):
    """Directions of the whole sphere, and none in one corner."""
    longitude = ((torch.arange(width) + 0.5) / width * 2 - 1) * torch.pi
    latitude = ((torch.arange(height) + 0.5) / height - 0.5) * torch.pi
    longitude, latitude = longitude.expand(height, width), latitude[:, None].expand(height, width)
    x, z = latitude.cos() * longitude.sin(), latitude.cos() * longitude.cos()
    directions = torch.stack([x, latitude.sin(), z], -1)
    directions[:7, :9] = 0.0
    return directions


def scene(change=None, n=40, directions=None):
    """Inputs of ops.trace by name, float32."""
    values = gaussians(n, seed=3, dtype=torch.float32)
    random = torch.Generator().manual_seed(8)
    inputs = {name: values[name] for name in ("means", "quats", "scales", "opacities")}
    inputs["colours"] = torch.rand(n, 3, generator=random)
    inputs["eye"] = torch.tensor([0.1, -0.2, 0.05])
    inputs["directions"] = pinhole() if directions is None else directions
    inputs["background"] = torch.rand(3, generator=random)
    if change:
        change(inputs)
    return inputs


def overlapping(s):
    s["means"][:] = torch.tensor([0.0, 0.0, 3.0]) + 0.05 * s["means"]
    s["opacities"][:] *= 0.3


def nested(s):
    s["means"][:] = torch.tensor([0.1, 0.0, 2.5])
    s["scales"][:] = torch.linspace(0.02, 0.8, len(s["scales"]))[:, None] * torch.tensor([1.0, 0.7, 0.5])
    s["means"][:, 2] += torch.linspace(-0.01, 0.01, len(s["means"]))


def huge(s):
    s["scales"][::5] = torch.tensor([50.0, 30.0, 40.0])
    s["opacities"][::5] = 0.2


def tiny(s):
    s["scales"][:] = torch.tensor([1e-4, 7e-5, 5e-5])
    # Placed on the rays, which would miss them otherwise.
    rays = s["directions"][::5, ::5].reshape(-1, 3)[: len(s["means"])]
    beside = 7e-5 * torch.randn(len(rays), 3, generator=torch.Generator().manual_seed(6))
    s["means"][: len(rays)] = s["eye"] + 5.0 * rays / rays.norm(dim=1, keepdim=True) + beside


def needles(s):
    s["scales"][:] = torch.tensor([1.0, 1e-3, 1e-3])
    s["opacities"][:] = 0.8


def plates(s):
    s["scales"][:] = torch.tensor([0.5, 0.5, 5e-4])


def inside(s):
    s["means"][:10] = s["eye"] + 0.1 * torch.randn(10, 3, generator=torch.Generator().manual_seed(1))
    s["scales"][:10] = torch.tensor([0.3, 0.2, 0.4])


def at_the_eye(s):
    s["means"][0] = s["eye"]


def grazing(s):
    # Plates parallel to the rays.
    s["quats"][:] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    s["scales"][:] = torch.tensor([0.5, 1e-3, 2.0])
    s["means"][:, 1] = torch.linspace(-0.4, 0.4, len(s["means"]))


def behind(s):
    s["means"][::2, 2] *= -1.0


def opaque(s):
    s["opacities"][:] = 1.0


SCENES = {
    f.__name__: f
    for f in (overlapping, nested, huge, tiny, needles, plates, inside, at_the_eye, grazing, behind, opaque)
}
