"""The depth of a scene from its cameras and points."""

import numpy as np
import pytest

from sfumato.capture.dataset import load_capture
from sfumato.capture.depth import median_depth
from support.capture_folders import colmap_folder


def at(*centre):
    pose = np.eye(4)
    pose[:3, 3] = -np.array(centre)
    return pose


def test_it_is_the_median_depth_of_the_points_in_front_of_each_camera():
    xyz = np.array([(0, 0, 2), (0, 0, 3), (0, 0, 7), (0, 0, -100), (50, 0, 1)], np.float32)
    assert median_depth(np.stack([at(0, 0, 0)]), xyz) == pytest.approx(3)
    assert median_depth(np.stack([at(0, 0, 0), at(0, 0, -1), at(0, 0, -10)]), xyz) == pytest.approx(4)


def test_the_spread_of_the_cameras_does_not_matter():
    xyz = np.random.default_rng(0).uniform((-20, -20, 40), (20, 20, 42), (500, 3))
    close, wide = (median_depth(np.stack([at(-x, 0, 0), at(x, 0, 0)]), xyz) for x in (0.01, 4.0))
    assert 40 < close < 55 and wide == pytest.approx(close, rel=0.05)


def test_cameras_without_visible_points_use_all_points_and_coincident_points_give_1():
    assert median_depth(np.stack([at(0, 0, 0)]), np.array([(0, 0, -4.0), (0, 3.0, 0)])) == pytest.approx(3.5)
    assert median_depth(np.stack([at(1, 2, 3)]), np.array([(1.0, 2.0, 3.0)])) == 1.0


@pytest.mark.parametrize("factor", [1e-3, 0.5, 1e3])
def test_it_scales_with_the_units(factor):
    rng = np.random.default_rng(1)
    xyz, centres = rng.normal(size=(100, 3)), rng.normal(size=(5, 3))
    one = median_depth(np.stack([at(*c) for c in centres]), xyz)
    other = median_depth(np.stack([at(*(factor * c)) for c in centres]), factor * xyz)
    assert other == pytest.approx(factor * one)


def test_a_capture_computes_it_from_its_training_views(tmp_path):
    capture = load_capture(colmap_folder(tmp_path), test_every=0)
    poses = np.stack([view.camera.camera_from_world.numpy() for view in capture.views])
    assert capture.depth == median_depth(poses, capture.points.xyz)
