import json
import logging

import numpy as np
import pytest

from sfumato.capture.dataset import load_capture
from sfumato.capture.readers import read_source
from sfumato.errors import CaptureError
from sfumato.scene.unprojection import distort_directions
from support.foreign_datasets import (
    BROWN,
    COLOURS,
    HEIGHT,
    NAMES,
    POINTS,
    WIDTH,
    ideal_of,
    pixel_of,
    same_poses,
    save_pictures,
    write_opensfm,
)

MIDDLE = np.array([WIDTH / 2, HEIGHT / 2])
SIZE = {"width": WIDTH, "height": HEIGHT}


def edited(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("project", ["opensfm", "."])
def test_the_largest_reconstruction_is_read(tmp_path, caplog, project):
    path = write_opensfm(tmp_path, project=project)
    with caplog.at_level(logging.WARNING, "sfumato"):
        source = read_source(tmp_path)
    assert "2 partial reconstructions; using the largest, 4 of 5 images" in caplog.text
    same_poses(source)
    same_poses(read_source(path))
    assert sorted(frame.name for frame in source.frames) == list(NAMES)
    np.testing.assert_allclose(source.points.xyz, POINTS, atol=1e-6)
    np.testing.assert_array_equal(source.points.rgb, COLOURS)
    assert len(load_capture(tmp_path).views) == 4


def test_a_brown_lens_projects_as_opensfm_says(tmp_path):
    write_opensfm(tmp_path)
    c = BROWN
    for frame in read_source(tmp_path).frames:
        x, y = ideal_of(frame.path.name)
        r2 = x * x + y * y
        radial = 1 + c["k1"] * r2 + c["k2"] * r2**2 + c["k3"] * r2**3
        u = c["focal_x"] * (x * radial + 2 * c["p1"] * x * y + c["p2"] * (r2 + 2 * x * x)) + c["c_x"]
        v = c["focal_y"] * (y * radial + 2 * c["p2"] * x * y + c["p1"] * (r2 + 2 * y * y)) + c["c_y"]
        # OpenSfM has pixel centres at integers, this package at half-integers.
        wanted = np.array([u, v]) * max(WIDTH, HEIGHT) + [(WIDTH - 1) / 2 + 0.5, (HEIGHT - 1) / 2 + 0.5]
        np.testing.assert_allclose(pixel_of(frame, POINTS[1]), wanted, atol=1e-9)


@pytest.mark.parametrize(
    "camera",
    [
        {"projection_type": "perspective", "focal": 1.2, "k1": 0.05, "k2": -0.02},
        {"focal": 1.2},
        {"projection_type": "simple_radial", "focal_x": 1.2, "focal_y": 1.1, "c_x": 0.02, "k1": 0.05},
        {"projection_type": "radial", "focal_x": 1.2, "focal_y": 1.1, "c_y": 0.02, "k1": 0.05, "k2": 0.01},
    ],
)
def test_radial_lenses_project_as_opensfm_says(tmp_path, camera):
    write_opensfm(tmp_path, camera={**camera, **SIZE})
    for frame in read_source(tmp_path).frames:
        xy = np.array(ideal_of(frame.path.name))
        scale = 1 + camera.get("k1", 0) * (xy @ xy) + camera.get("k2", 0) * (xy @ xy) ** 2
        focal = [camera.get(key, camera.get("focal")) for key in ("focal_x", "focal_y")]
        wanted = (xy * scale * focal + [camera.get("c_x", 0), camera.get("c_y", 0)]) * WIDTH
        np.testing.assert_allclose(pixel_of(frame, POINTS[1]), wanted + MIDDLE, atol=1e-9)


@pytest.mark.parametrize(
    ("camera", "k"),
    [
        ({"projection_type": "fisheye", "focal": 0.9}, (0.05, -0.02)),
        ({"projection_type": "fisheye_opencv", "focal_x": 0.9, "focal_y": 0.9}, (0.05, -0.02, 0.01, 0.003)),
        (
            {"projection_type": "fisheye62", "focal_x": 0.9, "focal_y": 0.9},
            (0.05, -0.02, 0.01, 0.003, 0.1, 0.2),
        ),
    ],
)
def test_fisheye_lenses_project_as_opensfm_says(tmp_path, camera, k):
    terms = {f"k{i}": value for i, value in enumerate(k, 1)}
    write_opensfm(tmp_path, camera={**camera, **terms, **SIZE})
    for frame in read_source(tmp_path).frames:
        xy = np.array(ideal_of(frame.path.name))
        radius = np.linalg.norm(xy)
        theta = np.arctan(radius)
        bent = theta * (1 + sum(value * theta ** (2 * i) for i, value in enumerate(k, 1)))
        wanted = 0.9 * WIDTH * bent * xy / radius + MIDDLE
        np.testing.assert_allclose(pixel_of(frame, POINTS[1]), wanted, atol=1e-9)


def test_undistorted_pictures_are_used_if_the_photographs_are_missing(tmp_path):
    write_opensfm(tmp_path)
    wrong = {"focal": 2.0, **SIZE}
    write_opensfm(tmp_path, camera=wrong, project="opensfm/undistorted", images="opensfm/undistorted/images")
    assert read_source(tmp_path).frames[0].intrinsics.focal_px == (1.25 * WIDTH, 1.2 * WIDTH)
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    (tmp_path / "images").rmdir()
    assert read_source(tmp_path).frames[0].intrinsics.focal_px == (2.0 * WIDTH, 2.0 * WIDTH)


def test_names_may_omit_the_extension_of_the_undistorted_copy(tmp_path):
    write_opensfm(tmp_path)
    for path in (tmp_path / "images").iterdir():
        path.rename(path.with_name(f"{path.name}.png"))
    assert len(read_source(tmp_path).frames) == 4


def test_a_zero_rotation_vector_is_the_identity(tmp_path):
    path = write_opensfm(tmp_path)
    edited(path, lambda d: d[1]["shots"][NAMES[0]].update(rotation=[0.0, 0.0, 0.0], translation=[1, 2, 3]))
    poses = {frame.name: frame.camera_from_world for frame in read_source(tmp_path).frames}
    np.testing.assert_array_equal(poses[NAMES[0]][:3], [[1, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3]])


def test_a_sphere_projects_as_opensfm_says(tmp_path):
    write_opensfm(tmp_path, camera={"projection_type": "spherical", **SIZE})
    intrinsics = read_source(tmp_path).frames[0].intrinsics
    x, y, z = np.random.default_rng(0).normal(size=(3, 40))
    across, down = np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))
    ours = distort_directions(intrinsics.lens, np.stack([x, y, z], axis=-1))
    ours = ours * intrinsics.focal_px + intrinsics.centre_px
    wanted = np.stack([across, down], axis=-1) / (2 * np.pi) * max(WIDTH, HEIGHT) + MIDDLE
    np.testing.assert_allclose(ours, wanted, atol=1e-9)


