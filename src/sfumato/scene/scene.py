"""A scene as stored in a file: Gaussians and metadata."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ShapeError
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.opening_view import OpeningView

if TYPE_CHECKING:
    from typing_extensions import Self


# The name of this program in the files that it writes, and the source of the scenes that it trains.
GENERATOR = "Sfumato"
MAX_SOURCE_CHARACTERS = 200


@dataclass(frozen=True)
class Metadata:
    """Data in scene files beyond the Gaussians.

    Attributes:
        antialiased: whether the scene was trained for anti-aliased rendering
            (``RasterSettings.antialiased``), without which it looks wrong.
        up: unit vector upwards in the scene's frame; None if unknown.
        metres_per_unit: length of a scene unit; None if unknown.
        time: time of the scene, in the units of its capture; None for static scenes.
        offset: vector to add to positions in the scene's frame to get those in the frame of the measurements,
            such as map coordinates; None if unknown.
        source: name of the program that made the scene; None if unknown. Printable text of at most
            ``MAX_SOURCE_CHARACTERS``: control characters become blanks, longer text is truncated.
        view: the view with which the scene opens; None: none was chosen.
    """

    antialiased: bool = False
    up: tuple[float, float, float] | None = None
    metres_per_unit: float | None = None
    time: float | None = None
    offset: tuple[float, float, float] | None = None
    source: str | None = None
    view: OpeningView | None = None

    def __post_init__(self) -> None:
        if self.source is not None:
            object.__setattr__(self, "source", _printable(self.source))


@dataclass(frozen=True)
class Scene(Gaussians):
    """Gaussians with the metadata of their file.

    Attributes:
        metadata: see ``Metadata``.
        identities: [n] int64 numbers that identify each Gaussian over time and across ``select``;
            None if there are none.
        floating: [n] bool, the Gaussians classified as floaters from photographs; None if unknown, as for
            files.

    Raises:
        ShapeError: see ``Gaussians``; or ``identities`` are not [n] int64, or ``floating`` is not [n] bool.
    """

    metadata: Metadata = Metadata()
    identities: Tensor | None = None
    floating: Tensor | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.identities is not None:
            if self.identities.dtype != torch.int64:
                raise ShapeError(f"identities are {self.identities.dtype}, expected torch.int64")
            check_shapes(means=(self.means, "n 3"), identities=(self.identities, "n"))
        if self.floating is not None:
            if self.floating.dtype != torch.bool:
                raise ShapeError(f"floating is {self.floating.dtype}, expected torch.bool")
            check_shapes(means=(self.means, "n 3"), floating=(self.floating, "n"))

    def select(self, keep: Tensor) -> Self:
        """See ``Gaussians.select``; identities and floaters are selected as well."""
        chosen: dict[str, Any] = {name: tensor[keep] for name, tensor in self.tensors().items()}
        return replace(self, **chosen, **{name: known[keep] for name, known in self._extra_fields().items()})

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """See ``Gaussians.to``; identities and floaters are moved as well."""
        moved, known = super().to(*args, **kwargs), self._extra_fields()
        return replace(moved, **{name: one.to(moved.means.device) for name, one in known.items()})

    def _extra_fields(self) -> dict[str, Any]:
        """The tensors [n] beside the parameters, by name, where present."""
        known = {"identities": self.identities, "floating": self.floating}
        return {name: one for name, one in known.items() if one is not None}

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, {self.metadata})"


def metadata_of(gaussians: Gaussians) -> Metadata:
    """The metadata of a scene; empty for Gaussians alone."""
    return gaussians.metadata if isinstance(gaussians, Scene) else Metadata()


def with_metadata(gaussians: Gaussians, metadata: Metadata) -> Scene:
    """The same Gaussians as a scene with this metadata."""
    return Scene(
        **gaussians.tensors(),
        metadata=metadata,
        identities=identities_of(gaussians),
        floating=floating_of(gaussians),
    )


def identities_of(gaussians: Gaussians) -> Tensor | None:
    """[n] int64 identities of a scene's Gaussians; None where they have none."""
    return gaussians.identities if isinstance(gaussians, Scene) else None


def floating_of(gaussians: Gaussians) -> Tensor | None:
    """[n] bool, the Gaussians classified as floaters; None if unknown."""
    return gaussians.floating if isinstance(gaussians, Scene) else None


def _printable(text: str) -> str | None:
    """Text on one line, without control characters and of bounded length; None if nothing is left."""
    start = text[:MAX_SOURCE_CHARACTERS]
    words = "".join(character if character.isprintable() else " " for character in start).split()
    return " ".join(words) or None
