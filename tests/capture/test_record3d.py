import json
import logging

import pytest

from sfumato.capture.dataset import load_capture
from sfumato.capture.readers import read_source
from sfumato.errors import CaptureError
from support.foreign_datasets import NAMES, POSES, same_poses, write_record3d

BY_NUMBER = {f"{i}.jpg": POSES[name] for i, name in enumerate(NAMES)}


def edited(path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    return path


@pytest.mark.parametrize("given", [".", "EXR_RGBD", "EXR_RGBD/metadata.json"])
def test_cameras_are_read(tmp_path, given):
    write_record3d(tmp_path)
    source = read_source(tmp_path / given)
    same_poses(source, names=BY_NUMBER)
    intrinsics = [frame.intrinsics for frame in source.frames]
    assert [one.focal_px for one in intrinsics] == [(42.0 + i, 43.0) for i in range(4)]
    assert intrinsics[0].centre_px == (15.0, 12.0)


def test_one_matrix_for_all_frames_is_stored_by_columns(tmp_path):
    write_record3d(tmp_path, per_frame=False)
    for frame in read_source(tmp_path).frames:
        assert frame.intrinsics.focal_px == (40.0, 41.0) and frame.intrinsics.centre_px == (15.5, 12.5)
    assert len(load_capture(tmp_path).views) == 4


def test_an_unpacked_r3d_file_is_read(tmp_path):
    path = write_record3d(tmp_path)
    (tmp_path / "EXR_RGBD/rgb").rename(tmp_path / "rgbd")
    path.rename(tmp_path / "metadata")
    same_poses(read_source(tmp_path), names=BY_NUMBER)


def test_removed_pictures_leave_the_others_their_poses(tmp_path, caplog):
    write_record3d(tmp_path)
    (tmp_path / "EXR_RGBD/rgb/1.jpg").unlink()
    with caplog.at_level(logging.WARNING, "sfumato"):
        source = read_source(tmp_path)
    same_poses(source, names={name: pose for name, pose in BY_NUMBER.items() if name != "1.jpg"})
    assert source.frames[1].intrinsics.focal_px == (44.0, 43.0) and "1 of 4 poses" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("poses"), "has no poses; .* LiDAR"),
        (lambda v: v.pop("K"), "has no K"),
        (
            lambda v: v.update(poses=v["poses"][:3], perFrameIntrinsicCoeffs=None),
            r"has 3 poses but a picture 3\.jpg",
        ),
        (lambda v: v["poses"][1].pop(), "list of 7 numbers"),
        (lambda v: v["poses"][1].__setitem__(0, float("nan")), "finite numbers, not nan"),
        (lambda v: v["poses"].__setitem__(1, [0] * 7), "is not a quaternion"),
        (lambda v: v.update(K=[40.0, 0, 15.5, 0, 41.0, 12.5, 0, 0, 1]), "K is not the columns"),
        (lambda v: v.update(K=[1, 2]), "K must be a list of 9"),
        (lambda v: v["perFrameIntrinsicCoeffs"].pop(), "one row for each of 4 poses"),
        (lambda v: v.update(w=0), "whole number of pixels"),
        (lambda v: v.update(w=True), "finite numbers, not True"),
    ],
)
def test_bad_metadata_is_refused_in_one_line(tmp_path, change, message):
    edited(write_record3d(tmp_path), change)
    with pytest.raises(CaptureError, match=message) as caught:
        read_source(tmp_path)
    assert "\n" not in str(caught.value) and "metadata.json" in str(caught.value)


def test_missing_pictures_are_named(tmp_path):
    write_record3d(tmp_path)
    for path in (tmp_path / "EXR_RGBD/rgb").iterdir():
        path.unlink()
    with pytest.raises(CaptureError, match=r"no pictures named 0\.jpg"):
        read_source(tmp_path)
    (tmp_path / "EXR_RGBD/rgb").rmdir()
    with pytest.raises(CaptureError, match=r"EXR_RGBD/rgb is missing; .* 'EXR \+ JPG'"):
        read_source(tmp_path)
