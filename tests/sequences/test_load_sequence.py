"""Videos as sequences, with and without calibration."""

import json

import numpy as np
import pytest

from sfumato.display import Display
from sfumato.errors import CaptureError, ConfigError
from sfumato.footage import video_frames
from sfumato.sequences import calibrate, decode_videos, load_sequence
from sfumato.sfm.config import SfmConfig
from support.capture_folders import picture, save, write_colmap_bin
from support.clips import pan, write_video
from support.rig_folders import (
    NAMES,
    SIZE_PX,
    frames_folder,
    opencv_values,
    panoptic_folder,
    poses,
    write_bounds,
)

WIDTH, HEIGHT = 64, 48


@pytest.fixture
def folder(tmp_path):
    """Three videos, the second shorter, the third slower, and a calibration."""
    root = tmp_path / "given"
    root.mkdir()
    times = ([0, 40, 80, 120], [0, 40, 80], [0, 80])
    for index, (name, at) in enumerate(zip(NAMES, times, strict=True)):
        frames = pan(len(at), 2.0, size=(HEIGHT, WIDTH), seed=index)
        write_video(root / f"{name}.mp4", frames, times_ms=at)
    cameras = {
        name: opencv_values(pose, size=[WIDTH, HEIGHT], rotation=pose[:3, :3].tolist(), translation=[0, 0, 4])
        for name, pose in zip(NAMES, poses(), strict=True)
    }
    (root / "calibration.json").write_text(json.dumps(cameras))
    return root


def views(video):
    return [[view and view.name for view in camera.views] for camera in video.cameras]


