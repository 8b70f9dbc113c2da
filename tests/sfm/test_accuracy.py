"""Cameras of a rendered room are reconstructed accurately, and every reader gives the same dataset."""

import json

import numpy as np
import pytest
from PIL import Image

from sfumato.capture.dataset import load_capture
from support.found import centre as centre_of
from support.found import dataset, pose_errors, poses_of, similarity_between, surface_distances
from support.worlds import Lens, render, room

# Each waits for reconstructed cameras.
pytestmark = pytest.mark.slow


@pytest.fixture(params=["solved", "bent"])
def each(request):
    return request.getfixturevalue(request.param)


def test_cameras_are_accurate(each):
    found = poses_of(dataset(each.out))
    assert sorted(found) == sorted(each.shots.poses)
    degrees, shares = pose_errors(found, each.shots.poses)
    assert np.median(degrees) < 0.3 and degrees.max() < 0.5
    assert np.median(shares) < 0.002 and shares.max() < 0.01


def test_walls_that_differ_are_not_told_apart(each):
    assert "told apart" not in json.loads((each.out / "sfm.json").read_text())["found_by"]


def test_the_lens_is_accurate(each):
    (camera,) = json.loads((each.out / "sfm.json").read_text())["cameras"]
    lens = each.shots.lens
    assert camera["model"] == "OPENCV" and camera["size_px"] == [lens.width, lens.height]
    fx, fy, cx, cy, *distortion = camera["params"]
    assert [fx, fy] == pytest.approx([lens.focal_px] * 2, rel=0.01)
    assert [cx, cy] == pytest.approx(lens.centre_px, abs=0.02 * lens.width)
    corner = np.array([[0.4, 0.3], [-0.4, 0.3], [0.0, -0.35]])
    fitted = Lens(lens.width, lens.height, fx, (cx, cy), tuple(distortion))
    np.testing.assert_allclose(fitted.project(corner), lens.project(corner), atol=1.5)


def test_points_lie_on_the_surfaces(each):
    model = dataset(each.out)
    found, true = poses_of(model), each.shots.poses
    names = sorted(found)
    centres = [np.array([centre_of(poses[name]) for name in names]) for poses in (found, true)]
    scale, rotation, translation = similarity_between(*centres)
    points = np.array([point.xyz for point in model.points3D.values()])
    distances = surface_distances(room(), scale * points @ rotation.T + translation)
    assert len(points) > 600 and np.median(distances) < 0.01 and np.percentile(distances, 90) < 0.05


def test_the_dataset_is_one_of_pinholes_whose_sides_are_multiples_of_eight(each):
    (camera,) = dataset(each.out).cameras.values()
    assert camera.model_name == "PINHOLE"
    assert (camera.width % 8, camera.height % 8) == (0, 0)
    lens = each.shots.lens
    assert lens.width - camera.width < 8 and lens.height - camera.height < 8
    for path in (each.out / "images").rglob("*.png"):
        with Image.open(path) as image:
            assert image.size == (camera.width, camera.height)


def test_points_project_onto_their_features(each):
    model = dataset(each.out)
    capture = load_capture(each.out)
    views = {view.name: view for view in capture.views}
    assert len(views) == len(each.shots.poses) and not capture.points_are_random
    assert len(capture.points.xyz) == model.num_points3D()
    errors = []
    for number in model.reg_image_ids():
        image = model.images[number]
        camera = views[image.name].camera
        seen = [point for point in image.points2D if point.has_point3D()]
        world = np.array([model.points3D[point.point3D_id].xyz for point in seen])
        pose = camera.camera_from_world.numpy()
        local = world @ pose[:3, :3].T + pose[:3, 3]
        pixels = local[:, :2] / local[:, 2:] * camera.focal_px + camera.centre_px
        errors.append(np.linalg.norm(pixels - [point.xy for point in seen], axis=1))
    errors = np.concatenate(errors)
    assert errors.mean() < 0.4 and errors.max() < 3.0
    assert errors.mean() == pytest.approx(model.compute_mean_reprojection_error(), abs=0.01)


def test_undistorted_pictures_agree_with_their_pinhole_cameras(bent):
    """The world rendered with the written intrinsics and the true pose equals the written picture."""
    model = dataset(bent.out)
    (camera,) = model.cameras.values()
    pinhole = Lens(camera.width, camera.height, camera.params[0], tuple(camera.params[2:]))
    name = sorted(bent.shots.poses)[5]
    drawn = render(room(), bent.shots.poses[name], pinhole).astype(float)
    (path,) = (bent.out / "images").rglob(name)
    with Image.open(path) as image:
        written = np.asarray(image).astype(float)
    with Image.open(bent.shots.folder / name) as image:
        before = np.asarray(image).astype(float)[2:-2, 2:-2]
    assert np.abs(written - drawn).mean() < 0.4 * np.abs(before - drawn).mean()
    assert np.corrcoef(written.ravel(), drawn.ravel())[0, 1] > 0.97
