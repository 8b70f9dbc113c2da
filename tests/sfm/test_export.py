"""Undistortion: every camera becomes a pinhole with the right directions at each pixel."""

import numpy as np
import pycolmap
import pytest

from sfumato.sfm.export import Undistortion

WIDE = (160, 120)


def camera(model, params, size_px=WIDE):
    return pycolmap.Camera(model=model, width=size_px[0], height=size_px[1], params=params, camera_id=1)


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("SIMPLE_RADIAL", [150.0, 80.0, 60.0, -0.1]),
        ("RADIAL", [150.0, 80.0, 60.0, 0.1, -0.02]),
        ("OPENCV", [150.0, 152.0, 81.0, 59.0, -0.15, 0.05, 0.002, -0.001]),
        ("OPENCV_FISHEYE", [90.0, 91.0, 80.0, 60.0, 0.02, -0.01, 0.0, 0.0]),
    ],
)
def test_the_pinhole_has_no_blank_pixels_and_the_same_directions(model, params):
    found = camera(model, params)
    to = Undistortion.of(found).resampler
    assert to.seen() is None
    pixels = np.array([[0.0, 0.0], [80.0, 60.0], [160.0, 0.0], [33.0, 101.0]])
    there, seen = to.source_px(pixels)
    assert seen.all()
    ideal = (pixels - np.array(to.centre_px)) / to.focal_px
    expected = found.img_from_cam(np.concatenate([ideal, np.ones((4, 1))], axis=1))
    np.testing.assert_allclose(there, expected, atol=1e-6)


@pytest.mark.parametrize("size_px", [(160, 120), (161, 127), (167, 121), (9, 15)])
def test_sides_are_cut_to_multiples_of_eight_about_the_middle(size_px):
    centre = (size_px[0] / 2, size_px[1] / 2)
    to = Undistortion.of(camera("PINHOLE", [150.0, 150.0, *centre], size_px)).resampler
    assert to.size_px == (size_px[0] // 8 * 8, size_px[1] // 8 * 8)
    there, _ = to.source_px(np.zeros(2))
    np.testing.assert_allclose(there, [(side % 8) // 2 for side in size_px], atol=1e-3)


def test_cropped_pictures_keep_their_pixels():
    picture = np.random.default_rng(0).integers(0, 256, (127, 161, 3), np.uint8)
    to = Undistortion.of(camera("PINHOLE", [150.0, 150.0, 80.5, 63.5], (161, 127))).resampler
    np.testing.assert_array_equal(to(picture), picture[3:123, 0:160])


@pytest.mark.parametrize("focal_px", [150.0, 60.0, 48.0, 30.0])
def test_pinholes_are_unchanged_for_any_field_of_view(focal_px):
    """Its pictures are not rewritten, so its focal length must not change."""
    to = Undistortion.of(camera("PINHOLE", [focal_px, focal_px, 80.0, 60.0])).resampler
    assert to.focal_px == pytest.approx((focal_px, focal_px), rel=1e-12)
