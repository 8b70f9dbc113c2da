"""A scene as a file holds it: Gaussians, and what the file says of them besides."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from sfumato.scene.gaussians import Gaussians

# Directions nearer to each other than this, as lengths of the difference of unit vectors, are the same.
_SAME = 1e-3

_log = logging.getLogger(__name__)


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


def turned(gaussians: Gaussians, rotation: Tensor) -> Gaussians:
    """The same Gaussians, with what is known of their directions turned.

    Args:
        gaussians: whose own fields are turned already.
        rotation: [3, 3] new_from_old.
    """
    known = metadata_of(gaussians)
    if known.up is None:
        return gaussians
    up = rotation.detach().double().cpu().numpy() @ np.asarray(known.up)
    # Without the minus of a zero.
    return replace(gaussians, metadata=replace(known, up=tuple((up + 0.0).tolist())))


def agreed(parts: Sequence[Gaussians]) -> Metadata:
    """What holds for several scenes as one; where they disagree, what the first says, with a warning.

    Args:
        parts: one or more.
    """
    known = [metadata_of(part) for part in parts]
    ups = [one.up for one in known if one.up is not None]
    units = [one.metres_per_unit for one in known if one.metres_per_unit is not None]
    count = sum(one.antialiased for one in known)
    odds = [f"{count} of {len(known)} are made for anti-aliased rendering"] if 0 < count < len(known) else []
    if any(np.linalg.norm(np.subtract(up, ups[0])) > _SAME for up in ups):
        odds.append("they differ in which way is up")
    if any(abs(unit - units[0]) > _SAME * units[0] for unit in units):
        odds.append("they differ in the length of their unit")
    if odds:
        _log.warning("scenes that are joined disagree: %s; what the first says is kept", ", ".join(odds))
    return Metadata(known[0].antialiased, ups[0] if ups else None, units[0] if units else None)
