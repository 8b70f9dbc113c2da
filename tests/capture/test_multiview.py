"""Multi-view videos: behaviour common to all layouts, tested with that of PanopticSports."""

import io
import zipfile

import numpy as np
import pytest
import torch

from sfumato.capture.multiview import load_multiview
from sfumato.errors import CaptureError, ConfigError
from support.capture_folders import picture, save
from support.rig_folders import SIZE_PX, edit_json, panoptic_folder, ring_pose


@pytest.fixture
def folder(tmp_path):
    return panoptic_folder(tmp_path)


def names(cameras):
    return [camera.name for camera in cameras]


def test_cameras_times_and_split_are_read_from_the_files(folder):
    video = load_multiview(folder)
    assert names(video.cameras) == ["1", "2", "3", "10"]
    assert names(video.test_cameras) == ["3"] and names(video.train_cameras) == ["1", "2", "10"]
    assert video.split_rule == "test_meta.json"
    assert video.times == pytest.approx([0.0, 1 / 30, 2 / 30])
    assert load_multiview(folder, fps=10.0).times == pytest.approx([0.0, 0.1, 0.2])
    first = video.cameras[0].camera
    assert (first.focal_px, first.centre_px, first.size_px) == ((30.0, 31.0), (16.5, 12.5), SIZE_PX)
    np.testing.assert_allclose(video.cameras[3].camera.camera_from_world, ring_pose(0.8), atol=1e-12)


def test_a_step_is_an_ordinary_capture(folder):
    video = load_multiview(folder, downscale=2)
    capture = video.at(1)
    assert [view.name for view in capture.views] == [f"{c}/000001.jpg" for c in ("1", "10", "2", "3")]
    assert capture.test_names == {"3/000001.jpg"} and capture.split_rule == video.split_rule
    view = capture.views[1]
    assert view is video.cameras[3].views[1] and view.camera_group == 3 and view.time == video.times[1]
    assert view.load().rgb.shape == (12, 16, 3) and view.camera.size_px == (16, 12)
    assert view.load() is view.load(), "pictures are decoded once"
    assert capture.points_are_random and capture.points is video.at(0).points
    expected = load_multiview(folder).cameras[3].views[1].load().rgb
    assert abs(view.load().rgb.mean(dtype=float) - expected.mean(dtype=float)) < 1.0


def test_equal_seeds_give_equal_points(folder):
    points = [load_multiview(folder, seed=seed).at(0).points.xyz for seed in (1, 1, 2)]
    assert np.array_equal(points[0], points[1]) and not np.array_equal(points[0], points[2])


def test_foreground_masks_are_downscaled_with_the_pictures(folder):
    video = load_multiview(folder, downscale=2)
    mask = video.foreground(0, 1)
    assert mask.shape == (12, 16) and mask.dtype == torch.bool
    assert mask[:, :8].all() and not mask[:, 8:].any()
    assert video.foreground(2, 1) is None, "the test camera has no masks"
    assert video.cameras[0].views[1].load().mask is None, "foreground masks are not masks of valid pixels"


def test_a_cloud_is_read_with_its_colours(folder):
    rows = np.array([[0.0, 1.0, 2.0, 0.0, 0.5, 1.0, 1.0], [0.5, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]])
    np.savez(folder / "init_pt_cld.npz", data=rows)
    video = load_multiview(folder)
    np.testing.assert_array_equal(video.points.xyz, rows[:, :3].astype(np.float32))
    np.testing.assert_array_equal(video.points.rgb, [[0, 128, 255], [255, 0, 0]])
    assert video.at(2).points is video.points and not video.at(2).points_are_random


@pytest.mark.parametrize("data", [np.zeros((3, 2)), np.array([{}]), np.zeros(7, "U3")])
def test_other_arrays_are_refused_as_point_clouds(folder, data):
    np.savez(folder / "init_pt_cld.npz", data=data)
    with pytest.raises(CaptureError, match=r"init_pt_cld.npz does not hold the array"):
        load_multiview(folder)


