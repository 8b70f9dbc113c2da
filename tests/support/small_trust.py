"""The trust of a small scene whose one half was photographed from all sides, and the other from one."""

import math

import torch

from sfumato.envelope.sightings import Sightings
from sfumato.envelope.trust import Trust
from sfumato.render.settings import RasterSettings
from support.small_scenes import camera_at


def small_trust(gaussians):
    """Seen from four places round it; what has x > 0 from the first alone."""
    is_right = gaussians.means[:, 0] > 0
    places = torch.stack([camera_at(math.pi * i / 2).centre_world for i in range(4)]).float()
    seen = ~is_right[:, None] | torch.tensor([True, False, False, False])
    residuals = torch.linspace(0.025, 0.05, len(gaussians))
    sightings = Sightings(places, seen, residuals, seen.sum(1), torch.zeros(len(gaussians)))
    return Trust(gaussians, sightings, RasterSettings(depth=False))
