"""Plans of blocks: photographs by what they show, and the file."""

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from sfumato.blocks.block_plan import BlockPlan, PlannedBlock, plan_blocks, read_plan, write_plan
from sfumato.blocks.ground_cells import GroundCell, GroundPlane
from sfumato.errors import ConfigError, FormatError
from sfumato.scene.cameras import Camera
from support.worlds import looking

PLANE = GroundPlane(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))


@dataclass
class Flown:
    name: str
    camera: Camera


def flight(count):
    """Photographs along x, each of which shows two units around it; what each shows, world frame."""
    chance, views, seen = np.random.default_rng(0), [], []
    for number in range(count):
        pose = torch.from_numpy(looking((number, -3.0, -3.0), (number, 0.0, 0.0)))
        views.append(Flown(f"{number:02d}", Camera(pose, (30.0, 30.0), (16.0, 12.0), (32, 24))))
        points = chance.uniform(-1, 1, size=(400, 3)) * [1, 0, 0.5] + [number, 0, 0]
        seen.append(points)
    return views, seen


def test_photographs_go_to_the_blocks_that_they_show():
    views, seen = flight(20)
    plan = plan_blocks(views, seen, 2)
    west, east = sorted(plan.blocks, key=lambda block: block.views)
    assert {"00", "05", "08"} <= set(west.views) and {"11", "15", "19"} <= set(east.views)
    assert not {"12", "13"} & set(west.views) and not {"06", "07"} & set(east.views)
    assert list(west.views) == sorted(west.views)
    weights = dict(zip(west.views, west.weights, strict=True))
    assert weights["05"] == 1.0 and 0 < weights["10"] < 0.5 and len(west.weights) == len(west.views)
    # A fifth of a photograph's width beyond the cut at either side is in both.
    assert 1.0 < west.share + east.share < 1.2
    line = next(side for side in plan.blocks[0].cell.high if math.isfinite(side))
    assert abs(abs(line) - 9.5) < 0.3


def test_points_near_a_cut_are_in_its_seam():
    views, seen = flight(20)
    plan = plan_blocks(views, seen, 2)
    points = np.array([[9.5, 0, 0], [9.5, 5, 3], [0, 0, 0], [19, 0, 0], [6, 0, 0]])
    assert plan.in_seams(points).tolist() == [True, True, False, False, False]


def test_views_that_show_nothing_leave_blocks_without_photographs():
    views, seen = flight(3)
    plan = plan_blocks(views, [points[:0] for points in seen], 3)
    assert [block.views for block in plan.blocks] == [(), (), ()]


def test_a_plan_survives_its_file(tmp_path):
    cells = (
        GroundCell((-math.inf, -math.inf), (0.5, math.inf), (0.1, 0.2)),
        GroundCell((0.5, -1.0), (2.0, 3.0)),
    )
    plan = BlockPlan(PLANE, tuple(PlannedBlock(cell, ("a", "b"), (1.0, 0.25), 0.5) for cell in cells))
    write_plan(tmp_path / "blocks.json", plan)
    again = read_plan(tmp_path / "blocks.json")
    assert again.blocks == plan.blocks and np.array_equal(again.ground.axes, PLANE.axes)


@pytest.mark.parametrize(
    "change", [{"ground": [1, 2]}, {"blocks": []}, {"blocks": [{}]}, {"version": 9}, {"blocks": 3}]
)
def test_a_damaged_plan_is_refused(tmp_path, change):
    path = tmp_path / "blocks.json"
    with pytest.raises(ConfigError, match="cannot be read"):
        read_plan(path)
    write_plan(
        path, BlockPlan(PLANE, (PlannedBlock(GroundCell((0.0, 0.0), (1.0, 1.0)), ("a",), (1.0,), 1.0),))
    )
    document = json.loads(path.read_text())
    del document["digest"]
    path.write_text(json.dumps(document | change))
    with pytest.raises(FormatError, match="not a plan of blocks"):
        read_plan(path)
