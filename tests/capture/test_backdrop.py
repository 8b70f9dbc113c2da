"""Background points far behind a scene: positions, number, colours."""

import numpy as np

from sfumato.capture.backdrop import backdrop
from sfumato.capture.dataset import load_capture
from support.capture_folders import PINHOLE, colmap_folder, image_rows, save, write_colmap_bin

NAMES = [f"{i}.png" for i in range(4)]
RED = (200, 30, 40)


def capture_of(root, points):
    """Four red pictures of 32x24 from a row along x, looking along z."""
    colmap_folder(root, names=NAMES)
    for name in NAMES:
        save(root / "images" / name, np.full((24, 32, 3), RED, np.uint8))
    write_colmap_bin(root / "sparse/0", [PINHOLE], image_rows(NAMES), points)
    return load_capture(root, test_every=0)


def seen(capture, xyz):
    """[views, n] whether each view shows each point."""
    found = []
    for view in capture.views:
        pose = view.camera.camera_from_world.numpy()
        x, y, z = pose[:3, :3] @ xyz.T + pose[:3, 3:]
        column = x / z * view.camera.focal_px[0] + view.camera.centre_px[0]
        row = y / z * view.camera.focal_px[1] + view.camera.centre_px[1]
        found.append((z > 0) & (column >= 0) & (column < 32) & (row >= 0) & (row < 24))
    return np.array(found)


def test_background_points_are_far_away_and_have_the_colours_of_the_pictures(tmp_path):
    capture = capture_of(tmp_path, [((0.1 * i, 0.0, 4.0), RED) for i in range(8)])
    points = backdrop(capture, 10_000)
    assert len(points) > 20 and (points.rgb == RED).all()
    assert (seen(capture, points.xyz).sum(axis=0) >= 2).all()
    nearest = np.linalg.norm(points.xyz[:, None] - [(0.5 * i, 0, 0) for i in range(4)], axis=2).min(axis=1)
    assert nearest.min() > 2.5 * capture.depth


def test_regions_with_points_get_no_background_points(tmp_path):
    places = np.stack(np.meshgrid(np.linspace(-3, 5, 50), np.linspace(-2.5, 2.5, 32), [4.0]), axis=-1)
    full = capture_of(tmp_path / "full", [(tuple(place), RED) for place in places.reshape(-1, 3)])
    assert len(backdrop(full, 10_000)) == 0
    left = [(tuple(place), RED) for place in places.reshape(-1, 3) if place[0] < 1]
    half = backdrop(capture_of(tmp_path / "half", left), 10_000)
    assert len(half) and half.xyz[:, 0].min() > 0


def test_the_number_of_background_points_is_limited(tmp_path):
    capture = capture_of(tmp_path, [((0.1 * i, 0.0, 4.0), RED) for i in range(8)])
    assert 4 <= len(backdrop(capture, 8)) <= 8
    assert len(backdrop(capture, 0)) == len(backdrop(capture, -3)) == 0


def test_the_sphere_reaches_three_depths_beyond_the_cameras(tmp_path):
    capture = capture_of(tmp_path, [((0.1 * i, 0.0, 4.0), RED) for i in range(8)])
    reach = np.linalg.norm(backdrop(capture, 10_000).xyz - (0.75, 0, 0), axis=1)
    np.testing.assert_allclose(reach, 0.75 + 3 * capture.depth, rtol=1e-5)
