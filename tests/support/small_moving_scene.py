"""A dynamic scene of some dozens of Gaussians, with births, deaths and surrounding cameras."""

from dataclasses import replace

import numpy as np
import torch

from sfumato.maths.quaternions import normalised
from sfumato.scene.dynamic import DynamicScene
from sfumato.viewer.subject import Photograph
from sfumato.viewer.tracked_subject import moving_subject
from support.small_scenes import BACKGROUND, camera_at, drawn, small_scene

STEPS, MOVING = 5, 30
# Moving Gaussians with a limited lifetime, as rows among the moving ones.
LATE, EARLY, LATE_BIRTH, EARLY_DEATH = slice(0, 8), slice(8, 16), 2, 3


def small_moving_scene(steps=STEPS):
    """80 Gaussians, of which every other one of the first 60 moves; steps a quarter of a second apart."""
    gaussians = small_scene()
    gaussians.logit_opacities[:] = gaussians.logit_opacities.clamp(min=1.0)
    ids = torch.arange(0, 2 * MOVING, 2)
    random = torch.Generator().manual_seed(4)
    way, turn = torch.randn(MOVING, 3, generator=random), torch.randn(MOVING, 4, generator=random)
    shares = torch.arange(steps)[:, None, None] / (steps - 1)
    means = gaussians.means[ids] + shares * way + 0.3 * torch.sin(6 * shares) * way.roll(1, 1)
    quats = normalised(normalised(gaussians.quats[ids]) + 0.6 * shares * turn)
    birth, death = torch.zeros(MOVING, dtype=torch.int64), torch.full((MOVING,), steps)
    birth[LATE], death[EARLY] = LATE_BIRTH, EARLY_DEATH
    step = torch.arange(steps)[:, None]
    gone = (step < birth) | (step >= death)
    means[gone], quats[gone] = torch.nan, torch.nan
    times = 0.25 * torch.arange(steps, dtype=torch.float64) + 1.0
    return DynamicScene(gaussians, ids, times, means, quats, birth, death)


def small_moving_subject(cameras=3):
    """The scene with a photograph of each step in each camera."""
    scene = small_moving_scene()
    subject = moving_subject("moving blobs", scene)
    photographs = []
    for index in range(cameras):
        camera = camera_at(2 * np.pi * index / cameras, roll=0.2 * index)
        shots = [drawn(scene.at(time), camera) for time in scene.times.tolist()]
        pixels = [lambda shot=shot: shot for shot in shots]
        photographs.append(Photograph(f"cam{index}", camera, index == 1, pixels[0], pixels_at=pixels))
    settings = replace(subject.settings, background=BACKGROUND)
    return replace(subject, photographs=photographs, settings=settings)
