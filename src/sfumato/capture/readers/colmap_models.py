"""COLMAP's camera models by number and name, and their parameters as intrinsics and a lens."""

from __future__ import annotations

import math
from typing import TypeAlias

from sfumato.errors import CaptureError
from sfumato.scene.lenses import LENS_COEFFICIENTS, Lens

Pair: TypeAlias = tuple[float, float]

MODEL_NAMES = (
    "SIMPLE_PINHOLE",
    "PINHOLE",
    "SIMPLE_RADIAL",
    "RADIAL",
    "OPENCV",
    "OPENCV_FISHEYE",
    "FULL_OPENCV",
    "FOV",
    "SIMPLE_RADIAL_FISHEYE",
    "RADIAL_FISHEYE",
    "THIN_PRISM_FISHEYE",
    "RAD_TAN_THIN_PRISM_FISHEYE",
    "SIMPLE_DIVISION",
    "DIVISION",
    "SIMPLE_FISHEYE",
    "FISHEYE",
    "EUCM",
    "EQUIRECTANGULAR",
)
"""In the order of COLMAP's model ids, 0 to 17."""

_ONE_FOCAL = frozenset(
    {
        "SIMPLE_PINHOLE",
        "SIMPLE_RADIAL",
        "RADIAL",
        "SIMPLE_RADIAL_FISHEYE",
        "RADIAL_FISHEYE",
        "SIMPLE_DIVISION",
        "SIMPLE_FISHEYE",
    }
)
_LENS_OF = {"SIMPLE_PINHOLE": "pinhole", "SIMPLE_DIVISION": "division", "SIMPLE_FISHEYE": "fisheye"}


def num_params(model: str) -> int:
    """Number of parameters of a camera of this model in COLMAP's files."""
    if model == "EQUIRECTANGULAR":
        return 2
    return (3 if model in _ONE_FOCAL else 4) + len(LENS_COEFFICIENTS[_lens_name(model)])


def split_params(model: str, params: tuple[float, ...], where: str) -> tuple[Pair, Pair, Lens]:
    """The parameters of a COLMAP camera as (focal_px, centre_px, lens).

    Args:
        model: the name of the model.
        params: its numbers in COLMAP's order.
        where: file and camera, for the message.

    Raises:
        CaptureError: the model is unknown or takes another number of parameters.
    """
    if model not in MODEL_NAMES:
        raise CaptureError(f"{where}: unknown camera model {model!r:.60}; known are {', '.join(MODEL_NAMES)}")
    if len(params) != num_params(model):
        raise CaptureError(
            f"{where}: {model} has {len(params)} parameters, expected {num_params(model)}; export the model "
            "again"
        )
    if model == "EQUIRECTANGULAR":
        width, height = params
        return panorama((width, height))
    if model in _ONE_FOCAL:
        params = (params[0], *params)
    fx, fy, cx, cy, *coefficients = params
    return (fx, fy), (cx, cy), Lens(_lens_name(model), tuple(coefficients))


def panorama(size_px: Pair) -> tuple[Pair, Pair, Lens]:
    """(focal_px, centre_px, lens) of a picture of the whole sphere, (width, height) pixels."""
    width, height = size_px
    return (width / (2.0 * math.pi), height / math.pi), (0.5 * width, 0.5 * height), Lens("equirectangular")


def _lens_name(model: str) -> str:
    return _LENS_OF.get(model, model.lower())
