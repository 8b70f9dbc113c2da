"""The demo capture is consistent: cameras, pictures, points and depth."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import minimum_filter

FOLDER = Path(__file__).parents[2] / "demo" / "still_life"
TOOLS = Path(__file__).parents[2] / "tools" / "still_life"
METRES_PER_DEPTH_UNIT = 0.001


@pytest.fixture(scope="module")
def document() -> dict:
    return json.loads((FOLDER / "transforms.json").read_text())


@pytest.fixture(scope="module")
def cloud() -> np.ndarray:
    """[n] records (xyz, rgb) of points.ply, read by this test's own code."""
    header, body = (FOLDER / "points.ply").read_bytes().split(b"end_header\n", 1)
    count = int(header.split(b"element vertex ")[1].split()[0])
    kind = np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)])
    assert len(body) == count * kind.itemsize
    return np.frombuffer(body, kind)


def project(document: dict, frame: dict, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [n, 2] (x, y) and camera z [n] of ``points`` [n, 3]."""
    world_from_camera = np.array(frame["transform_matrix"]) @ np.diag([1.0, -1.0, -1.0, 1.0])
    x, y, z = ((points - world_from_camera[:3, 3]) @ world_from_camera[:3, :3]).T
    pixels = np.stack(
        [document["fl_x"] * x / z + document["cx"], document["fl_y"] * y / z + document["cy"]], -1
    )
    return pixels, z


def sampled(picture: np.ndarray, pixels: np.ndarray, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Values of ``picture`` under ``pixels``, given at ``scale`` times its size, and which are inside."""
    column, row = np.floor(pixels / scale).astype(int).T
    inside = (column >= 0) & (column < picture.shape[1]) & (row >= 0) & (row < picture.shape[0])
    return picture[np.where(inside, row, 0), np.where(inside, column, 0)], inside


def read_depth(frame: dict) -> np.ndarray:
    """[h, w] camera z, metres."""
    with Image.open(FOLDER / frame["depth_file_path"]) as image:
        return np.asarray(image).astype(float) * METRES_PER_DEPTH_UNIT


def depth_errors(
    document: dict, frame: dict, cloud: np.ndarray, *, depth=None, shift_px=(0, 0)
) -> np.ndarray:
    """Relative error of the points' camera z against the depth map; NaN outside the picture."""
    depth = read_depth(frame) if depth is None else depth
    pixels, z = project(document, frame, cloud["xyz"].astype(float))
    truth, inside = sampled(depth, pixels + shift_px, document["w"] / depth.shape[1])
    return np.where(inside & (z > 0), (z - truth) / truth, np.nan)


def frames_with_depth(document: dict) -> list[dict]:
    return [frame for frame in document["frames"] if "depth_file_path" in frame]


def test_is_small_and_complete(document):
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 4_000_000
    named = {frame["file_path"] for frame in document["frames"]}
    assert named == {f"images/{path.name}" for path in (FOLDER / "images").iterdir()}
    for name in named:
        with Image.open(FOLDER / name) as image:
            assert image.size == (document["w"], document["h"])
            assert image.format == "JPEG"


def test_held_out_views_are_no_training_views(document):
    train, test = set(document["train_filenames"]), set(document["test_filenames"])
    assert len(train) >= 48 and len(test) == 8
    assert not train & test
    assert train | test == {frame["file_path"] for frame in document["frames"]}
    centres = {f["file_path"]: np.array(f["transform_matrix"])[:3, 3] for f in document["frames"]}
    nearest = min(np.linalg.norm(centres[a] - centres[b]) for a in test for b in train)
    assert nearest > 0.03, "a held-out camera stands on the path"


def test_poses_are_rigid(document):
    poses = np.array([frame["transform_matrix"] for frame in document["frames"]])
    rotations = poses[:, :3, :3]
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.eye(3)[None].repeat(len(poses), 0), atol=1e-7
    )
    assert (np.linalg.det(rotations) > 0).all()
    np.testing.assert_array_equal(poses[:, 3], np.array([[0, 0, 0, 1]]).repeat(len(poses), 0))


def test_points_lie_on_the_surfaces_of_the_depth_maps(document, cloud):
    assert len(frames_with_depth(document)) == 6
    for frame in frames_with_depth(document):
        error = depth_errors(document, frame, cloud)
        error = error[np.isfinite(error)]
        on_surface = np.abs(error) < 0.015
        assert len(error) > 0.5 * len(cloud), frame["file_path"]
        assert on_surface.mean() > 0.5, "the rest is hidden behind other things: " + frame["file_path"]
        assert np.median(np.abs(error[on_surface])) < 0.004, frame["file_path"]


def test_no_point_floats_in_front_of_everything(document, cloud):
    for frame in frames_with_depth(document):
        nearest = minimum_filter(read_depth(frame), 3)
        error = depth_errors(document, frame, cloud, depth=nearest)
        assert np.mean(error[np.isfinite(error)] < -0.015) < 0.03, frame["file_path"]


def test_no_shift_of_the_principal_point_fits_better(document, cloud):
    def agreement(shift_px) -> float:
        frames = frames_with_depth(document)
        errors = np.concatenate([depth_errors(document, f, cloud, shift_px=shift_px) for f in frames])
        return float(np.mean(np.abs(errors) < 0.005))

    shifts = [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)]
    assert max(shifts, key=agreement) == (0, 0)


def test_visible_points_have_the_colours_of_the_pictures(document, cloud):
    for frame in frames_with_depth(document):
        with Image.open(FOLDER / frame["file_path"]) as image:
            picture = np.asarray(image.convert("L")).astype(float)
        visible = np.abs(depth_errors(document, frame, cloud)) < 0.01
        seen, _ = sampled(picture, project(document, frame, cloud["xyz"])[0])
        light = cloud["rgb"] @ np.array([0.299, 0.587, 0.114])
        assert np.corrcoef(seen[visible], light[visible])[0, 1] > 0.5, frame["file_path"]


def test_mitsuba_rays_agree_with_the_cameras(monkeypatch):
    mitsuba = pytest.importorskip("mitsuba", reason="needs the extra still-life")
    mitsuba.set_variant("scalar_rgb")
    spec = importlib.util.spec_from_file_location("still_life_render", TOOLS / "render.py")
    render = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, render)
    spec.loader.exec_module(render)
    turn = np.array([[0.36, -0.48, 0.8, 1.0], [0.8, 0.6, 0.0, 2.0], [-0.48, 0.64, 0.6, 3.0], [0, 0, 0, 1]])
    view = render.View(turn, 470.0, (480, 360))
    pixels = np.array([[0.5, 0.5], [400.5, 20.5], [240.0, 180.0]])
    _, directions = render.camera_rays(view, pixels)
    sensor = render.sensor_of(view)
    for pixel, direction in zip(pixels, directions, strict=True):
        ray, _ = sensor.sample_ray(0.0, 0.0, mitsuba.Point2f(*(pixel / view.size_px)), mitsuba.Point2f(0.5))
        np.testing.assert_allclose(np.array(ray.d), direction / np.linalg.norm(direction), atol=1e-5)