@pytest.mark.parametrize(
    "odd", [{"projection_type": "dual"}, {}, None, {"projection_type": None, "width": 0}]
)
def test_unused_cameras_may_have_any_model(tmp_path, odd):
    edited(write_opensfm(tmp_path), lambda d: d[1]["cameras"].update(unused=odd))
    assert len(read_source(tmp_path).frames) == 4


def test_null_means_a_missing_value(tmp_path):
    write_opensfm(tmp_path, camera={"focal": 1.2, "k1": None, "k2": None, "projection_type": None, **SIZE})
    assert read_source(tmp_path).frames[0].intrinsics.lens.is_pinhole


def test_a_reconstruction_without_points(tmp_path):
    edited(write_opensfm(tmp_path), lambda d: d[1].pop("points"))
    assert read_source(tmp_path).points is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.clear(), "holds no reconstruction"),
        (lambda d: d.__setitem__(1, 5), "is not a list of reconstructions"),
        (lambda d: d[1].pop("shots"), "shots must be an object"),
        (lambda d: (d.pop(0), d[0]["shots"].clear()), "has no shots"),
        (lambda d: d[1].pop("cameras"), "cameras must be an object"),
        (lambda d: d[1]["cameras"].clear(), "names camera 'v2 phone', which does not exist"),
        (lambda d: d[1]["cameras"]["v2 phone"].pop("focal_x"), "focal_x must hold finite numbers, not None"),
        (lambda d: d[1]["cameras"]["v2 phone"].update(k1=float("inf")), "k1 must hold finite numbers"),
        (lambda d: d[1]["cameras"]["v2 phone"].update(width=0), "whole number of pixels"),
        (
            lambda d: d[1]["cameras"]["v2 phone"].update(projection_type="dual"),
            "'dual' is not supp",
        ),
        (lambda d: d[1]["cameras"]["v2 phone"].update(projection_type=[]), r"projection_type \[\] is not"),
        (lambda d: d[1]["cameras"]["v2 phone"].update(projection_type="fisheye62"), "p1 of fisheye62 is not"),
        (lambda d: d[1]["shots"][NAMES[1]].update(rotation=[1, 2]), "rotation must be a list of 3"),
        (lambda d: d[1]["shots"][NAMES[1]].update(rotation=[1e9, 2, 3]), "not an angle-axis vector"),
        (
            lambda d: d[1]["shots"][NAMES[1]].update(translation=[1, 2, float("nan")]),
            "finite numbers, not nan",
        ),
        (lambda d: d[1]["shots"][NAMES[1]].pop("camera"), "camera must be a text"),
        (lambda d: d[1]["shots"].update({"../../etc/passwd": {}}), "leads out of"),
        (lambda d: d[1]["shots"].update({"a" * 5000: {}}), "is not a file name"),
        (lambda d: d[1]["shots"].update({"gone.jpg": {}}), r"1 of 5 images .* the first is 'gone\.jpg'"),
        (lambda d: d[1]["points"]["0"].update(coordinates="here"), "coordinates must be a list of 3"),
        (lambda d: d[1]["points"]["0"].update(color=[1, 2, 256]), "colours of points must be in 0 to 255"),
    ],
)
def test_bad_reconstructions_are_refused_in_one_line(tmp_path, change, message):
    edited(write_opensfm(tmp_path), change)
    with pytest.raises(CaptureError, match=message) as caught:
        read_source(tmp_path)
    assert "\n" not in str(caught.value) and "reconstruction.json" in str(caught.value)


def test_cameras_of_odm_alone_are_not_enough(tmp_path):
    save_pictures(tmp_path / "images")
    (tmp_path / "cameras.json").write_text("{}")
    with pytest.raises(CaptureError, match=r"cameras\.json of ODM has lenses only; give the project"):
        read_source(tmp_path)
