"""Scenes as `.ply`: the layout that viewers of 3D Gaussians read.

One element ``vertex`` with ``x y z nx ny nz``, ``f_dc_0..2``, ``f_rest_*`` (all coefficients of red,
then of green, then of blue), ``opacity`` (logit), ``scale_0..2`` (ln), ``rot_0..3`` (w, x, y, z), all
float32 little endian; and, if the scene has identities, ``identity``, int32. Read in any order, byte order,
number type, or as text; other properties and elements are skipped.
"""

from __future__ import annotations

import logging
from pathlib import Path

from sfumato.scene.files.codec import Codec
from sfumato.scene.files.ply_checksum import has_changed
from sfumato.scene.files.ply_rows import read_layout, read_whole
from sfumato.scene.files.ply_writing import writing
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Scene

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
    layout = read_layout(path)
    scene = read_whole(layout)
    if has_changed(layout.header):
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
    with writing(path, gaussians, len(gaussians)) as add:
        add(gaussians)


CODEC = Codec("ply", (".ply",), recognises, load, save)
