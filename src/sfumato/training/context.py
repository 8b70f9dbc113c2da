"""The position of a step in the run, and the scheduled values there."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sfumato.training.clearance import Clearance


@dataclass(frozen=True)
class StepContext:
    """Scheduled values of one step, the same for all its views.

    Attributes:
        step: number of this step; 1 for the first.
        progress: fraction of the run that was done before it, 0 to 1.
        sh_degree: highest SH degree in use.
        downscale: factor by which photographs are reduced: 4, 2 or 1.
        is_densifying: the number of Gaussians may grow, so screen-space gradients are collected.
        is_settling: the number of Gaussians is fixed, and the scenes of the steps are averaged.
        max_gaussians: current cap on the number of Gaussians.
        means_rate: learning rate of the means, scene units.
        depth: distance of the scene from the cameras, scene units.
        clearance: the cameras, and the space around them that is kept empty.
        generator: random numbers on the CPU.
        scene_generator: random numbers on the scene's device; on the CPU it is ``generator``.
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

    @property
    def run_steps(self) -> float:
        """Steps of the whole run, as far as its progress tells: exact if the run is one of steps."""
        return (self.step - 1) / self.progress if self.progress > 0 else float(self.step)
