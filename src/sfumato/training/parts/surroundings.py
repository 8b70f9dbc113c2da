"""Gaussians that are drawn with those in training, but stay as they are."""

from __future__ import annotations

import torch

from sfumato.scene.changes import with_degree
from sfumato.scene.gaussians import Gaussians
from sfumato.training.colour_form import trained_form
from sfumato.training.config import TrainConfig
from sfumato.training.part import Part, Shot


class Surroundings(Part):
    """A frozen scene that represents the parts that the Gaussians in training leave out.

    Where only a part of a scene is trained, its photographs show the rest as well. Without it, floaters in
    front of the cameras would have to explain these pixels.

    Args:
        gaussians: the rest, in the colour form of files.
        config: of the run.
    """

    name = "surroundings"

    def __init__(self, gaussians: Gaussians, config: TrainConfig) -> None:
        plain = with_degree(Gaussians(**gaussians.tensors()), config.highest_degree).detach()
        self._gaussians = trained_form(plain, config.colour)

    def drawn(self, gaussians: Gaussians, shot: Shot) -> Gaussians:
        rest = self._gaussians = self._gaussians.to(gaussians.means.device)
        own, others = gaussians.tensors(), rest.tensors()
        return Gaussians(**{name: torch.cat([own[name], others[name]]) for name in own})
