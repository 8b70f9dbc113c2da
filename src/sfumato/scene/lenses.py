"""Lens models: how a direction in the camera frame meets the image plane."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lens:
    """A named lens model and its coefficients (none for the ideal ones).

    Attributes:
        model: "pinhole", "ortho", "fisheye" (equidistant, ideal), or a distorted model.
        coefficients: distortion coefficients in the order of the model.
    """

    model: str = "pinhole"
    coefficients: tuple[float, ...] = ()


PINHOLE = Lens()
