"""The training loss."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from sfumato import ops
from sfumato.training.config import TrainConfig
from sfumato.training.target import Target

# A function of a render [h, w, 3] and its target; returns the loss [].
Loss = Callable[[Tensor, Target], Tensor]


def photometric_loss(config: TrainConfig) -> Loss:
    """The loss of a configuration: ``ops.photometric_loss`` with its weights."""

    def loss(image: Tensor, target: Target) -> Tensor:
        return ops.photometric_loss(
            image, target.image, target.weight, ssim_weight=config.ssim_weight, pixel_loss=config.pixel_loss
        )

    return loss
