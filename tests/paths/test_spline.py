from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sfumato.errors import ConfigError
from sfumato.paths.look import looking_at, pinhole
from sfumato.paths.spline import along_cameras, through

SIZE = (64, 48)


def camera_at(x, y, z, target=(0.0, 0.0, 20.0), fov_deg=50.0):
    return pinhole(looking_at((x, y, z), target), SIZE, fov_deg)


def centres(cameras):
    return np.stack([camera.centre_world.numpy() for camera in cameras])


def turns_rad(cameras):
    rotations = Rotation.from_matrix([c.camera_from_world[:3, :3].numpy() for c in cameras])
    return (rotations[1:] * rotations[:-1].inv()).magnitude()


KEYS = [camera_at(0, 0, 0), camera_at(3, -1, 1, fov_deg=30.0), camera_at(3.5, 0, 4), camera_at(-2, 1, 3)]


@pytest.mark.slow
def test_a_path_passes_its_keys():
    cameras = through(KEYS, 2001)
    for key in KEYS:
        nearest = np.linalg.norm(centres(cameras) - key.centre_world.numpy(), axis=1).argmin()
        found = cameras[nearest]
        np.testing.assert_allclose(found.camera_from_world, key.camera_from_world, atol=0.02)
        assert found.focal_px[0] == pytest.approx(key.focal_px[0], rel=0.01)
    for end, key in ((0, 0), (-1, -1)):
        np.testing.assert_allclose(cameras[end].camera_from_world, KEYS[key].camera_from_world, atol=1e-9)


def test_the_speed_is_constant():
    places = centres(through(KEYS, 200))
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1) + 1e-9
    assert steps.max() / np.median(steps) < 1.3 and steps.min() / np.median(steps) > 0.7


def test_a_path_is_smooth():
    places = centres(through(KEYS, 400))
    bends = np.linalg.norm(np.diff(places, 2, axis=0), axis=1)
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert bends.max() < 0.2 * steps.mean()
    assert turns_rad(through(KEYS, 400)).max() < 0.05


def test_times_are_kept():
    cameras = through(KEYS, 101, times_s=[0.0, 1.0, 1.5, 10.0])
    np.testing.assert_allclose(cameras[10].camera_from_world, KEYS[1].camera_from_world, atol=1e-9)
    np.testing.assert_allclose(cameras[15].camera_from_world, KEYS[2].camera_from_world, atol=1e-9)
    with pytest.raises(ConfigError, match="ascend"):
        through(KEYS, 10, times_s=[0, 1, 1, 2])


def test_a_closed_path_returns_without_a_jump():
    places = centres(through(KEYS, 300, closed=True))
    steps = np.linalg.norm(np.diff(np.concatenate([places, places[:1]]), axis=0), axis=1)
    assert steps.max() / steps.min() < 2
    assert len(through(KEYS, 7, closed=True, times_s=[0, 1, 2, 3])) == 7


def test_a_camera_that_only_turns_turns_evenly():
    keys = [pinhole(looking_at((0, 0, 0), t), SIZE, 50.0) for t in ((0, 0, 1), (0.3, 0, 1), (3, 0, 1))]
    turns = turns_rad(through(keys, 60))
    assert turns.max() / turns.min() < 1.5
    np.testing.assert_allclose(centres(through(keys, 5)), 0, atol=1e-12)


def test_coincident_and_single_keys_work():
    assert len(through([KEYS[0], KEYS[0], KEYS[1]], 10)) == 10
    assert through([KEYS[0], KEYS[0]], 3)[1].camera_from_world.isfinite().all()
    assert len(through(KEYS[:1], 4)) == 4
    assert len(through(KEYS, 1)) == 1
    with pytest.raises(ConfigError, match="key camera"):
        through([], 3)
    with pytest.raises(ConfigError, match="needs"):
        through(KEYS, 0)


def trembling(count=80, seed=0):
    """A handheld walk along an arc, with camera shake."""
    rng = np.random.default_rng(seed)
    angles = np.linspace(0, 2, count)
    places = 5 * np.stack([np.cos(angles), 0 * angles, np.sin(angles)], 1) + 0.05 * rng.normal(
        size=(count, 3)
    )
    targets = 0.1 * rng.normal(size=(count, 3))
    return [pinhole(looking_at(p, t), SIZE, 50.0) for p, t in zip(places, targets, strict=True)]


def test_the_training_path_is_followed_and_smoothed():
    walked = trembling()
    cameras = along_cameras(walked, 160)
    arms = centres(cameras)
    assert np.abs(np.linalg.norm(arms, axis=1) - 5).max() < 0.15
    np.testing.assert_allclose(arms[[0, -1]], centres(walked)[[0, -1]], atol=0.5)
    assert np.abs(np.diff(turns_rad(cameras))).max() < 0.2 * np.abs(np.diff(turns_rad(walked))).max()
    bends = np.linalg.norm(np.diff(arms, 2, axis=0), axis=1).max()
    assert bends < 0.1 * np.linalg.norm(np.diff(centres(walked), 2, axis=0), axis=1).max()


def test_unordered_photographs_are_joined_by_a_short_path():
    walked = trembling()
    mixed = [walked[i] for i in np.random.default_rng(1).permutation(len(walked))]
    for cameras, most in ((along_cameras(walked, 100), 12), (along_cameras(mixed, 100), 30)):
        assert np.linalg.norm(np.diff(centres(cameras), axis=0), axis=1).sum() < most


def test_few_cameras_and_different_sizes_work():
    walked = trembling(2)
    walked[1] = replace(walked[1], size_px=(100, 200), centre_px=(50.0, 100.0))
    cameras = along_cameras(walked, 5)
    assert len(cameras) == 5 and {camera.size_px for camera in cameras} == {SIZE}
    with pytest.raises(ConfigError, match="none"):
        along_cameras([], 5)
