"""A new background colour for each photograph of each step."""

from __future__ import annotations

from dataclasses import replace

import torch

from sfumato.training.part import Part, Shot


class RandomBackground(Part):
    """Puts the same random colour behind renders and transparent photographs.

    Uncovered areas are then penalised and get filled.
    """

    name = "background"

    def prepare(self, shot: Shot) -> Shot:
        return replace(shot, background=tuple(torch.rand(3, generator=shot.context.generator).tolist()))
