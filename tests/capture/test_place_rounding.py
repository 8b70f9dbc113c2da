"""Positions of cameras in one place, and far from the origin, as files round them."""

import logging

import numpy as np
import pytest

from sfumato.capture.dataset import load_capture
from sfumato.capture.offset import near_origin
from sfumato.capture.random_points import depth_scale
from sfumato.capture.readers import read_source
from sfumato.capture.readers.place_rounding import place_rounding, stand_in_one_place
from sfumato.capture.readers.source import rigid
from sfumato.maths.rigid import centres_of
from support.capture_folders import picture, save, write_transforms

TRIPOD, MAP = (100.0, 200.0, 30.0), (500_012.3, 4_000_345.6, 101.7)
NUMBER = 9


def turned(centres, rounded_to=np.float64):
    """[n, 4, 4] world_from_camera of cameras that turn about y, inverted twice in a precision."""
    poses = np.tile(np.eye(4), (NUMBER, 1, 1))
    angles = np.linspace(-0.4, 0.4, NUMBER)
    poses[:, 0, 0] = poses[:, 2, 2] = np.cos(angles)
    poses[:, 0, 2], poses[:, 2, 0] = np.sin(angles), -np.sin(angles)
    poses[:, :3, 3] = centres
    return np.linalg.inv(np.linalg.inv(poses).astype(rounded_to)).astype(np.float64)


def around(place, radius):
    """[n, 3] positions on an arc."""
    angles = np.linspace(0.1, 2.7, NUMBER)
    return np.array(place) + radius * np.stack([np.cos(angles), 0.3 * np.sin(angles), np.sin(angles)], axis=1)


def write(folder, world_from_camera):
    for number in range(NUMBER):
        save(folder / f"{number}.png", picture(seed=number))
    frames = [
        {"file_path": f"{n}.png", "transform_matrix": pose.tolist()}
        for n, pose in enumerate(world_from_camera)
    ]
    lens = {"w": 32, "h": 24, "fl_x": 34.0, "fl_y": 34.0, "cx": 16.0, "cy": 12.0}
    return write_transforms(folder / "transforms.json", [], **lens, frames=frames).parent


@pytest.fixture(autouse=True)
def warnings(caplog):
    caplog.set_level(logging.WARNING, "sfumato")


@pytest.mark.slow
@pytest.mark.parametrize(("place", "shift"), [(TRIPOD, 0.0), (MAP, 4e6)])
def test_rounded_positions_of_a_tripod_are_one_place(tmp_path, caplog, place, shift):
    """In float32 they differ by up to 1e-5 at the first place, and by half a unit at the second."""
    capture = load_capture(write(tmp_path, turned(place, np.float32)), test_every=0)
    assert "stand in one place" in caplog.text and "rounded to" not in caplog.text
    assert np.linalg.norm(capture.offset) == pytest.approx(shift, rel=0.02)
    centre = np.array(place) - capture.offset
    distances = np.linalg.norm(capture.points.xyz - centre, axis=1)
    assert distances.min() > 0.1 and distances.max() < 10 and 0.5 < capture.depth < 2


@pytest.mark.parametrize("radius", [0.05, 2.0])
def test_a_small_object_in_map_coordinates_is_no_tripod(tmp_path, caplog, radius):
    source, offset = near_origin(read_source(write(tmp_path, turned(around(MAP, radius)))), tmp_path)
    assert "one place" not in caplog.text and "rounded to" not in caplog.text
    assert "the offset in config.json" in caplog.text
    poses = np.stack([frame.camera_from_world for frame in source.frames])
    np.testing.assert_allclose(centres_of(poses) + offset, around(MAP, radius), atol=2e-8)
    assert radius < np.median(depth_scale(poses)) < 10 * radius


def test_map_coordinates_in_single_precision_are_warned_of(tmp_path, caplog):
    read_source(write(tmp_path, turned(around(MAP, 20.0), np.float32)))
    assert "rounded to about 0.96, which is coarse for their spread of 2" in caplog.text


def camera_from_world(centres):
    return np.linalg.inv(turned(centres))


def test_the_rounding_is_seen_from_the_numbers():
    centres = around(MAP, 2.0)
    size, single, double = np.linalg.norm(MAP), np.finfo(np.float32).eps, np.finfo(np.float64).eps
    for stored, expected in (
        (centres, 64 * double * size),
        (centres.astype(np.float32).astype(np.float64), 2 * single * size),
        (centres.round(3), 1e-3),
        (centres.round(1), 0.1),
    ):
        assert place_rounding(camera_from_world(stored)) == pytest.approx(expected, rel=1e-3)


def test_round_numbers_near_the_origin_are_exact():
    grid = np.stack(np.meshgrid([0.0, 0.5, 1.0], [0.0, 0.5, 1.0], [2.0]), axis=-1).reshape(-1, 3)
    assert place_rounding(camera_from_world(grid)) < 1e-6
    assert not stand_in_one_place(camera_from_world(grid))
    assert not stand_in_one_place(camera_from_world(grid * 1e-6))


@pytest.mark.parametrize("place", [(0.0, 0.0, 0.0), (1e-17, 0.0, 0.0), (3.0, -4.0, 5.0), MAP])
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_a_tripod_is_one_place_anywhere(place, precision):
    stored = np.linalg.inv(turned(place)).astype(precision)
    assert stand_in_one_place(np.stack([rigid(pose, "") for pose in stored]))
