"""Small scenes with cameras along a line, and their trust."""

from types import SimpleNamespace

import torch

from sfumato.envelope.sightings import Sightings
from sfumato.envelope.trust import Trust
from sfumato.render.rasterize import rasterize
from sfumato.render.settings import RasterSettings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians

SIZE = (24, 16)
SETTINGS = RasterSettings(depth=False)


def camera_at(x=0.0, z=0.0):
    """A camera at (x, 0, z) that looks along z."""
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, 3] = -torch.tensor([x, 0.0, z], dtype=torch.float64)
    return Camera(pose, (20.0, 20.0), (SIZE[0] / 2, SIZE[1] / 2), SIZE)


def gaussians_at(*means, scale=0.3, opacity=0.9):
    n = len(means)
    return Gaussians(
        torch.tensor(means, dtype=torch.float32),
        torch.full((n, 3), scale).log(),
        torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(n, 1),
        torch.full((n,), opacity).logit(),
        torch.zeros(n, 1, 3),
    )


def view_of(gaussians, camera, wrong_by=0.0, mask=None):
    image = rasterize(gaussians, camera, SETTINGS).image + wrong_by
    rgb = (255 * image).round().to(torch.uint8).numpy()
    return SimpleNamespace(
        name="v", camera=camera, load=lambda: SimpleNamespace(rgb=rgb, alpha=None, mask=mask)
    )


def trust_of(gaussians, seen, places, residual=0.02):
    n = len(gaussians)
    evidence = Sightings(
        torch.tensor(places, dtype=torch.float32),
        torch.tensor(seen, dtype=torch.bool),
        torch.full((n,), residual),
        torch.full((n,), 3),
        torch.zeros(n),
    )
    return Trust(gaussians, evidence, SETTINGS)
