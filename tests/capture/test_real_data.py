"""Conventions checked with real datasets: points reproject onto the features they came from."""

import struct

import numpy as np
import pytest

from sfumato.capture.dataset import load_capture
from sfumato.capture.readers import read_source
from sfumato.capture.view_plans import plan_views
from support.real_data import real_data


def observations(model):
    """Of images.bin: name -> ([n, 2] feature positions in the stored picture, [n] point ids)."""
    data = (model / "images.bin").read_bytes()
    (count,), at, found = struct.unpack_from("<Q", data), 8, {}
    for _ in range(count):
        end = data.index(b"\0", at + 64)
        name, (n,) = data[at + 64 : end].decode(), struct.unpack_from("<Q", data, end + 1)
        rows = np.frombuffer(data, [("xy", "<f8", 2), ("id", "<i8")], n, end + 9)
        found[name] = rows["xy"], rows["id"]
        at = end + 9 + 24 * n
    return found


def point_positions(model):
    """Of points3D.bin: point id -> [3] world position."""
    data = (model / "points3D.bin").read_bytes()
    (count,), at, found = struct.unpack_from("<Q", data), 8, {}
    for _ in range(count):
        point_id, x, y, z = struct.unpack_from("<Q3d", data, at)
        found[point_id] = (x, y, z)
        at += 51 + 8 * struct.unpack_from("<Q", data, at + 43)[0]
    return found


def reprojection_errors(root, downscale):
    """[m] distances in pixels of the stored pictures, over every observation of every view."""
    model = root / "sparse/0"
    seen, positions = observations(model), point_positions(model)
    plans = plan_views(read_source(root).frames, downscale=downscale, alpha_is_mask=True)
    plan_of = {planned.name: planned.plan for planned in plans}
    errors = []
    for view in load_capture(root, downscale=downscale).views:
        pixels, ids = seen[view.name]
        pixels, ids = pixels[ids >= 0], ids[ids >= 0]
        world = np.array([positions[i] for i in ids])
        pose = view.camera.camera_from_world.numpy()
        camera = world @ pose[:3, :3].T + pose[:3, 3]
        projected = camera[:, :2] / camera[:, 2:] * view.camera.focal_px + view.camera.centre_px
        plan = plan_of[view.name]
        if plan.resampler is None:
            stored = projected * np.array(plan.source_size_px) / view.camera.size_px
        else:
            stored, _ = plan.resampler.source_px(projected)
        errors.append(np.linalg.norm(stored - pixels, axis=1))
    return np.concatenate(errors)


@pytest.mark.parametrize("name", ["fox_colmap", "south_building", "can", "cup", "mouse"])
@pytest.mark.parametrize("downscale", [1, 4])
def test_points_reproject_onto_their_features(name, downscale):
    errors = reprojection_errors(real_data(name), downscale)
    assert np.median(errors) < 1.0 and np.quantile(errors, 0.9) < 2.0


def test_undistorted_south_building_is_full_and_hardly_zoomed():
    capture = load_capture(real_data("south_building"))
    view = capture.views[0]
    assert view.camera.size_px == (900, 675) and 735 < view.camera.focal_px[0] < 755
    loaded = view.load()
    assert loaded.mask is None and loaded.rgb.shape == (675, 900, 3)


@pytest.mark.slow
def test_fox_of_instant_ngp_loads_what_exists():
    capture = load_capture(real_data("fox"), downscale=8)
    assert len(capture.views) == 50 and capture.points_are_random
    assert capture.views[0].camera.size_px == (135, 240)


@pytest.mark.slow
def test_lego_keeps_the_split_the_object_and_the_transparency():
    capture = load_capture(real_data("lego"), downscale=4)
    assert (len(capture.train_views), len(capture.test_views)) == (100, 20)
    assert capture.background == (1.0, 1.0, 1.0) and capture.train_views[0].load().alpha is not None
    # The model is about 2 units long, and the points come from its visual hull.
    assert np.abs(np.quantile(capture.points.xyz, [0.02, 0.98], axis=0)).max() < 1.5
    focal_px = capture.views[0].camera.focal_px[0]
    assert focal_px == pytest.approx(0.5 * 100 / np.tan(0.5 * 0.6911112070083618))
