"""Folders of frames with each kind of calibration, and transforms with times."""

import json

import numpy as np
import pytest

from sfumato.capture.multiview import load_multiview
from sfumato.capture.multiview.find_calibration import read_calibration
from sfumato.errors import CaptureError
from sfumato.scene.lenses import PINHOLE
from support.capture_folders import picture, save, write_colmap_bin
from support.rig_folders import (
    CENTRE_PX,
    FOCAL_PX,
    NAMES,
    SIZE_PX,
    edit_json,
    frames_folder,
    poses,
    write_bounds,
    write_opencv_json,
    write_qualisys,
    write_toml,
)


def colmap(root, images):
    """A COLMAP model with one picture of each camera."""
    rows = []
    for index, name in enumerate(images):
        half = -0.2 * index
        rows.append((name, (np.cos(half), 0.0, np.sin(half), 0.0), (0.0, 0.0, 4.0), 1))
    write_colmap_bin(root / "sparse" / "0", [(1, "PINHOLE", *SIZE_PX, (*FOCAL_PX, *CENTRE_PX))], rows)


def transforms(root, frames, **values):
    """frames: (file, index of the camera, values of the frame)."""
    rows = []
    for file, index, more in frames:
        pose = np.linalg.inv(poses(index + 1)[index]) @ np.diag([1.0, -1.0, -1.0, 1.0])
        rows.append({"file_path": file, "transform_matrix": pose.tolist(), **more})
    (fx, fy), (cx, cy) = FOCAL_PX, CENTRE_PX
    shared = {"fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "w": SIZE_PX[0], "h": SIZE_PX[1]}
    (root / "transforms.json").write_text(json.dumps({"frames": rows, **shared, **values}))


CALIBRATIONS = {
    "colmap, by folder": lambda root: colmap(root, [f"{name}/0001.png" for name in NAMES]),
    "colmap, by name": lambda root: colmap(root, [f"{name}.jpg" for name in NAMES]),
    "colmap, by first frame": lambda root: colmap(root, [f"{name}_0001.png" for name in NAMES]),
    "transforms": lambda root: transforms(
        root, [(f"frames/{name}/0001.png", i, {}) for i, name in enumerate(NAMES)]
    ),
    "toml": lambda root: write_toml(root / "Calib.toml"),
    "json, list": lambda root: write_opencv_json(root / "cameras.json"),
    "json, table": lambda root: write_opencv_json(root / "calibration.json", form="R t"),
    "qualisys": lambda root: write_qualisys(root / "Calib.qca.txt"),
}


@pytest.mark.parametrize("kind", CALIBRATIONS)
def test_every_calibration_gives_the_same_cameras(tmp_path, kind):
    CALIBRATIONS[kind](frames_folder(tmp_path))
    video = load_multiview(tmp_path, fps=50.0)
    assert [camera.name for camera in video.cameras] == list(NAMES)
    for camera, pose in zip(video.cameras, poses(), strict=True):
        np.testing.assert_allclose(camera.camera.camera_from_world, pose, atol=1e-9)
        assert camera.camera.focal_px == pytest.approx(FOCAL_PX)
        assert camera.camera.centre_px == pytest.approx(CENTRE_PX)
        assert camera.camera.lens is PINHOLE
    assert video.times == pytest.approx([0.0, 0.02, 0.04]) and video.split_rule == "none"
    assert video.cameras[2].views[2].name == "cam10/0003.png"


def test_points_of_a_model_are_those_of_the_first_step(tmp_path):
    colmap(frames_folder(tmp_path), [f"{name}.jpg" for name in NAMES])
    assert len(load_multiview(tmp_path, fps=30.0).points) == 5


def test_poses_of_llff_are_those_of_the_cameras_in_order_and_the_first_is_held_out(tmp_path):
    write_bounds(frames_folder(tmp_path) / "poses_bounds.npy")
    video = load_multiview(tmp_path, fps=30.0)
    for camera, pose in zip(video.cameras, poses(), strict=True):
        np.testing.assert_allclose(camera.camera.camera_from_world, pose, atol=1e-12)
        assert camera.camera.focal_px == (30.0, 30.0) and camera.camera.centre_px == (16.0, 12.0)
    assert [camera.name for camera in video.test_cameras] == ["cam01"]
    assert video.split_rule == "the first camera, as by the convention of poses_bounds.npy"
    assert not load_multiview(tmp_path, fps=30.0, test_cameras=0).test_cameras


def test_rows_without_names_are_as_many_as_the_cameras(tmp_path):
    write_bounds(frames_folder(tmp_path) / "poses_bounds.npy", count=4)
    with pytest.raises(
        CaptureError, match=r"calibrates 4 cameras \(without names\), which are not the video's 3"
    ):
        load_multiview(tmp_path)


@pytest.mark.parametrize("shape", [(3, 15), (17,), (2000, 17)])
def test_other_arrays_are_no_poses(tmp_path, shape):
    np.save(frames_folder(tmp_path) / "poses_bounds.npy", np.zeros(shape))
    with pytest.raises(CaptureError, match=r"poses_bounds.npy does not hold the array that is wanted"):
        load_multiview(tmp_path)


def test_lenses_differ_from_camera_to_camera_and_are_undistorted(tmp_path):
    write_opencv_json(frames_folder(tmp_path) / "cameras.json")
    edit_json(tmp_path / "cameras.json", lambda rows: rows[1].update(D=[0.05, -0.01, 0.001, 0.0]))
    cameras = read_calibration(tmp_path).cameras
    assert cameras[0].lens is PINHOLE
    assert cameras[1].lens.model == "opencv" and cameras[1].lens.coefficients == (0.05, -0.01, 0.001, 0.0)
    assert all(camera.camera.lens is PINHOLE for camera in load_multiview(tmp_path, fps=30.0).cameras)


def test_distortions_keep_the_order_of_opencv(tmp_path):
    path = write_opencv_json(tmp_path / "cameras.json")
    terms = [0.1, 0.2, 0.01, 0.02, 0.3, 0.4, 0.5, 0.6]
    edit_json(path, lambda rows: rows[0].update(D=[terms]))
    edit_json(path, lambda rows: rows[1].update(D=terms[:4], fisheye=True))
    edit_json(path, lambda rows: rows[2].update(D=terms[:5]))
    lenses = [camera.lens for camera in read_calibration(path).cameras]
    assert [lens.model for lens in lenses] == ["full_opencv", "opencv_fisheye", "full_opencv"]
    assert [lens.coefficients for lens in lenses[:2]] == [tuple(terms), tuple(terms[:4])]
    assert lenses[2].coefficients == (*terms[:5], 0.0, 0.0, 0.0)
    edit_json(path, lambda rows: rows[0].update(D=[*terms, 0.7]))
    with pytest.raises(CaptureError, match="D has 9 terms, of which 8 are supported"):
        read_calibration(path)


def test_cameras_are_matched_by_number_or_order_where_names_differ(tmp_path, caplog):
    write_toml(frames_folder(tmp_path) / "Calib.toml", names=("int_10", "int_2", "int_1"))
    video = load_multiview(tmp_path, fps=30.0)
    np.testing.assert_allclose(video.cameras[0].camera.camera_from_world, poses()[2], atol=1e-12)
    assert "by the numbers in their names" in caplog.text
    write_toml(tmp_path / "Calib.toml", names=("left", "middle", "right"))
    video = load_multiview(tmp_path, fps=30.0)
    np.testing.assert_allclose(video.cameras[2].camera.camera_from_world, poses()[2], atol=1e-12)
    assert "left with cam01 to right with cam10" in caplog.text
    write_toml(tmp_path / "Calib.toml", names=("left", "right"))
    with pytest.raises(
        CaptureError, match=r"calibrates 2 cameras \(left, right\), which are not the video's 3"
    ):
        load_multiview(tmp_path)


def test_two_calibrated_cameras_of_one_name_are_refused(tmp_path):
    colmap(frames_folder(tmp_path), ["cam01/0001.png", "cam02/0001.png", "cam01/0002.png"])
    with pytest.raises(CaptureError, match="cam01 and cam01 may both be camera cam01; keep one of them"):
        load_multiview(tmp_path, fps=30.0)


def test_one_folder_of_frames_is_monocular(tmp_path):
    write_toml(frames_folder(tmp_path, names=("cam01",)) / "Calib.toml", names=("cam01",))
    with pytest.raises(CaptureError, match="is monocular: with one view of each moment"):
        load_multiview(tmp_path)


def test_cameras_that_are_not_calibrated_are_left_out(tmp_path, caplog):
    write_toml(frames_folder(tmp_path) / "Calib.toml", names=("cam01", "cam02"))
    assert [camera.name for camera in load_multiview(tmp_path, fps=30.0).cameras] == ["cam01", "cam02"]
    assert "1 of 3 cameras are not calibrated and left out, the first is cam10" in caplog.text


def test_pictures_may_be_cropped_by_a_block_or_resized(tmp_path, caplog):
    write_toml(frames_folder(tmp_path) / "Calib.toml")
    for step in (1, 2, 3):
        save(tmp_path / f"frames/cam02/{step:04d}.png", picture(28, 24))
        save(tmp_path / f"frames/cam10/{step:04d}.png", picture(64, 48))
    first, second, third = (camera.camera for camera in load_multiview(tmp_path, fps=30.0).cameras)
    assert (first.size_px, second.size_px, third.size_px) == ((32, 24), (28, 24), (64, 48))
    assert second.centre_px == pytest.approx((15.0, 13.0)) and second.focal_px == pytest.approx(FOCAL_PX)
    assert third.centre_px == pytest.approx((34.0, 26.0)) and third.focal_px == pytest.approx((60.0, 62.0))
    assert "calibrated for 32x24 pixels but its frames are 28x24; taken as cropped evenly" in caplog.text
    save(tmp_path / "frames/cam02/0001.png", picture(24, 32))
    with pytest.raises(CaptureError, match="its frames are 24x32 on its side; give the calibration"):
        load_multiview(tmp_path)


def test_foregrounds_and_masks_of_folders(tmp_path):
    write_toml(frames_folder(tmp_path) / "Calib.toml")
    half = np.zeros(SIZE_PX[::-1], np.uint8)
    half[:12] = 255
    save(tmp_path / "seg/cam01/0002.png", half)
    save(tmp_path / "masks/cam02/0002.png", half)
    video = load_multiview(tmp_path, fps=30.0)
    assert video.foreground(0, 1)[:12].all() and not video.foreground(0, 1)[12:].any()
    assert video.foreground(0, 0) is None and video.foreground(1, 1) is None
    assert video.cameras[0].views[1].load().mask is None
    assert video.cameras[1].views[1].load().mask[:12].all()


def test_frames_that_are_missing_are_missing_steps(tmp_path, caplog):
    write_toml(frames_folder(tmp_path, steps=5, first=10) / "Calib.toml")
    (tmp_path / "frames/cam01/0010.png").unlink()
    (tmp_path / "frames/cam02/0012.png").unlink()
    (tmp_path / "frames/cam02/0014.png").unlink()
    video = load_multiview(tmp_path)
    assert [[view is not None for view in camera.views] for camera in video.cameras] == [
        [False, True, True, True, True],
        [True, True, False, True, False],
        [True] * 5,
    ]
    assert "taken as 30: give fps" in caplog.text


def test_frames_may_be_numbered_in_strides_but_not_wildly(tmp_path):
    write_toml(frames_folder(tmp_path, steps=0) / "Calib.toml")
    for name in NAMES:
        for number in (0, 10, 30):
            save(tmp_path / "frames" / name / f"f{number}.png", picture(*SIZE_PX))
    assert load_multiview(tmp_path, fps=100.0).times == pytest.approx([0.0, 0.1, 0.3])
    save(tmp_path / "frames/cam01/f9000001.png", picture(*SIZE_PX))
    with pytest.raises(CaptureError, match="though no camera has more than 4; number them without gaps"):
        load_multiview(tmp_path)
    save(tmp_path / "frames/cam01/g10.png", picture(*SIZE_PX))
    with pytest.raises(CaptureError, match="have one number"):
        load_multiview(tmp_path)


def timed(root, *, names=NAMES, steps=3, folder="{camera}/images/{step:04d}.png"):
    rows = []
    for step in range(steps):
        for index, camera in enumerate(names):
            file = folder.format(camera=camera, step=step)
            save(root / file, picture(*SIZE_PX, seed=10 * index + step))
            rows.append((file, index, {"time": 0.25 * step}))
    return rows


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("{camera}/images/{step:04d}.png", list(NAMES)),
        ("images/{camera}_{step:04d}.png", list(NAMES)),
        ("images/{step:04d}_{camera}.png", ["0", "1", "2"]),
    ],
)
def test_transforms_with_times_are_cameras_told_by_their_poses(tmp_path, folder, names):
    transforms(tmp_path, timed(tmp_path, folder=folder))
    video = load_multiview(tmp_path)
    assert [camera.name for camera in video.cameras] == names and video.times == (0.0, 0.25, 0.5)
    np.testing.assert_allclose(video.cameras[1].camera.camera_from_world, poses()[1], atol=1e-9)
    assert [camera.views[2].time for camera in video.cameras] == [0.5] * 3
    assert load_multiview(tmp_path, fps=20.0).times == pytest.approx([0.0, 0.05, 0.1])


