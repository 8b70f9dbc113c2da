"""Scenes as `.splat`: 32 bytes per Gaussian, without a header and without view-dependent colour.

Position and scale as three float32 each, colour and opacity as four bytes, the quaternion (w, x, y, z)
as four bytes, where 128 is zero and 0 is -1; little endian.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from sfumato.errors import FormatError
from sfumato.scene.files import values
from sfumato.scene.files.codec import Codec
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Scene, metadata_of

ROW = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("quat", "u1", 4)])
# Rows of one block: enough to amortise Python's work.
BLOCK = 65536
# Bounds of positions and scales that scenes never reach; bytes of other files, read as floats, often do.
_FAR, _WIDE = 1e9, 1e7

_log = logging.getLogger(__name__)


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file may be of this format: by its suffix, or if its length and first rows are plausible."""
    if path.suffix.lower() == ".splat":
        return True
    rows = np.frombuffer(head, ROW, len(head) // ROW.itemsize)
    if not len(rows) or path.stat().st_size % ROW.itemsize:
        return False
    with np.errstate(invalid="ignore"):
        near = (np.abs(rows["mean"]) < _FAR).all()
        sized = ((rows["scale"] >= 0) & (rows["scale"] < _WIDE)).all() and (rows["scale"] > 0).any()
    return bool(near and sized and (rows["quat"] != 128).any(axis=1).all())


def load(path: Path) -> Scene:
    """Read Gaussians from a `.splat` file.

    Args:
        path: the file.

    Returns:
        float32 on the CPU, SH degree 0, in the file's frame, quaternions of about length one.

    Raises:
        FormatError: the length is not a multiple of 32 bytes.
    """
    size = path.stat().st_size
    count, rest = divmod(size, ROW.itemsize)
    if rest or not count:
        raise FormatError(
            f"{path} has {size} bytes, which is not a multiple of the {ROW.itemsize} of a Gaussian"
        )
    means = np.empty((count, 3), np.float32)
    log_scales = np.empty((count, 3), np.float32)
    quats = np.empty((count, 4), np.float32)
    logits = np.empty(count, np.float32)
    sh = np.empty((count, 1, 3), np.float32)
    with path.open("rb") as handle:
        for start in range(0, count, BLOCK):
            rows = np.fromfile(handle, ROW, min(BLOCK, count - start))
            part = slice(start, start + BLOCK)
            if len(rows) != len(means[part]):
                raise FormatError(f"{path} ended while it was read")
            means[part] = rows["mean"]
            log_scales[part] = values.log_of_scales(rows["scale"])
            quats[part] = _unpack_quats(rows["quat"])
            logits[part] = values.logit_of_opacities(rows["rgba"][:, 3] / np.float32(255))
            sh[part, 0] = values.base_of_colour(rows["rgba"][:, :3] / np.float32(255))
    return values.scene_of(
        {"means": means, "log_scales": log_scales, "quats": quats, "logit_opacities": logits, "sh": sh}
    )


def save(gaussians: Gaussians, path: Path) -> None:
    """Write Gaussians as a `.splat` file; SH above degree 0 are dropped, with a warning.

    Args:
        gaussians: the scene, any device or float type.
        path: the file to write.

    Raises:
        FormatError: a field holds NaN or infinity, or a value that ``load`` would refuse.
    """
    arrays = values.checked_arrays(gaussians)
    if not len(gaussians):
        raise FormatError("the scene cannot be saved: a .splat file cannot be empty")
    if gaussians.sh_degree:
        _log.warning(
            ".splat holds no view-dependent colour: SH of degree 1 to %d are dropped", gaussians.sh_degree
        )
    values.warn_of_lost_metadata(metadata_of(gaussians), ".splat")
    with path.open("wb") as handle:
        for start in range(0, len(gaussians), BLOCK):
            part = {name: array[start : start + BLOCK] for name, array in arrays.items()}
            rows = np.empty(len(part["means"]), ROW)
            rows["mean"] = part["means"]
            rows["scale"] = np.exp(part["log_scales"])
            rows["rgba"][:, :3] = _bytes(values.colour_of_base(part["sh"][:, 0]) * 255)
            rows["rgba"][:, 3] = _bytes(values.opacities_of_logits(part["logit_opacities"]) * 255)
            unit = part["quats"] / np.linalg.norm(part["quats"], axis=1, keepdims=True)
            rows["quat"] = _bytes(unit * 128 + 128)
            rows.tofile(handle)


CODEC = Codec(".splat", (".splat",), recognises, load, save)


def _unpack_quats(stored: np.ndarray) -> np.ndarray:
    """[n, 4] quaternions of [n, 4] bytes; the identity where all bytes encode zero."""
    quats = (stored.astype(np.float32) - 128) / 128
    quats[(stored == 128).all(axis=1), 0] = 1
    return quats


def _bytes(numbers: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(numbers), 0, 255).astype(np.uint8)
