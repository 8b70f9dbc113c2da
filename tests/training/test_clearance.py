"""Free space around the cameras: its radius and its members."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.capture.cache import ByteCache
from sfumato.capture.dataset import Capture, View
from sfumato.capture.points import PointCloud
from sfumato.errors import ConfigError
from sfumato.scene.cameras import Camera
from sfumato.training.clearance import Clearance, distances_to_nearest
from sfumato.training.config import TrainConfig
from support.steps import clearance

# A rotation by 90 degrees about y, so that a camera's translation differs from its position.
TURN = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]], dtype=torch.float64)


def view(name, centre):
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = TURN
    pose[:3, 3] = -TURN @ torch.tensor(centre, dtype=torch.float64)
    return View(name, Camera(pose, (8.0, 8.0), (4.0, 4.0), (8, 8)), 0, None, ByteCache(0))


def capture(points, cameras, *, held_out=(), random=False):
    """Points seen by training cameras at ``cameras`` and held-out cameras at ``held_out``."""
    views = [view(f"train{i}", centre) for i, centre in enumerate(cameras)]
    tests = [view(f"test{i}", centre) for i, centre in enumerate(held_out)]
    xyz = np.asarray(points, np.float32)
    cloud = PointCloud(xyz, np.zeros_like(xyz, np.uint8))
    names = frozenset(v.name for v in tests)
    return Capture(Path("x"), (*tests, *views), cloud, random, names, "", None, ByteCache(0))


def nearest(points, cameras):
    """Distance of each point to the nearest camera, one by one."""
    return np.array([min(np.linalg.norm(p - np.array(c)) for c in cameras) for p in np.float64(points)])


def line(count):
    """Points at distances 1, 2, 3, ... from the origin."""
    return [(0.0, 0.0, float(i)) for i in range(1, count + 1)]


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6), cameras=st.integers(1, 6), n=st.integers(0, 30), radius=st.floats(0.1, 2))
def test_a_point_is_in_a_ball_if_a_camera_is_nearer_than_its_radius(seed, cameras, n, radius):
    rng = np.random.default_rng(seed)
    centres, points = rng.normal(size=(cameras, 3)), rng.normal(size=(n, 3)).astype(np.float32)
    held = clearance(*centres, radius=radius).holds(torch.from_numpy(points))
    assert held.dtype == torch.bool and held.shape == (n,)
    assert held.tolist() == (nearest(points, centres) < radius).tolist()


@pytest.mark.parametrize("pairs", [1, 30, 10**6])
def test_without_a_tree_distances_are_the_same(pairs, monkeypatch):
    """As on devices other than the host, in parts of bounded size."""
    monkeypatch.setattr("sfumato.training.clearance._PAIRS", pairs)
    rng = np.random.default_rng(4)
    centres, points = rng.normal(size=(9, 3)) + 1e3, rng.normal(size=(20, 3)).astype(np.float32) + 1e3
    found = distances_to_nearest(torch.from_numpy(points), torch.from_numpy(centres))
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), nearest(points, centres), rtol=1e-12)


def test_tensors_with_gradients_are_accepted():
    means = torch.tensor([[0.0, 0.0, 0.5], [0.0, 0.0, 1.5]], requires_grad=True)
    assert clearance((0.0, 0.0, 0.0), radius=1.0).holds(means).tolist() == [True, False]


def test_the_radius_is_a_fraction_of_the_distance_of_the_nearest_points():
    rng = np.random.default_rng(2)
    cameras, points = rng.normal(size=(4, 3)).tolist(), rng.normal(size=(301, 3)).astype(np.float32)
    fourth = np.sort(nearest(points, cameras))[3]
    assert Clearance.of(capture(points, cameras), 0.7).radius == pytest.approx(0.7 * fourth)


def test_outliers_among_the_points_do_not_reduce_the_radius():
    origin = (0.0, 0.0, 0.0)
    points = [(0.0, 0.0, 1e-3), *line(101)[1:]]
    assert Clearance.of(capture(points, [origin]), 0.5).radius == pytest.approx(1.0)
    assert Clearance.of(capture(points[:2], [origin]), 0.5).radius < 0.1, "with few points, outliers count"


def test_balls_are_around_training_cameras_only():
    made = Clearance.of(capture(line(101), [(1.0, 2.0, 0.0)], held_out=[(0.0, 0.0, 1.0)]), 0.5)
    distance = nearest(line(101), [(1.0, 2.0, 0.0)])[1]
    assert made.radius == pytest.approx(0.5 * distance)
    inside, held_out = [1.0, 2.0, 0.9 * made.radius], [0.0, 0.0, 1.0]
    assert made.holds(torch.tensor([inside, held_out])).tolist() == [True, False]


@pytest.mark.parametrize("share, random", [(0.0, False), (0.7, True)])
def test_without_distances_or_a_fraction_there_is_none(share, random):
    camera = (0.0, 0.0, 0.0)
    made = Clearance.of(capture(line(101), [camera], random=random), share)
    assert made.radius == 0
    assert made.holds(torch.tensor([camera, (0.0, 0.0, 1.0)])).tolist() == [False, False]


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_fraction_that_would_include_the_points_is_refused(share):
    with pytest.raises(ConfigError, match=r"clearance is .*; give a number from 0 to less than 1"):
        TrainConfig(clearance=share)
