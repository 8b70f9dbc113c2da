"""The view with which a scene opens: chosen by its author, and kept with the scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Vertical fields of view, degrees.
_LEAST_FOV_DEG, _MOST_FOV_DEG = 1.0, 170.0
_MOST = 1e15


@dataclass(frozen=True)
class OpeningView:
    """The initial view: a camera position and a target.

    Attributes:
        position: (x, y, z) of the eye, scene units in the scene's frame.
        target: (x, y, z) of the point in the middle of the picture, about which the view then turns.
        up: (x, y, z) upwards in the picture.
        fov_deg: vertical field of view.
    """

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    up: tuple[float, float, float]
    fov_deg: float

    def numbers(self) -> tuple[float, ...]:
        """Position, target, up and field of view as ten numbers."""
        return (*self.position, *self.target, *self.up, self.fov_deg)

    def moved(self, linear: Tensor, shift: Tensor) -> OpeningView:
        """The view of a scene under x -> linear x + shift.

        Args:
            linear: [3, 3] float64, a rotation times a scale.
            shift: [3] float64, scene units.
        """
        places = torch.tensor([self.position, self.target, self.up], dtype=torch.float64) @ linear.T
        places[:2] += shift
        position, target, up = ((x, y, z) for x, y, z in places.tolist())
        return OpeningView(position, target, up, self.fov_deg)


def view_of_numbers(numbers: Sequence[float]) -> OpeningView | None:
    """The view of ten numbers as of ``OpeningView.numbers``; None if they are not those of a view."""
    if len(numbers) != 10 or not all(math.isfinite(v) and abs(v) < _MOST for v in numbers):
        return None
    px, py, pz, tx, ty, tz, ux, uy, uz, fov_deg = map(float, numbers)
    way, up = (tx - px, ty - py, tz - pz), (ux, uy, uz)
    across = math.hypot(
        way[1] * uz - way[2] * uy, way[2] * ux - way[0] * uz, way[0] * uy - way[1] * ux
    )  # fmt: skip
    sides = math.hypot(*way) * math.hypot(*up)
    if not sides > 0 or across < 1e-6 * sides or not _LEAST_FOV_DEG <= fov_deg <= _MOST_FOV_DEG:
        return None
    return OpeningView((px, py, pz), (tx, ty, tz), up, fov_deg)
