"""The ground and its cells."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from sfumato.blocks.ground_cells import OVERLAP, GroundCell, GroundPlane, cut, ground_of
from sfumato.scene.cameras import Camera
from support.worlds import looking


@dataclass
class Seen:
    camera: Camera


def level_cameras():
    """Around the origin, with y down."""
    eyes = [(4 * math.cos(a), -1.0, 4 * math.sin(a)) for a in np.linspace(0, 6, 12)]
    poses = (torch.from_numpy(looking(eye, (0, 0, 0))) for eye in eyes)
    return [Seen(Camera(pose, (30.0, 30.0), (16.0, 12.0), (32, 24))) for pose in poses]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 16])
def test_cells_hold_equally_many_places_and_every_place_once(count):
    places = np.random.default_rng(count).normal(size=(5000, 2)) ** 3 * [3, 1]
    cells = cut(places, count)
    held = np.stack([cell.holds(places) for cell in cells])
    assert len(cells) == count and (held.sum(axis=0) == 1).all()
    assert held.sum(axis=1).min() > 0.97 * 5000 / count
    far = np.array([[1e9, -1e9], [-1e9, 1e9], [0, 0]])
    assert (np.stack([cell.holds(far) for cell in cells]).sum(axis=0) == 1).all(), "the plane has no gaps"


def test_the_longer_extent_is_cut():
    places = np.stack(np.meshgrid(np.arange(100.0), np.arange(10.0)), axis=-1).reshape(-1, 2)
    first, second = cut(places, 2)
    assert first.high == (49.5, math.inf) and second.low == (49.5, -math.inf)
    assert first.margin[0] == pytest.approx(OVERLAP * 0.96 * 49, abs=0.1)


def test_the_overlap_is_beyond_the_core():
    cell = GroundCell((0.0, -math.inf), (1.0, math.inf), (0.1, 0.5))
    places = np.array([[-0.2, 0], [-0.05, 9], [0.0, 0], [0.99, -9], [1.0, 0], [1.2, 0]])
    assert cell.holds(places).tolist() == [False, False, True, True, False, False]
    assert cell.reaches(places).tolist() == [False, True, True, True, True, False]


def test_without_places_all_but_one_cell_are_empty_and_one_point_is_somewhere():
    for places in (np.zeros((0, 2)), np.ones((50, 2))):
        cells = cut(places, 4)
        somewhere = np.array([[1.0, 1.0], [-5.0, 3.0]])
        assert (np.stack([cell.holds(somewhere) for cell in cells]).sum(axis=0) == 1).all()


def test_the_ground_is_what_level_cameras_stand_on_and_its_first_axis_the_longest():
    chance = np.random.default_rng(0)
    across = np.array([math.sqrt(0.5), 0.0, math.sqrt(0.5)])
    points = chance.normal(size=(2000, 1)) * 5 * across + chance.normal(size=(2000, 3)) * [0.3, 0.2, 0.3]
    ground = ground_of(level_cameras(), points)
    np.testing.assert_allclose(ground.axes @ ground.axes.T, np.eye(2), atol=1e-9)
    np.testing.assert_allclose(ground.axes[:, 1], 0, atol=0.02)
    assert abs(ground.axes[0] @ across) > 0.999
    assert ground.of(across[None])[0] == pytest.approx([1.0, 0.0], abs=0.05)
    assert isinstance(ground_of(level_cameras(), points[:0]), GroundPlane)
