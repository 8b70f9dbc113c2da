"""The trust of a small scene, with one half photographed from all sides and the other from one side."""

import math

import torch

from sfumato.envelope.sightings import Sightings
from sfumato.envelope.trust import Trust
from sfumato.render.settings import RasterSettings
from support.small_scenes import camera_at


def small_trust(gaussians):
    """Observed from four surrounding places; Gaussians with x > 0 only from the first."""
    is_right = gaussians.means[:, 0] > 0
    places = torch.stack([camera_at(math.pi * i / 2).centre_world for i in range(4)]).float()
    seen = ~is_right[:, None] | torch.tensor([True, False, False, False])
    residuals = torch.linspace(0.025, 0.05, len(gaussians))
    sightings = Sightings(places, seen, residuals, seen.sum(1), torch.zeros(len(gaussians)))
    return Trust(gaussians, sightings, RasterSettings(depth=False))
