"""Assignment of the frames of several cameras to common steps."""

import numpy as np
import pytest

from sfumato.capture.multiview import load_multiview
from sfumato.capture.multiview.synchronise import steps_of
from sfumato.errors import CaptureError, ConfigError
from support.capture_folders import save
from support.rig_folders import NAMES, SIZE_PX, frames_folder, write_toml


def shown(*times):
    steps = steps_of([f"cam{i}" for i in range(len(times))], [np.array(one, float) for one in times], "here")
    return steps.times.tolist(), [at.tolist() for at in steps.frames]


def test_shared_times_are_steps_however_far_apart():
    times, frames = shown([0.0, 0.1, 0.25, 0.9], [0.1, 0.25 + 1e-6, 0.9])
    assert times == pytest.approx([0.0, 0.1, 0.25, 0.9], abs=1e-5)
    assert frames == [[0, 1, 2, 3], [-1, 0, 1, 2]]


def test_a_faster_camera_has_additional_steps():
    times, frames = shown([0.0, 0.1, 0.2], [0.0, 0.05, 0.1, 0.15, 0.2])
    assert times == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2])
    assert frames == [[0, -1, 1, -1, 2], [0, 1, 2, 3, 4]]


def test_unsynchronised_frames_are_shown_at_the_nearest_step():
    first = 0.1 * np.arange(6)
    times, frames = shown(first, first + 0.23, first + 0.19)
    # Starts when all cameras have started; cameras have no frames after their end.
    assert times == pytest.approx([0.23, 0.33, 0.43, 0.53, 0.63, 0.73])
    assert frames == [[2, 3, 4, 5, -1, -1], [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]]


def test_other_rates_are_shown_at_the_steps_of_the_slowest():
    times, frames = shown(np.arange(10) / 30, np.arange(9) / 25)
    assert np.diff(times) == pytest.approx(1 / 25)
    for time, index in zip(times, frames[0], strict=True):
        assert index == -1 or abs(index / 30 - time) <= 0.5 / 30 + 1e-9
    assert frames[0][:3] == [0, 1, 2] and frames[1] == list(range(9))


def test_frames_of_single_moments_are_told_apart_by_their_times():
    assert shown([0.0], [0.01], [0.02])[1] == [[0, -1, -1], [-1, 0, -1], [-1, -1, 0]]
    assert shown([5.0], [5.0])[0] == [5.0]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (([0.0, 0.1, 0.1], [0.0, 0.1]), "camera cam0 has two frames of one time"),
        (([0.0, 0.1], [0.53, 0.63], [0.0, 0.1, 0.52]), r"camera cam0 ends 0.43 s before camera cam1 begins"),
        (([0.0, 0.1, 0.2, 1e9], [0.03, 0.13, 0.23]), "correct their times"),
    ],
)
def test_invalid_times_are_refused(times, message):
    with pytest.raises(CaptureError, match=message):
        shown(*times)


@pytest.mark.parametrize("offset", [0.1, "0.1", "0.1 s", "2f", "2 frames"])
def test_offsets_move_a_camera_in_time(tmp_path, offset):
    write_toml(frames_folder(tmp_path, steps=5) / "Calib.toml")
    video = load_multiview(tmp_path, fps=20.0, offsets={"cam02": offset})
    names = [[view and view.name[-8:-4] for view in camera.views] for camera in video.cameras]
    assert names[0] == ["0001", "0002", "0003", "0004", "0005", None, None]
    assert names[1] == [None, None, "0001", "0002", "0003", "0004", "0005"]
    assert video.times == pytest.approx(0.05 * np.arange(7))
    assert [camera.views[3].time for camera in video.cameras] == pytest.approx([0.15] * 3)


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ({"cam09": 1.0}, "offsets names 'cam09'; .* has the cameras cam01, cam02, cam10"),
        ({"cam01": "soon"}, "the offset of camera cam01 is 'soon'; give seconds"),
        ({"cam01": "inf"}, "camera cam01 is 'inf'"),
        ({"cam01": float("nan")}, "camera cam01 is nan"),
    ],
)
def test_offsets_are_checked(tmp_path, offsets, message):
    write_toml(frames_folder(tmp_path) / "Calib.toml")
    with pytest.raises(ConfigError, match=message):
        load_multiview(tmp_path, fps=20.0, offsets=offsets)


def test_black_frames_are_skipped_with_a_warning(tmp_path, caplog):

    write_toml(frames_folder(tmp_path, steps=4) / "Calib.toml")
    save(tmp_path / "frames/cam02/0003.png", np.full((*SIZE_PX[::-1], 3), 3, np.uint8))
    # A uniform frame that is not black is kept.
    save(tmp_path / "frames/cam10/0003.png", np.full((*SIZE_PX[::-1], 3), 90, np.uint8))
    video = load_multiview(tmp_path, fps=20.0)
    assert [view is not None for view in video.cameras[1].views] == [True, True, False, True]
    assert all(video.cameras[2].views)
    assert "black frames of camera cam02 are left out: 1, the first is 0003.png" in caplog.text


@pytest.mark.parametrize(("share", "told"), [(0.9, True), (0.3, False)])
def test_probably_inverted_masks_give_a_warning(tmp_path, caplog, share, told):

    write_toml(frames_folder(tmp_path) / "Calib.toml")
    mask = np.zeros(SIZE_PX[::-1], np.uint8)
    mask[: round(share * SIZE_PX[1])] = 255
    for name in NAMES[:2]:
        for step in (1, 2):
            save(tmp_path / "seg" / name / f"{step:04d}.png", mask)
    load_multiview(tmp_path, fps=20.0)
    assert ("they may be inverted: white is what moves" in caplog.text) == told
    assert "1 of 3 cameras have no foreground masks: cam10" in caplog.text
    assert "2 frames of the other cameras have no foreground mask" in caplog.text
