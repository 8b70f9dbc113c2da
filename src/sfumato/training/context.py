"""The position of a step in the run, and the scheduled values there."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sfumato.training.clearance import Clearance


@dataclass(frozen=True)
class StepContext:
    """What holds for one step, whatever it looks at.

    Attributes:
        step: number of this step; 1 for the first.
        progress: share of the run that was done before it, 0 to 1.
        sh_degree: highest SH degree in use.
        downscale: how many times smaller the photographs are: 4, 2 or 1.
        is_densifying: the number of Gaussians may grow, so screen-space gradients are collected.
        is_settling: the number of Gaussians is fixed, and the scenes of the steps are averaged.
        max_gaussians: number of Gaussians allowed now.
        means_rate: learning rate of the means, scene units.
        depth: how far the scene is from the cameras, scene units.
        clearance: the cameras, and the space around them where no Gaussian belongs.
        generator: source of random numbers on the host.
        scene_generator: the same on the device of the scene; on the host it is ``generator``.
    """

    step: int
    progress: float
    sh_degree: int
    downscale: int
    is_densifying: bool
    is_settling: bool
    max_gaussians: int
    means_rate: float
    depth: float
    clearance: Clearance
    generator: torch.Generator
    scene_generator: torch.Generator
