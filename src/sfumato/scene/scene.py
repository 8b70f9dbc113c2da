"""A scene as a file holds it: Gaussians, and what the file says of them besides."""

from __future__ import annotations

from dataclasses import dataclass

from sfumato.scene.gaussians import Gaussians


@dataclass(frozen=True)
class Metadata:
    """What files say of a scene beside its Gaussians.

    Attributes:
        antialiased: it was made for anti-aliased rendering (``RasterSettings.antialiased``) and looks right
            only so.
        up: unit vector upwards in the scene's frame; None where nobody says.
        metres_per_unit: length of a scene unit; None where nobody says.
    """

    antialiased: bool = False
    up: tuple[float, float, float] | None = None
    metres_per_unit: float | None = None


@dataclass(frozen=True)
class Scene(Gaussians):
    """Gaussians with what a file says of them besides.

    Attributes:
        metadata: all but the tensors.
    """

    metadata: Metadata = Metadata()

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, {self.metadata})"


def metadata_of(gaussians: Gaussians) -> Metadata:
    """What is known of a scene; nothing for Gaussians alone."""
    return gaussians.metadata if isinstance(gaussians, Scene) else Metadata()


def with_metadata(gaussians: Gaussians, metadata: Metadata) -> Scene:
    """The same Gaussians as a scene of which this is known."""
    return Scene(**gaussians.tensors(), metadata=metadata)
