"""Scenes as `.ply`: the layout that viewers of 3D Gaussians read.

One element ``vertex`` with ``x y z nx ny nz``, ``f_dc_0..2``, ``f_rest_*`` (all coefficients of red,
then of green, then of blue), ``opacity`` (logit), ``scale_0..2`` (ln), ``rot_0..3`` (w, x, y, z), all
float32 little endian; and, if the scene has identities, ``identity``, int32. Read in any order, byte order,
number type, or as text; other properties and elements are skipped.
"""

from __future__ import annotations

import logging
import math
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sfumato.errors import FormatError
from sfumato.scene.files import values
from sfumato.scene.files.codec import Codec
from sfumato.scene.files.ply_checksum import checksum_comment, has_changed
from sfumato.scene.files.ply_comments import comments_of, read_comments
from sfumato.scene.files.ply_table import BLOCK_BYTES, Element, check_length, read_columns, read_header
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Scene, identities_of, metadata_of

REST_COUNTS = {0: 1, 9: 4, 24: 9, 45: 16, 72: 25}
# 2D Gaussians have no third scale: log of its ratio to the smaller of the two.
DISC_LOG_THINNESS = math.log(1e-3)

POSITION = ["x", "y", "z"]
NORMAL = ["nx", "ny", "nz"]
BASE_COLOUR = ["f_dc_0", "f_dc_1", "f_dc_2"]
SCALE = ["scale_0", "scale_1", "scale_2"]
ROTATION = ["rot_0", "rot_1", "rot_2", "rot_3"]
# Mip-Splatting stores its 3D filter separately from the scales.
FILTER = "filter_3D"
# Our own property, after all others: the identity of a Gaussian over time.
IDENTITY = "identity"

