"""The plan of a run in blocks: cells on the ground, and the photographs of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.blocks.ground_cells import GroundCell, GroundPlane, cut, ground_of
from sfumato.capture.dataset import View
from sfumato.errors import FormatError
from sfumato.outputs import write_json
from sfumato.runs.tables import read_table, with_digest

VERSION = 1
# A block is trained on the fewest photographs that contain this share of the pixels that show it. Each is
# drawn in proportion to this power of what it shows: photographs that show little of it keep the space empty
# through which only they look, but would mostly train its neighbours.
_KEPT_PIXELS, _POWER = 0.97, 2.0


@dataclass(frozen=True)
class PlannedBlock:
    """A block.

    Attributes:
        cell: on the ground.
        views: names of the photographs that it is trained on, sorted.
        weights: how often each of them is drawn, relative to the others.
        share: of all pixels, those that show its core or its overlap.
    """

    cell: GroundCell
    views: tuple[str, ...]
    weights: tuple[float, ...]
    share: float


@dataclass(frozen=True)
class BlockPlan:
    """All blocks of a scene.

    Attributes:
        ground: the plane that is divided.
        blocks: one or more.
    """

    ground: GroundPlane
    blocks: tuple[PlannedBlock, ...]

    def in_seams(self, points: np.ndarray) -> np.ndarray:
        """[n] bool: whether points [n, 3] in the world frame lie in the overlap of two or more blocks."""
        places = self.ground.of(points)
        return np.sum([block.cell.reaches(places) for block in self.blocks], axis=0) > 1


def plan_blocks(views: Sequence[View], seen: Sequence[np.ndarray], count: int) -> BlockPlan:
    """Divide a scene so that each block is seen by the same number of pixels.

    Args:
        views: training views.
        seen: for each of them [k, 3] positions of its pixels, world frame.
        count: number of blocks.
    """
    ground = ground_of(views, np.concatenate(seen))
    places = [ground.of(points) for points in seen]
    cells = cut(np.concatenate(places), count)
    total = max(sum(map(len, places)), 1)
    blocks = []
    for cell in cells:
        pixels = np.array([int(cell.reaches(of_view).sum()) for of_view in places])
        chosen = _most_contributing(pixels)
        most = max(float(pixels.max()), 1.0)
        drawn = {views[row].name: (float(pixels[row]) / most) ** _POWER for row in chosen}
        names = tuple(sorted(drawn))
        weights = tuple(drawn[name] for name in names)
        blocks.append(PlannedBlock(cell, names, weights, float(pixels.sum()) / total))
    return BlockPlan(ground, tuple(blocks))


def _most_contributing(pixels: np.ndarray) -> list[int]:
    """Rows of the fewest views that hold nearly all of a block's pixels."""
    order = np.argsort(-pixels, kind="stable")
    reached = np.cumsum(pixels[order])
    needed = int(np.searchsorted(reached, _KEPT_PIXELS * reached[-1])) + 1
    return [int(row) for row in order[:needed] if pixels[row] > 0]


def write_plan(path: Path, plan: BlockPlan) -> None:
    """Write ``blocks.json``.

    Raises:
        SfumatoError: it cannot be written.
    """
    rows = [
        {
            "low": _finite(block.cell.low),
            "high": _finite(block.cell.high),
            "margin": list(block.cell.margin),
            "share": block.share,
            "views": list(block.views),
            "weights": list(block.weights),
        }
        for block in plan.blocks
    ]
    document = {"version": VERSION, "ground": plan.ground.axes.tolist(), "blocks": rows}
    write_json(path, with_digest(document))


def read_plan(path: Path) -> BlockPlan:
    """Read ``blocks.json``, which is untrusted.

    Raises:
        ConfigError: it cannot be read.
        FormatError: it is damaged.
    """
    document = read_table(path)
    try:
        axes = np.array(document["ground"], np.float64)
        if document["version"] != VERSION or axes.shape != (2, 3) or not np.isfinite(axes).all():
            raise ValueError("of another version")
        blocks = tuple(map(_planned, document["blocks"]))
        if not blocks:
            raise ValueError("without blocks")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"{path} is damaged: it is not a plan of blocks; begin another run") from error
    return BlockPlan(GroundPlane(axes), blocks)


def _planned(row: dict[str, Any]) -> PlannedBlock:
    views = tuple(row["views"])
    if not all(isinstance(name, str) for name in views):
        raise ValueError("names that are none")
    # Plans of earlier versions have none.
    weights = tuple(map(float, row.get("weights", [1.0] * len(views))))
    if len(weights) != len(views) or not all(0 < weight <= 1 for weight in weights):
        raise ValueError("weights that are none")
    margin = _pair(row["margin"], 0.0)
    cell = GroundCell(_pair(row["low"], -math.inf), _pair(row["high"], math.inf), margin)
    return PlannedBlock(cell, views, weights, float(row["share"]))


def _pair(values: list[float | None], missing: float) -> tuple[float, float]:
    first, second = (missing if value is None else float(value) for value in values)
    return first, second


def _finite(pair: tuple[float, float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in pair]
