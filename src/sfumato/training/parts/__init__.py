"""The parts of a training step beside rendering and loss: one class each, created here."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from sfumato.capture.dataset import Capture, reduction_of
from sfumato.ops.backend import HOST
from sfumato.training.config import TrainConfig
from sfumato.training.densify import make_densifier
from sfumato.training.part import Part
from sfumato.training.parts.average import Average
from sfumato.training.parts.background import RandomBackground
from sfumato.training.parts.crops import Crops
from sfumato.training.parts.exposure import Exposure
from sfumato.training.parts.poses import Poses
from sfumato.training.parts.surface_penalty import SurfacePenalty
from sfumato.training.render_settings import settings_of


def make_parts(
    capture: Capture, config: TrainConfig, extra: Iterable[Part] = (), device: torch.device = HOST
) -> dict[str, Part]:
    """The parts of a configuration, by name, in the order in which they are called.

    Args:
        capture: the training data.
        config: of the run.
        extra: the user's parts. One with the name of a standard part replaces it; the others come before
            the densifier, which may change the number of Gaussians.
        device: of the scene.
    """
    views = capture.train_views
    own = {part.name: part for part in extra}
    parts: list[Part] = []
    if config.random_background:
        parts.append(RandomBackground())
    if config.crops > 1:
        parts.append(Crops(config.crops))
    if config.exposure:
        parts.append(Exposure(len(views), config.rates, device))
    if config.refine_poses:
        parts.append(Poses.of(views, capture.depth, config, device))
    if config.surface_weight > 0:
        parts.append(
            SurfacePenalty(config.surface_weight, settings_of(config, reduction=reduction_of(views)))
        )
    last = [make_densifier(config), Average()]
    named = {part.name for part in (*parts, *last)}
    parts += [part for name, part in own.items() if name not in named]
    return {part.name: own.get(part.name, part) for part in (*parts, *last)}