_log = logging.getLogger(__name__)


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file that begins with ``head`` is a PLY file, possibly a compressed one."""
    return head.split(b"\n", 1)[0].strip() == b"ply"


def load(path: Path) -> Scene:
    """Read Gaussians from a PLY file.

    Args:
        path: the file; text or binary of either byte order.

    Returns:
        float32 on the CPU, in the file's frame, quaternions as stored. 2D Gaussians without ``scale_2``
        get a third scale of a thousandth of their smaller one. Infinite logits and scales of exp(-infinity)
        become finite values that look the same. The 3D filter of Mip-Splatting is folded into scales and
        opacities, and its scenes are marked for anti-aliased rendering. SH of degree 4 are dropped, with a
        warning.

    Raises:
        FormatError: not a PLY file, without Gaussians, truncated, or with wrong counts.
    """
    header = read_header(path)
    vertex = header.element("vertex")
    if vertex is None:
        raise FormatError(f"{path} has no element 'vertex' and so no Gaussians")
    if header.element("chunk") is not None or "packed_position" in vertex.names:
        raise FormatError(f"{path} is a compressed ply with parts missing: its Gaussians cannot be read")
    in_file = _check_properties(path, vertex)
    num_coefficients = min(in_file, values.MAX_SH_COEFFICIENTS)
    if num_coefficients < in_file:
        _log.warning("%s has %s", path, values.degrees_dropped(math.isqrt(in_file) - 1))
    check_length(header, vertex)
    columns: dict[str, np.ndarray] = {
        "means": np.empty((vertex.count, 3), np.float32),
        "log_scales": np.empty((vertex.count, 3), np.float32),
        "quats": np.empty((vertex.count, 4), np.float32),
        "logit_opacities": np.empty((vertex.count, 1), np.float32),
        "sh": np.empty((vertex.count, num_coefficients * 3), np.float32),
    }
    names = _names_of_columns(num_coefficients, in_file)
    targets = {
        name: columns[field][:, i]
        for field, group in names.items()
        for i, name in enumerate(group)
        if name in vertex.names
    }
    filters = np.empty(vertex.count, np.float32) if FILTER in vertex.names else None
    identities = np.empty(vertex.count, np.int64) if IDENTITY in vertex.names else None
    beside = {FILTER: filters, IDENTITY: identities}
    targets |= {name: array for name, array in beside.items() if array is not None}
    read_columns(header, vertex, targets)
    if "scale_2" not in vertex.names:
        scales = columns["log_scales"]
        scales[:, 2] = scales[:, :2].min(axis=1) + DISC_LOG_THINNESS
    if filters is not None:
        values.fold_filter(filters, columns["log_scales"], columns["logit_opacities"][:, 0])
    values.finite_where_meant(columns["logit_opacities"], columns["log_scales"])
    columns["logit_opacities"] = columns["logit_opacities"][:, 0]
    columns["sh"] = columns["sh"].reshape(vertex.count, num_coefficients, 3)
    # Scenes with the 3D filter were trained with Mip-Splatting's 2D filter as well.
    scene = values.scene_of(columns, read_comments(header.comments, antialiased=filters is not None))
    if identities is not None:
        scene = replace(scene, identities=torch.from_numpy(identities))
    if has_changed(header):
        _log.warning("%s is not as it was written: it is damaged, or another program changed it", path)
    return scene


def save(gaussians: Gaussians, path: Path) -> None:
    """Write Gaussians as a binary little-endian PLY file, as float32.

    Args:
        gaussians: the scene, any device or float type.
        path: the file to write.

    Raises:
        FormatError: a field holds NaN or infinity, or a value that ``load`` would refuse.
    """
    arrays = {
        field: array.reshape(len(gaussians), math.prod(array.shape[1:]))
        for field, array in values.checked_arrays(gaussians).items()
    }
    num_coefficients = gaussians.sh.shape[1]
    # Columns of sh are (coefficient, channel); the file has the base colour, then channel by channel.
    rest = [3 * k + channel for channel in range(3) for k in range(1, num_coefficients)]
    names = [*POSITION, *NORMAL, *BASE_COLOUR, *(f"f_rest_{i}" for i in range(len(rest)))]
    names += ["opacity", *SCALE, *ROTATION]
    identities = _identities_to_write(gaussians)
    header = ["ply", "format binary_little_endian 1.0", checksum_comment(0)]
    header += [*comments_of(metadata_of(gaussians)), f"element vertex {len(gaussians)}"]
    header += [f"property float {name}" for name in names]
    header += [*(f"property int {IDENTITY}" for _ in identities[:1]), "end_header"]
    block = max(1, BLOCK_BYTES // (4 * len(names)))
    checksum = 0
    with path.open("wb") as handle:
        head = "\n".join(header) + "\n"
        handle.write(head.encode("ascii"))
        for start in range(0, len(gaussians), block):
            part = {field: array[start : start + block] for field, array in arrays.items()}
            parts = [part["means"], np.zeros_like(part["means"]), part["sh"][:, :3], part["sh"][:, rest]]
            parts += [part["logit_opacities"], part["log_scales"], part["quats"]]
            parts += [column[start : start + block, None] for column in identities]
            rows = np.concatenate(parts, axis=1).astype("<f4", copy=False).tobytes()
            checksum = zlib.crc32(rows, checksum)
            handle.write(rows)
        # Replaces the placeholder of the same length.
        handle.seek(head.index(checksum_comment(0)))
        handle.write(checksum_comment(checksum).encode("ascii"))


CODEC = Codec("ply", (".ply",), recognises, load, save)


def _identities_to_write(gaussians: Gaussians) -> list[np.ndarray]:
    """The column of identities, [n] little-endian int32 viewed as float32, in a list; empty without any.

    Raises:
        FormatError: one is out of range.
    """
    identities = identities_of(gaussians)
    if identities is None:
        return []
    column = identities.cpu().numpy()
    if len(column) and (column.min() < 0 or column.max() > np.iinfo(np.int32).max):
        raise FormatError(f"the scene cannot be saved: identities are 0 to 2^31 - 1, one is {column.max()}")
    return [column.astype("<i4").view("<f4")]


def _names_of_columns(num_coefficients: int, in_file: int) -> dict[str, list[str]]:
    """Property names of the columns of each field's [n, columns] array; a file may have more SH."""
    rest = [
        f"f_rest_{channel * (in_file - 1) + k}" for k in range(num_coefficients - 1) for channel in range(3)
    ]
    return {
        "means": POSITION,
        "log_scales": SCALE,
        "quats": ROTATION,
        "logit_opacities": ["opacity"],
        "sh": [*BASE_COLOUR, *rest],
    }


def _check_properties(path: Path, vertex: Element) -> int:
    """The number of SH coefficients, after a check that all required properties exist."""
    present = set(vertex.names)
    required = [*POSITION, *BASE_COLOUR, "opacity", *SCALE[:2], *ROTATION]
    missing = [name for name in required if name not in present]
    if missing:
        what = "" if present & {"opacity", "scale_0", "rot_0"} else "; a point cloud or a mesh is not a scene"
        raise FormatError(f"{path} has no {', '.join(missing)}{what}")
    rest = sum(name.startswith("f_rest_") for name in present)
    if rest not in REST_COUNTS or any(f"f_rest_{i}" not in present for i in range(rest)):
        raise FormatError(
            f"{path} has {rest} properties f_rest_*; expected f_rest_0 and on, 0, 9, 24, 45 or 72"
        )
    return REST_COUNTS[rest]
