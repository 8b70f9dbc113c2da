import json
import logging

import numpy as np
import pytest

from sfumato.capture.dataset import load_capture
from sfumato.capture.readers import read_source
from sfumato.errors import CaptureError
from support.foreign_datasets import HEIGHT, NAMES, WIDTH, same_poses, save_pictures, write_polycam


def edited(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("given", [".", "keyframes"])
def test_cameras_are_read(tmp_path, given):
    write_polycam(tmp_path)
    source = read_source(tmp_path / given)
    same_poses(source)
    assert [frame.name for frame in source.frames] == list(NAMES) and source.points is None
    intrinsics = source.frames[1].intrinsics
    assert intrinsics.focal_px == (41.0, 41.0) and intrinsics.centre_px == (15.5, 12.5)
    assert intrinsics.size_px == (WIDTH, HEIGHT) and intrinsics.lens.is_pinhole


def test_the_capture_can_be_trained_on(tmp_path):
    write_polycam(tmp_path)
    capture = load_capture(tmp_path)
    assert capture.points_are_random and capture.views[0].load().rgb.shape == (HEIGHT, WIDTH, 3)


def test_corrected_cameras_win_and_the_others_are_used_with_a_warning(tmp_path, caplog):
    path = write_polycam(tmp_path, corrected=False)
    edited(path, fx=90.0)
    with caplog.at_level(logging.WARNING, "sfumato"):
        assert read_source(tmp_path).frames[1].intrinsics.focal_px == (90.0, 41.0)
    assert "no corrected_cameras" in caplog.text
    write_polycam(tmp_path)
    assert read_source(tmp_path).frames[1].intrinsics.focal_px == (41.0, 41.0)


def test_pictures_are_named_when_they_are_missing(tmp_path):
    write_polycam(tmp_path)
    (tmp_path / "keyframes/corrected_images" / NAMES[2]).unlink()
    with pytest.raises(CaptureError, match=r"1 of 4 images .* the first is 'shot_02\.jpg'"):
        read_source(tmp_path)


def test_missing_files_are_named(tmp_path):
    (tmp_path / "keyframes/images").mkdir(parents=True)
    with pytest.raises(CaptureError, match=r"keyframes/cameras is missing; turn on developer mode"):
        read_source(tmp_path)
    (tmp_path / "keyframes/cameras").mkdir()
    with pytest.raises(CaptureError, match=r"cameras holds no \.json files"):
        read_source(tmp_path)
    save_pictures(tmp_path / "keyframes/images")
    (tmp_path / "keyframes/images").rename(tmp_path / "keyframes/pictures")
    with pytest.raises(CaptureError, match=r"keyframes/images is missing"):
        read_source(tmp_path)


@pytest.mark.parametrize("name", ["capture.zip", "capture.r3d"])
def test_an_archive_must_be_unpacked(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(CaptureError, match=r"is packed; .*unpack it"):
            read_source(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t_13": float("nan")}, "t_13 must hold finite numbers, not nan"),
        ({"t_00": 2.0}, "not a rotation"),
        ({"fx": "wide"}, "fx must hold finite numbers"),
        ({"fx": -1}, "focal length"),
        ({"width": 10.5}, "width must be a whole number"),
        ({"height": 10**9}, "picture size"),
        ({"cx": 1e9}, "principal point"),
    ],
)
def test_bad_cameras_are_refused_in_one_line(tmp_path, changes, message):
    edited(write_polycam(tmp_path), **changes)
    with pytest.raises(CaptureError, match=message) as caught:
        read_source(tmp_path)
    assert "\n" not in str(caught.value) and "shot_01.json" in str(caught.value)


@pytest.mark.parametrize("value", [None, "left out"])
def test_a_size_that_is_left_out_is_that_of_the_picture(tmp_path, value):
    path = write_polycam(tmp_path)
    values = json.loads(path.read_text())
    size = [values.pop("width"), values.pop("height")]
    path.write_text(json.dumps(values | ({} if value else {"width": None, "height": None})))
    sizes = {frame.intrinsics.size_px for frame in read_source(tmp_path).frames}
    assert sizes == {tuple(size)}


@pytest.mark.parametrize("key", ["t_21", "fy"])
def test_a_missing_field_is_named(tmp_path, key):
    path = write_polycam(tmp_path)
    values = json.loads(path.read_text())
    del values[key]
    path.write_text(json.dumps(values))
    with pytest.raises(CaptureError, match=f"has no {key}"):
        read_source(tmp_path)


def test_up_is_y(tmp_path):
    """A level camera looking along -z, the initial pose of ARKit, has the identity matrix."""
    path = write_polycam(tmp_path)
    rows = np.eye(4)[:3]
    edited(path, **{f"t_{i}{j}": float(rows[i, j]) for i in range(3) for j in range(4)})
    pose = read_source(tmp_path).frames[1].camera_from_world
    np.testing.assert_allclose(pose @ [0, 0, -2, 1], [0, 0, 2, 1])
    np.testing.assert_allclose(pose @ [0, 1, -2, 1], [0, -1, 2, 1])
