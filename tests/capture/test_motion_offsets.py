"""Clock offsets estimated from motion."""

import json

import numpy as np
import pytest

from sfumato.capture.multiview import load_multiview
from sfumato.capture.multiview.agreed_offsets import PairOffset, agreed_offsets
from sfumato.errors import CaptureError, ConfigError
from support.capture_folders import save
from support.rig_folders import ring_pose

WIDTH, HEIGHT, FOCAL_PX, FPS = 96, 72, 80.0, 25.0
NAMES = ("a", "b", "c")


def places(time):
    """[3, 3] centres of three irregularly moving balls at a time."""
    phase = np.arange(1.0, 4.0)[:, None] * [1.3, 1.9, 0.7]
    swing = np.sin(time * np.array([2.1, 1.5, 2.7]) + 3.0 * phase) + np.sin(5.3 * time + 7.0 * phase)
    return 0.45 * swing


def frame(pose, time, noise):
    """White balls in front of a grey wall."""
    seen = places(time) @ pose[:3, :3].T + pose[:3, 3]
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    picture = np.full((HEIGHT, WIDTH), 90.0)
    for x, y, z in seen:
        centre = FOCAL_PX * x / z + WIDTH / 2, FOCAL_PX * y / z + HEIGHT / 2
        away = np.hypot(columns - centre[0], rows - centre[1])
        picture = np.maximum(picture, 230.0 * np.clip(12.0 / z + 0.5 - away, 0.0, 1.0))
    picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    return np.repeat(picture[..., None], 3, axis=2)


def rig(root, starts, *, count=40, moving=NAMES):
    """Videos of cameras with different start times."""
    rng = np.random.default_rng(0)
    cameras = []
    for index, name in enumerate(NAMES):
        pose = ring_pose(0.7 * index)
        matrix = [FOCAL_PX, FOCAL_PX, WIDTH / 2 - 0.5, HEIGHT / 2 - 0.5]
        cameras.append({"name": name, "w": WIDTH, "h": HEIGHT, "K": matrix, "w2c": pose.tolist()})
        for number in range(count):
            time = starts[index] + number / FPS if name in moving else 0.0
            save(root / name / f"{number}.png", frame(pose, time, rng.normal(0, 1.5, (HEIGHT, WIDTH))))
    (root / "cameras.json").write_text(json.dumps(cameras))
    return root


def test_offsets_are_estimated_from_motion(tmp_path, caplog):
    starts = (0.0, 7.4 / FPS, -3.2 / FPS)
    video = load_multiview(rig(tmp_path, starts), fps=FPS, offsets="auto")
    # Each camera shows the nearest frame, so times differ by less than about half a frame.
    for camera, start in zip(video.cameras, starts, strict=True):
        for time, view in zip(video.times, camera.views, strict=True):
            if view is not None:
                number = int(view.name.rpartition("/")[2].removesuffix(".png"))
                assert abs(start + number / FPS - time) < 0.8 / FPS
    assert all(camera.views[0] for camera in video.cameras) and video.times[0] == pytest.approx(
        7.4 / FPS, abs=0.3 / FPS
    )
    assert "estimated offsets, with standard deviations: a +0.0000 s (0.00 frames), b" in caplog.text


def test_a_camera_that_sees_no_motion_needs_its_offset(tmp_path):
    folder = rig(tmp_path, (0.0, 0.0, 0.0), count=20, moving=("a", "b"))
    with pytest.raises(CaptureError, match="camera c sees no motion in common with the others"):
        load_multiview(folder, fps=FPS, offsets="auto")
    with pytest.raises(ConfigError, match="offsets is 'guess'"):
        load_multiview(folder, fps=FPS, offsets="guess")
    for name in NAMES:
        for number in range(9, 20):
            (folder / name / f"{number}.png").unlink()
    with pytest.raises(CaptureError, match="camera a has 9 frames; offsets are estimated from at least 16"):
        load_multiview(folder, fps=FPS, offsets="auto")


def test_inconsistent_pairs_are_rejected():
    true = np.array([0.0, 0.5, -0.25, 1.0])
    pairs = [PairOffset(i, j, true[j] - true[i], 0.8, 0.01) for i in range(4) for j in range(i + 1, 4)]
    pairs[1] = PairOffset(0, 2, 3.0, 0.7, 0.01)
    offsets, deviations = agreed_offsets(pairs, 4, 0.1)
    np.testing.assert_allclose(offsets, true, atol=1e-9)
    assert deviations[0] == 0.0 and (deviations[1:] > 0.004).all() and (deviations[1:] < 0.01).all()


def test_unconnected_cameras_have_no_offset():
    offsets, _ = agreed_offsets([PairOffset(0, 2, 0.5, 0.9, 0.01), PairOffset(1, 3, 0.1, 0.9, 0.01)], 4, 0.1)
    np.testing.assert_array_equal(np.isnan(offsets), [False, True, False, True])
    assert offsets[2] == pytest.approx(0.5) and np.isnan(agreed_offsets([], 2, 0.1)[0][1])
