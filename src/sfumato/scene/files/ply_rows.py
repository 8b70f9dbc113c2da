"""Rows of a PLY file with Gaussians: which columns it has, and reading them at once or in blocks."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from sfumato.errors import FormatError
from sfumato.scene.files import values
from sfumato.scene.files.ply_comments import read_comments
from sfumato.scene.files.ply_table import (
    Element,
    PlyHeader,
    check_length,
    column_blocks,
    read_columns,
    read_header,
)
from sfumato.scene.scene import Scene

REST_COUNTS = {0: 1, 9: 4, 24: 9, 45: 16, 72: 25}
# 2D Gaussians have no third scale: log of its ratio to the smaller of the two.
DISC_LOG_THINNESS = math.log(1e-3)

POSITION = ["x", "y", "z"]
BASE_COLOUR = ["f_dc_0", "f_dc_1", "f_dc_2"]
SCALE = ["scale_0", "scale_1", "scale_2"]
ROTATION = ["rot_0", "rot_1", "rot_2", "rot_3"]
# Mip-Splatting stores its 3D filter separately from the scales.
FILTER = "filter_3D"
# Our own property, after all others: the identity of a Gaussian over time.
IDENTITY = "identity"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlyLayout:
    """The columns of a file.

    Attributes:
        header: of the file.
        vertex: the element with the Gaussians.
        in_file: number of SH coefficients in the file.
    """

    header: PlyHeader
    vertex: Element
    in_file: int

    @property
    def num_coefficients(self) -> int:
        """Number of SH coefficients that are read."""
        return min(self.in_file, values.MAX_SH_COEFFICIENTS)


def read_layout(path: Path) -> PlyLayout:
    """The columns of a PLY file with Gaussians.

    Raises:
        FormatError: not a PLY file, without Gaussians, truncated, or with wrong counts.
    """
    header = read_header(path)
    vertex = header.element("vertex")
    if vertex is None:
        raise FormatError(f"{path} has no element 'vertex' and so no Gaussians")
    if header.element("chunk") is not None or "packed_position" in vertex.names:
        raise FormatError(f"{path} is a compressed ply with parts missing: its Gaussians cannot be read")
    layout = PlyLayout(header, vertex, _check_properties(path, vertex))
    if layout.num_coefficients < layout.in_file:
        _log.warning("%s has %s", path, values.degrees_dropped(math.isqrt(layout.in_file) - 1))
    check_length(header, vertex)
    return layout


def read_whole(layout: PlyLayout) -> Scene:
    """All Gaussians of a file; values are not checked."""
    rows = _Rows(layout, layout.vertex.count)
    read_columns(layout.header, layout.vertex, rows.targets)
    return rows.scene()


def read_blocks(layout: PlyLayout, most: int) -> Iterator[Scene]:
    """The Gaussians of a file, at most ``most`` at a time, in order; values are not checked.

    Raises:
        FormatError: the file is shorter or longer than it declares, or contains text that is not a number.
    """
    left = layout.vertex.count
    rows, filled = _Rows(layout, min(most, left)), 0
    for block in column_blocks(layout.header, layout.vertex, list(rows.targets)):
        length, at = len(next(iter(block.values()))), 0
        while at < length:
            step = min(length - at, rows.count - filled)
            rows.fill(filled, {name: column[at : at + step] for name, column in block.items()})
            at, filled, left = at + step, filled + step, left - step
            if filled == rows.count:
                yield rows.scene()
                rows, filled = _Rows(layout, min(most, left)), 0


class _Rows:
    """Room for some rows of a file, and the scene that they are."""

    def __init__(self, layout: PlyLayout, count: int) -> None:
        self.count, self._layout = count, layout
        widths = {"means": 3, "log_scales": 3, "quats": 4, "logit_opacities": 1}
        widths["sh"] = layout.num_coefficients * 3
        self._columns: dict[str, np.ndarray] = {
            name: np.empty((count, width), np.float32) for name, width in widths.items()
        }
        present = layout.vertex.names
        self.targets: dict[str, np.ndarray] = {
            name: self._columns[field][:, i]
            for field, group in _names_of_columns(layout.num_coefficients, layout.in_file).items()
            for i, name in enumerate(group)
            if name in present
        }
        self._filters = np.empty(count, np.float32) if FILTER in present else None
        self._identities = np.empty(count, np.int64) if IDENTITY in present else None
        beside: dict[str, np.ndarray | None] = {FILTER: self._filters, IDENTITY: self._identities}
        self.targets |= {name: array for name, array in beside.items() if array is not None}

    def fill(self, start: int, block: dict[str, np.ndarray]) -> None:
        """Set rows from ``start`` on."""
        with np.errstate(over="ignore", invalid="ignore"):
            for name, target in self.targets.items():
                target[start : start + len(block[name])] = block[name]

    def scene(self) -> Scene:
        """The scene of the rows; it takes their memory."""
        columns, layout = self._columns, self._layout
        if "scale_2" not in layout.vertex.names:
            scales = columns["log_scales"]
            scales[:, 2] = scales[:, :2].min(axis=1) + DISC_LOG_THINNESS
        if self._filters is not None:
            values.fold_filter(self._filters, columns["log_scales"], columns["logit_opacities"][:, 0])
        values.finite_extremes(columns["logit_opacities"], columns["log_scales"])
        columns["logit_opacities"] = columns["logit_opacities"][:, 0]
        columns["sh"] = columns["sh"].reshape(self.count, layout.num_coefficients, 3)
        # Scenes with the 3D filter were trained with Mip-Splatting's 2D filter as well.
        known = read_comments(layout.header.comments, antialiased=self._filters is not None)
        scene = values.scene_of(columns, known)
        if self._identities is not None:
            scene = replace(scene, identities=torch.from_numpy(self._identities))
        return scene


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