def test_a_split_by_whole_cameras_is_that_of_the_transforms(tmp_path):
    rows = timed(tmp_path)
    files = [file for file, _, _ in rows]
    test = [file for file in files if file.startswith("cam02")]
    train = [file for file in files if file not in test]
    transforms(tmp_path, rows, train_filenames=train, test_filenames=test)
    video = load_multiview(tmp_path)
    assert [camera.name for camera in video.test_cameras] == ["cam02"]
    assert video.split_rule == "test_filenames of transforms.json"


def test_one_picture_a_moment_is_monocular(tmp_path):
    rows = [(file, k, {"time": 0.01 * k}) for k, (file, _, _) in enumerate(timed(tmp_path))]
    transforms(tmp_path, rows)
    with pytest.raises(CaptureError, match="monocular: with one view of each moment, motion cannot be told"):
        load_multiview(tmp_path)


def test_cameras_that_move_are_refused(tmp_path):
    rows = [(file, k, more) for k, (file, _, more) in enumerate(timed(tmp_path))]
    transforms(tmp_path, rows)
    with pytest.raises(CaptureError, match="its cameras move: 9 of 9 poses have one frame only"):
        load_multiview(tmp_path)


def test_frames_without_a_calibration_are_refused(tmp_path):
    with pytest.raises(CaptureError, match="holds no calibration: no COLMAP model"):
        load_multiview(frames_folder(tmp_path), fps=30.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[0].pop("w2c"), "camera 0: no pose; give 'rotation'"),
        (lambda rows: rows[0].update(K=[1.0, 2.0]), "K must be 3 rows of 3 numbers"),
        (lambda rows: rows[0].update(D="flat"), "D must be a list of numbers"),
        (lambda rows: rows[0].update(w="wide"), "size must hold finite numbers"),
        (lambda rows: rows.clear(), "holds no camera with a matrix K"),
    ],
)
def test_broken_calibrations_are_refused(tmp_path, change, message):
    path = write_opencv_json(tmp_path / "cameras.json")
    edit_json(path, change)
    with pytest.raises(CaptureError, match=message):
        read_calibration(path)


@pytest.mark.parametrize("old", ['r22="', 'focalLengthU="', "<transform", 'x="'])
def test_broken_calibrations_of_qualisys_are_refused(tmp_path, old):
    path = write_qualisys(tmp_path / "Calib.qca.txt")
    path.write_text(path.read_text().replace(old, f"{old}x", 1))
    with pytest.raises(CaptureError, match=r"Calib.qca.txt"):
        read_calibration(path)
