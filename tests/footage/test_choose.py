"""Selection of sharp frames at uniform motion, without unusable ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.footage.choose import LONGEST_GAP, SHORTEST_STEP, STEP, FrameMeasures, choose, unusable
from sfumato.footage.frame_options import FEWEST_FRAMES, MOST_FRAMES, FrameOptions


def measured(positions, *, sharp=None, light=None, contrast=None, fps=30.0):
    n = len(positions)
    return FrameMeasures(
        np.arange(n) / fps,
        np.asarray(positions, float),
        np.full(n, 5.0) if sharp is None else np.asarray(sharp, float),
        np.full(n, 0.5) if light is None else np.asarray(light, float),
        np.full(n, 0.2) if contrast is None else np.asarray(contrast, float),
    )


def test_a_steady_camera_gives_evenly_spaced_frames():
    path = np.linspace(0.0, 3.0, 600)
    choice = choose(measured(path), FrameOptions())
    steps = np.diff(path[choice.kept])
    assert len(choice.kept) == pytest.approx(3.0 / STEP, abs=1)
    assert steps.max() < 1.3 * STEP and steps.min() > 0.7 * STEP
    assert not choice.reasons


def test_frames_follow_motion_more_than_time():
    # Half of the video has a tenth of the motion.
    path = np.concatenate([np.linspace(0.0, 0.3, 300), np.linspace(0.3, 3.0, 300)])
    kept = choose(measured(path), FrameOptions()).kept
    assert (kept < 300).sum() < 0.35 * len(kept)


def test_the_sharpest_frame_of_each_interval_is_selected():
    path = np.linspace(0.0, 65 * STEP, 500)
    sharp = np.full(500, 4.0)
    sharp[3::6] = 6.0
    kept = choose(measured(path, sharp=sharp), FrameOptions()).kept
    assert (kept % 6 == 3).mean() > 0.95


@pytest.mark.parametrize(("total", "count"), [(0.3, FEWEST_FRAMES), (30.0, MOST_FRAMES)])
def test_the_number_is_bounded(total, count):
    kept = choose(measured(np.linspace(0.0, total, 2000)), FrameOptions()).kept
    assert len(kept) == pytest.approx(count, abs=1) and len(kept) <= MOST_FRAMES


def test_the_maximum_number_of_frames_is_respected():
    path = np.linspace(0.0, 20.0, 900)
    assert len(choose(measured(path), FrameOptions(max_frames=30)).kept) == 30
    assert len(choose(measured(path), FrameOptions(max_frames=500)).kept) == pytest.approx(500, abs=20)


def test_unusable_frames_have_a_reason():
    sharp, light, contrast = np.full(90, 5.0), np.full(90, 0.5), np.full(90, 0.2)
    sharp[20:24], light[40:50], contrast[60:70] = 1.0, 0.03, 0.01
    found = unusable(measured(np.linspace(0, 1, 90), sharp=sharp, light=light, contrast=contrast))
    assert set(found) == {*range(20, 24), *range(40, 50), *range(60, 70)}
    assert (found[20], found[40], found[60]) == ("blurred", "too dark", "covered, or nothing to see")


def test_sharpness_is_relative_to_neighbouring_frames():
    # The far half of a room has less detail in all frames, which is not blur.
    sharp = np.interp(np.arange(400), [180, 220], [8.0, 3.0])
    assert not unusable(measured(np.linspace(0, 2, 400), sharp=sharp))


def test_gaps_are_closed_if_frames_are_available():
    # Sharp frames are at the ends of intervals, and the motion is not uniform.
    path = np.concatenate([np.linspace(0.0, 0.5, 100), np.linspace(0.5, 6.0, 400)])
    sharp = np.where(np.arange(500) % 23 < 2, 9.0, 6.0)
    assert choose(measured(path, sharp=sharp), FrameOptions(max_frames=70)).widest_gap <= LONGEST_GAP
    dark = np.full(500, 0.5)
    dark[200:230] = 0.0
    choice = choose(measured(path, light=dark), FrameOptions())
    assert choice.widest_gap > LONGEST_GAP and not set(choice.kept.tolist()) & set(range(200, 230))


def test_a_camera_at_rest_gives_one_frame():
    path = np.concatenate([np.linspace(0.0, 1.0, 100), np.full(300, 1.0), np.linspace(1.0, 2.0, 100)])
    choice = choose(measured(path), FrameOptions())
    assert (np.diff(path[choice.kept]) >= SHORTEST_STEP).all()
    assert ((choice.kept >= 100) & (choice.kept < 400)).sum() <= 1
    assert any("near duplicate of frame" in reason for reason in choice.reasons.values())
    assert len(choose(measured(path), FrameOptions(keep_duplicates=True)).kept) > len(choice.kept)


def test_a_static_video_gives_one_frame_and_a_textureless_one_several():
    assert len(choose(measured(np.zeros(100)), FrameOptions()).kept) == 1
    wall = choose(measured(np.zeros(100), contrast=np.full(100, 0.001)), FrameOptions())
    assert len(wall.kept) >= FEWEST_FRAMES - 1


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_very_short_videos(count):
    assert len(choose(measured(0.05 * np.arange(count)), FrameOptions()).kept) == count


@settings(max_examples=60)
@given(st.integers(1, 200), st.integers(0, 10**6), st.integers(3, 80))
def test_selected_frames_are_always_increasing_and_usable(count, seed, most):
    rng = np.random.default_rng(seed)
    steps = rng.exponential(0.02, count) * rng.integers(0, 2, count)
    video = measured(
        np.cumsum(steps), sharp=rng.random(count) * 9, light=rng.random(count), contrast=rng.random(count)
    )
    choice = choose(video, FrameOptions(max_frames=most))
    assert (np.diff(choice.kept) > 0).all() and len(choice.kept) <= most
    assert not set(choice.kept.tolist()) & set(choice.reasons)
    assert len(choice.kept) or len(choice.reasons) == count
