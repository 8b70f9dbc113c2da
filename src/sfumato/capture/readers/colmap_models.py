"""COLMAP's camera models by number and name, and their parameters as intrinsics and a lens."""

from __future__ import annotations

from sfumato.errors import CaptureError
from sfumato.scene.lenses import LENS_COEFFICIENTS, Lens

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
    """How many numbers a camera of this model has in COLMAP's files."""
    if model == "EQUIRECTANGULAR":
        return 2
    return (3 if model in _ONE_FOCAL else 4) + len(LENS_COEFFICIENTS[_lens_name(model)])


def split_params(model: str, params: tuple[float, ...], where: str):
    """The parameters of a COLMAP camera as (focal_px, centre_px, lens).

    Args:
        model: one of ``MODEL_NAMES``.
        params: ``num_params(model)`` numbers in COLMAP's order.
        where: file and camera, for the message.

    Raises:
        CaptureError: the model cannot become a pinhole.
    """
    if model == "EQUIRECTANGULAR":
        raise CaptureError(
            f"{where} is EQUIRECTANGULAR: a full panorama is no pinhole picture; cut the panoramas into "
            "perspective pictures first (COLMAP's panorama_sfm.py does) and give that model"
        )
    if model in _ONE_FOCAL:
        params = (params[0], *params)
    return params[0:2], params[2:4], Lens(_lens_name(model), tuple(params[4:]))


def _lens_name(model: str) -> str:
    return _LENS_OF.get(model, model.lower())