def test_a_point_cloud_with_a_wrong_shape_is_refused_before_reading(folder):
    array = io.BytesIO()
    np.save(array, np.zeros((30, 7)))
    with zipfile.ZipFile(folder / "init_pt_cld.npz", "w") as archive:
        archive.writestr("data.npy", array.getvalue().replace(b"(30, 7)", b"(99, 7)"))
    with pytest.raises(CaptureError, match="it has another size than its shape"):
        load_multiview(folder)


@pytest.mark.parametrize(
    ("given", "held_out", "rule"),
    [
        (("2", "10"), ["2", "10"], "cameras 2, 10"),
        ("10", ["10"], "cameras 10"),
        (2, ["1", "3"], "every 2nd camera, in natural order"),
        (0, [], "none"),
        ((), [], "none"),
    ],
)
def test_cameras_are_held_out_by_name_or_rule(folder, given, held_out, rule):
    video = load_multiview(folder, test_cameras=given)
    assert (names(video.test_cameras), video.split_rule) == (held_out, rule)


def test_a_camera_may_miss_frames(folder, caplog):
    (folder / "ims" / "2" / "000001.jpg").unlink()
    video = load_multiview(folder)
    assert [view is None for view in video.cameras[1].views] == [False, True, False]
    assert video.foreground(1, 1) is None
    assert [view.name for view in video.at(1).train_views] == ["1/000001.jpg", "10/000001.jpg"]
    assert "1 of the pictures that its cameras name do not exist, the first is '2/000001.jpg'" in caplog.text


def test_a_step_without_pictures_to_train_on_is_none(folder):
    for camera in ("1", "2", "10"):
        (folder / "ims" / camera / "000001.jpg").unlink()
    video = load_multiview(folder)
    assert video.times == pytest.approx([0.0, 2 / 30]) and len(video.cameras[2].views) == 2
    assert [view.name for view in video.at(1).test_views] == ["3/000002.jpg"]
    with pytest.raises(ConfigError, match="step is 2"):
        video.at(2)


def moved(meta):
    meta["w2c"][1][0][0][3] += 0.1


def zoomed(meta):
    meta["k"][2][1] = [[33.0, 0.0, 16.5], [0.0, 31.0, 12.5], [0.0, 0.0, 1.0]]


def twice(meta):
    meta["cam_id"][0] = [1, 1, 10]


def ragged(meta):
    meta["k"][0] = meta["k"][0][:2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (moved, "camera 1 moves during the video"),
        (zoomed, "camera 2 changes its lens"),
        (twice, "frame 0 of camera 1 is listed twice"),
        (ragged, "k, w2c, fn and cam_id must be lists"),
        (lambda meta: meta.update(w=0), "w must be a whole number of pixels"),
        (lambda meta: meta["fn"][0].__setitem__(0, "../../secret.jpg"), "leads out of"),
        (lambda meta: meta["cam_id"][0].__setitem__(0, None), "cam_id a number or text"),
    ],
)
def test_contradictions_are_refused_by_name(folder, change, message):
    edit_json(folder / "train_meta.json", change)
    with pytest.raises(CaptureError, match=message):
        load_multiview(folder)


def test_one_camera_is_refused_by_name(tmp_path):
    with pytest.raises(CaptureError, match="monocular: with one view of each moment"):
        load_multiview(panoptic_folder(tmp_path, train=("1",), test=()))


def test_a_camera_has_pictures_of_one_size(folder):
    save(folder / "ims" / "1" / "000002.jpg", picture(64, 48))
    with pytest.raises(CaptureError, match="not as large as other frames of camera 1"):
        load_multiview(folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_cameras": ["7"]}, "test_cameras names '7'; .* has the cameras 1, 2, 3, 10"),
        ({"test_cameras": ["1", "2", "3"]}, "3 of 4 cameras are held out"),
        ({"test_cameras": -1}, "test_cameras is -1"),
        ({"fps": 0.0}, "fps is 0.0"),
        ({"downscale": 0}, "downscale is 0"),
    ],
)
def test_options_are_checked(folder, options, message):
    with pytest.raises((CaptureError, ConfigError), match=message):
        load_multiview(folder, **options)


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(CaptureError, match="holds no multi-view video"):
        load_multiview(tmp_path)
    with pytest.raises(CaptureError, match="is missing"):
        load_multiview(tmp_path / "none")
