"""The record of a measured point cloud: points with the columns of their file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sfumato.errors import ShapeError

# Width of each column.
_WIDTHS = {"xyz": 3, "rgb": 3, "intensity": 1, "normals": 3, "towards": 3}


@dataclass(frozen=True)
class MeasuredCloud:
    """n measured points and their columns; None for an unknown column.

    Attributes:
        xyz: [n, 3] float64, frame and units of the file.
        rgb: [n, 3] float32, sRGB-encoded, 0 to ``colour_range``.
        intensity: [n, 1] float32, any range.
        normals: [n, 3] float32, any length; zero if unknown.
        towards: [n, 3] float32 unit vectors from the points to their scanner; zero if unknown.
        colour_range: 1, 255 or 65535; None: the smallest of them that ``rgb`` fits in.
        up: unit vector upwards in the frame of the file; None if unknown.
        metres_per_unit: length of a unit; None if unknown.

    Raises:
        ShapeError: a column has another shape.
    """

    xyz: np.ndarray
    rgb: np.ndarray | None = None
    intensity: np.ndarray | None = None
    normals: np.ndarray | None = None
    towards: np.ndarray | None = None
    colour_range: float | None = None
    up: tuple[float, float, float] | None = None
    metres_per_unit: float | None = None

    def __post_init__(self) -> None:
        for name, column in self.columns().items():
            if not isinstance(column, np.ndarray) or column.shape != (len(self.xyz), _WIDTHS[name]):
                shape = list(getattr(column, "shape", []))
                raise ShapeError(f"{name} has shape {shape}, expected [{len(self.xyz)}, {_WIDTHS[name]}]")

    def __len__(self) -> int:
        return len(self.xyz)

    def columns(self) -> dict[str, np.ndarray]:
        """The known columns, by name."""
        found = {name: getattr(self, name) for name in _WIDTHS}
        return {name: column for name, column in found.items() if column is not None}

    def select(self, rows: np.ndarray) -> MeasuredCloud:
        """The points where the mask ``rows`` [n] is true, or at the indices ``rows`` [m]."""
        return self.with_columns({name: column[rows] for name, column in self.columns().items()})

    def with_columns(self, columns: Mapping[str, Any]) -> MeasuredCloud:
        """The cloud with columns replaced, by name."""
        return replace(self, **columns)

    def finite(self) -> MeasuredCloud:
        """The points with finite positions; values of other columns that are not finite become 0."""
        keep = (np.abs(self.xyz) < _FARTHEST).all(axis=1)
        kept = self if keep.all() else self.select(keep)
        rest = {name: _without_nan(one) for name, one in kept.columns().items() if name != "xyz"}
        return kept.with_columns(rest)


# Squares of farther positions overflow float32.
_FARTHEST = 1e18


def _without_nan(column: np.ndarray) -> np.ndarray:
    return column if np.isfinite(column).all() else np.nan_to_num(column, posinf=0.0, neginf=0.0)


def joined(clouds: Sequence[MeasuredCloud]) -> MeasuredCloud:
    """Concatenate clouds; a column that only some have is zero for the others.

    Args:
        clouds: at least one; other attributes are taken from the first.
    """
    if len(clouds) == 1:
        return clouds[0]
    names = [name for name in _WIDTHS if any(name in cloud.columns() for cloud in clouds)]
    columns = {
        name: np.concatenate(
            [cloud.columns().get(name, np.zeros((len(cloud), _WIDTHS[name]), np.float32)) for cloud in clouds]
        )
        for name in names
    }
    return clouds[0].with_columns(columns)
