"""Sharpness depends only on blur; motion is measured even if exposure changes."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, uniform_filter1d

from sfumato.footage.measure import MotionPath, brightness, contrast, sharpness
from support.clips import texture

LUMA = texture(360, 640)[..., 0]
WIDE = texture(420, 1000, seed=3)[..., 0]
DIAGONAL = float(np.hypot(360, 640))


def grey(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "blur",
    [
        lambda luma: gaussian_filter(luma, 1.5),
        lambda luma: uniform_filter1d(luma, 7, axis=0),
        lambda luma: uniform_filter1d(luma, 7, axis=1),
    ],
    ids=["focus", "vertical motion", "horizontal motion"],
)
def test_every_kind_of_blur_halves_sharpness(blur):
    assert sharpness(grey(blur(LUMA.astype(float)))) < 0.5 * sharpness(LUMA)


def test_exposure_and_content_change_sharpness_little():
    assert sharpness(grey(LUMA * 0.5)) == pytest.approx(sharpness(LUMA), rel=0.1)
    assert sharpness(grey(LUMA[:, ::-1])) == pytest.approx(sharpness(LUMA), rel=0.01)
    assert sharpness(texture(360, 640, seed=5)[..., 1]) == pytest.approx(sharpness(LUMA), rel=0.2)


@pytest.mark.parametrize("luma", [np.full((90, 160), 200, np.uint8), np.zeros((1, 640), np.uint8)])
def test_uniform_pictures_are_not_sharp(luma):
    assert sharpness(luma) == 0.0
    assert contrast(luma) == 0.0


def test_brightness_is_a_share_of_white():
    assert brightness(np.full((4, 4), 51, np.uint8)) == pytest.approx(0.2)


def window(x, y):
    return WIDE[y : y + 360, x : x + 640]


def test_a_steady_pan_has_its_true_length():
    path = MotionPath()
    positions = [path.add(window(6 * i, 2 * i)) for i in range(25)]
    expected = np.arange(25) * np.hypot(6, 2) / DIAGONAL
    assert positions == pytest.approx(expected, abs=0.05 * expected[-1])
    assert path.num_lost == 0


def test_exposure_noise_and_blur_do_not_hide_motion():
    rng = np.random.default_rng(0)
    path = MotionPath()
    for i in range(12):
        seen = gaussian_filter(window(8 * i, 0).astype(float), 2.0 * (i % 3)) * (1.0 - 0.05 * i)
        last = path.add(grey(seen + rng.normal(0.0, 3.0, seen.shape)))
    assert last == pytest.approx(11 * 8 / DIAGONAL, rel=0.1)


def test_camera_shake_does_not_accumulate():
    path = MotionPath()
    positions = [path.add(window(300 + 4 * (i % 2), 20)) for i in range(40)]
    assert positions[-1] < 2 * 4 / DIAGONAL


def test_a_wall_does_not_move_and_a_cut_does():
    path = MotionPath()
    assert [path.add(np.full((360, 640), 128 + i % 2, np.uint8)) for i in range(5)] == [0.0] * 5
    path = MotionPath()
    path.add(LUMA)
    assert path.add(texture(360, 640, seed=9)[..., 2]) == pytest.approx(MotionPath.LOST_STEP)


def test_motion_while_the_lens_was_covered_is_measured_afterwards():
    path = MotionPath()
    path.add(window(0, 0))
    for _ in range(3):
        assert path.add(np.zeros((360, 640), np.uint8)) == 0.0
    assert path.add(window(20, 0)) == pytest.approx(20 / DIAGONAL, rel=0.1)


@pytest.mark.parametrize("size", [(16, 16), (40, 640), (640, 40), (33, 35)])
def test_small_and_narrow_pictures_are_measured(size):
    path = MotionPath()
    picture = texture(*size)[..., 0]
    assert path.add(picture) == 0.0
    assert path.add(picture) < 0.01