def test_frames_of_videos_are_the_views_at_their_times(folder, tmp_path):
    video = load_sequence(folder, work=tmp_path / "work", downscale=2, test_cameras=["cam02"])
    assert video.times == pytest.approx([0.0, 0.04, 0.08, 0.12])
    first, second, third = views(video)
    assert first == [f"cam01/{i:06d}.jpg" for i in range(4)]
    assert second == [*(f"cam02/{i:06d}.jpg" for i in range(3)), None]
    assert third == ["cam10/000000.jpg", None, "cam10/000001.jpg", None]
    assert [camera.name for camera in video.test_cameras] == ["cam02"]
    shown = video.cameras[0].views[3].load().rgb.astype(float)
    assert shown.shape == (HEIGHT // 2, WIDTH // 2, 3)
    true = pan(4, 2.0, size=(HEIGHT, WIDTH), seed=0)[3].astype(float)
    true = true.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean(axis=(1, 3))
    assert np.abs(shown - true).mean() < 12.0, "the frame of that moment, but for compression"
    assert np.abs(shown - true[:, ::-1]).mean() > 20.0


def test_poses_of_neural_3d_video_belong_to_the_videos_in_order(folder, tmp_path):
    (folder / "calibration.json").unlink()
    write_bounds(folder / "poses_bounds.npy", size_px=(WIDTH, HEIGHT), focal_px=60.0)
    video = load_sequence(folder, work=tmp_path / "work")
    assert [camera.name for camera in video.test_cameras] == ["cam01"]
    for camera, pose in zip(video.cameras, poses(), strict=True):
        np.testing.assert_allclose(camera.camera.camera_from_world, pose, atol=1e-12)
        assert camera.camera.focal_px == (60.0, 60.0)


def test_videos_are_decoded_once_where_a_folder_is_given(folder, tmp_path, monkeypatch):
    work = tmp_path / "work"
    load_sequence(folder, work=work)
    decoded = []
    whole = video_frames.save_picture
    monkeypatch.setattr(
        video_frames, "save_picture", lambda *a: decoded.append(a[1].parent.name) or whole(*a)
    )
    load_sequence(folder, work=work)
    assert not decoded
    write_video(folder / "cam02.mp4", pan(5, 2.0, size=(HEIGHT, WIDTH)))
    load_sequence(folder, work=work)
    assert decoded.count("cam02") == 5


def test_of_frames_with_equal_times_the_first_is_used(folder, tmp_path, monkeypatch):
    frames = [("0.jpg", 0.0), ("1.jpg", 0.04), ("2.jpg", 0.04), ("3.jpg", 0.02), ("4.jpg", 0.08)]
    monkeypatch.setattr(decode_videos, "write_every_frame", lambda video, folder: frames)
    out = tmp_path / "frames"
    decode_videos.decode_videos({"cam01": folder / "cam01.mp4"}, out, Display())
    times = json.loads((out / "times.json").read_text())
    assert times == {"cam01": {"0.jpg": 0.0, "1.jpg": 0.04, "4.jpg": 0.08}}


def test_without_a_folder_frames_are_kept_until_the_process_ends(folder):
    video = load_sequence(folder)
    view = video.cameras[0].views[0]
    assert view.load().rgb.shape == (HEIGHT, WIDTH, 3) and not view.files[0].is_relative_to(folder)


def test_other_files_are_not_overwritten(folder, tmp_path):
    save(tmp_path / "work/frames/cam01/holiday.jpg", picture())
    with pytest.raises(ConfigError, match="exists and was not made here"):
        load_sequence(folder, work=tmp_path / "work")
    assert (tmp_path / "work/frames/cam01/holiday.jpg").is_file()


def test_one_video_is_monocular(folder):
    with pytest.raises(CaptureError, match="cam01\\.mp4 is monocular"):
        load_sequence(folder / "cam01.mp4")
    for name in NAMES[1:]:
        (folder / f"{name}.mp4").unlink()
    with pytest.raises(CaptureError, match=r"cam01.mp4 is monocular: with one view of each moment"):
        load_sequence(folder)


def test_a_broken_video_is_refused_by_name(folder, tmp_path):
    (folder / "cam02.mp4").write_bytes(b"not a video")
    with pytest.raises(CaptureError, match=r"cam02.mp4 is not a video, judging by its content"):
        load_sequence(folder, work=tmp_path / "work")
    assert not (tmp_path / "work/frames/times.json").exists()


def test_datasets_of_frames_are_read_directly(tmp_path):
    video = load_sequence(panoptic_folder(tmp_path))
    assert [camera.name for camera in video.test_cameras] == ["3"] and len(video.times) == 3


def test_two_cameras_cannot_calibrate_themselves(tmp_path):
    with pytest.raises(CaptureError, match="2 cameras without a calibration cannot be calibrated"):
        load_sequence(frames_folder(tmp_path, names=("a", "b")))


def test_frames_without_a_calibration_are_calibrated_from_the_first_of_each_camera(tmp_path, monkeypatch):
    runs = []

    def found(inputs, out, config, frames, *, display):
        """The result of structure from motion: pinholes of undistorted pictures, and the estimated lenses."""
        runs.append(sorted(path.name for path in inputs[0].iterdir()))
        # Cameras side by side may have almost equal pictures; all are needed.
        assert frames.keep_duplicates and config == SfmConfig(seed=3, pairs="exhaustive")
        rows = [
            (f"first_frames/{n}.png", (np.cos(a), 0.0, np.sin(a), 0.0), (0.0, 0.0, 4.0), 7) for n, a in turns
        ]
        write_colmap_bin(out / "sparse/0", [(7, "PINHOLE", 32, 24, (29.0, 29.0, 16.0, 12.0))], rows)
        camera = {"id": 7, "model": "SIMPLE_RADIAL", "size_px": [64, 48], "params": [60.0, 32.0, 24.0, 0.1]}
        (out / "sfm.json").write_text(json.dumps({"cameras": [camera]}))

    turns = [(name, -0.2 * index) for index, name in enumerate(NAMES)]
    monkeypatch.setattr(calibrate, "structure_from_motion", found)
    root = frames_folder(tmp_path / "rig")
    save(root / "frames/cam02/0001.png", np.zeros((24, 32, 3), np.uint8))
    video = load_sequence(root, work=tmp_path / "work", fps=25.0, seed=3)
    assert runs == [[f"{name}.png" for name in NAMES]]
    first = tmp_path / "work/first_frames/cam02.png"
    assert first.read_bytes() == (root / "frames/cam02/0002.png").read_bytes(), "the first one is black"
    for camera, pose in zip(video.cameras, poses(), strict=True):
        np.testing.assert_allclose(camera.camera.camera_from_world, pose, atol=1e-9)
    # The lens is scaled to the frames, which are half as large as the pictures it was estimated for.
    plan = video.cameras[0].views[0]
    assert plan.original_size_px == SIZE_PX and plan.camera.centre_px == pytest.approx((16.0, 12.0))
    assert plan.camera.focal_px[0] != pytest.approx(30.0) and len(video.points) == 5
