"""A scene as a file holds it: Gaussians, and what the file says of them besides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ShapeError
from sfumato.scene.gaussians import Gaussians

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class Metadata:
    """What files say of a scene beside its Gaussians.

    Attributes:
        antialiased: it was made for anti-aliased rendering (``RasterSettings.antialiased``) and looks right
            only so.
        up: unit vector upwards in the scene's frame; None where nobody says.
        metres_per_unit: length of a scene unit; None where nobody says.
        time: moment that the scene shows, as its capture counts it; None for scenes that stand still.
    """

    antialiased: bool = False
    up: tuple[float, float, float] | None = None
    metres_per_unit: float | None = None
    time: float | None = None


@dataclass(frozen=True)
class Scene(Gaussians):
    """Gaussians with what a file says of them besides.

    Attributes:
        metadata: all but the tensors.
        identities: [n] int64 numbers that tell each Gaussian from the others, and stay with it through
            time and through ``select``; None where Gaussians have none.

    Raises:
        ShapeError: as of ``Gaussians``, or ``identities`` are not n whole numbers.
    """

    metadata: Metadata = Metadata()
    identities: Tensor | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.identities is not None:
            if self.identities.dtype != torch.int64:
                raise ShapeError(f"identities are {self.identities.dtype}, expected torch.int64")
            check_shapes(means=(self.means, "n 3"), identities=(self.identities, "n"))

    def select(self, keep: Tensor) -> Self:
        """As of ``Gaussians``; identities stay with their Gaussians."""
        chosen: dict[str, Any] = {name: tensor[keep] for name, tensor in self.tensors().items()}
        return replace(self, **chosen, identities=None if self.identities is None else self.identities[keep])

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """As of ``Gaussians``; identities move along."""
        moved = super().to(*args, **kwargs)
        if self.identities is None:
            return moved
        return replace(moved, identities=self.identities.to(moved.means.device))

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, {self.metadata})"


def metadata_of(gaussians: Gaussians) -> Metadata:
    """What is known of a scene; nothing for Gaussians alone."""
    return gaussians.metadata if isinstance(gaussians, Scene) else Metadata()


def with_metadata(gaussians: Gaussians, metadata: Metadata) -> Scene:
    """The same Gaussians as a scene of which this is known."""
    return Scene(**gaussians.tensors(), metadata=metadata, identities=identities_of(gaussians))


def identities_of(gaussians: Gaussians) -> Tensor | None:
    """[n] int64 identities of a scene's Gaussians; None where they have none."""
    return gaussians.identities if isinstance(gaussians, Scene) else None
