import tracemalloc

import numpy as np
import pytest
from PIL import Image, ImageOps

from sfumato.capture import resample, strips
from sfumato.capture.images import decode, open_picture
from sfumato.capture.pixels import PixelPlan, make_pixels
from sfumato.capture.resample import (
    MAX_HALF_EXTENT,
    DistortedCamera,
    Resampler,
    area_average,
    pinhole_scale,
)
from sfumato.scene.lenses import Lens

SIZE = (160, 120)


def ideal_of_division(xy, k):
    return xy / (1.0 + k * (xy**2).sum(axis=-1, keepdims=True))


def ideal_of_fisheye(xy, _):
    angle = np.linalg.norm(xy, axis=-1, keepdims=True)
    return xy * np.where(angle > 1e-9, np.tan(angle) / np.maximum(angle, 1e-9), 1.0)


# (camera, its exact inverse) for lenses that have one in closed form.
LENSES = {
    "barrel": (Lens("division", (-0.15,)), 120.0, ideal_of_division, -0.15),
    "pincushion": (Lens("division", (0.1,)), 120.0, ideal_of_division, 0.1),
    "fisheye": (Lens("fisheye"), 90.0, ideal_of_fisheye, None),
}


def scene(ideal):
    """A smooth pattern on the ideal image plane, [..., 2] to [..., 3] in 0..255."""
    x, y = ideal[..., 0], ideal[..., 1]
    return 127.5 + 100.0 * np.stack([np.sin(9 * x), np.sin(8 * y), np.cos(6 * (x + y))], axis=-1)


def pixel_centres(width, height):
    return np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)


def setup(name, downscale=1):
    lens, focal, inverse, k = LENSES[name]
    camera = DistortedCamera((focal, focal * 1.02), (82.0, 57.0), SIZE, lens)
    distorted = (pixel_centres(*SIZE) - camera.centre_px) / camera.focal_px
    scale = pinhole_scale(camera)
    focal_px = tuple(f * scale / downscale for f in camera.focal_px)
    centre_px = tuple(c / downscale for c in camera.centre_px)
    small = (SIZE[0] // downscale, SIZE[1] // downscale)
    return inverse(distorted, k), Resampler(camera, focal_px, centre_px, small)


@pytest.mark.parametrize("name", LENSES)
@pytest.mark.parametrize("downscale", [1, 2, 4])
def test_the_undistorted_picture_is_what_a_pinhole_would_have_taken(name, downscale):
    source_ideal, resampler = setup(name, downscale)
    source = np.clip(np.rint(scene(source_ideal)), 0, 255).astype(np.uint8)
    result = resampler(source)
    ideal = (pixel_centres(*resampler.size_px) - resampler.centre_px) / resampler.focal_px
    error = np.abs(result - scene(ideal))
    assert error.mean() < 1.0 * downscale and np.quantile(error, 0.99) < 4.0 * downscale
    assert resampler.seen() is None


@pytest.mark.parametrize("name", LENSES)
def test_straight_lines_become_straight(name):
    source_ideal, resampler = setup(name)
    # A bright line of the world, y = 0.15 x + 0.25, far from the centre.
    offset = source_ideal[..., 1] - 0.15 * source_ideal[..., 0] - 0.25
    line = 255.0 * np.exp(-0.5 * (offset / 0.02) ** 2)
    result = resampler(np.rint(line).astype(np.uint8)[..., None])[..., 0].astype(float)
    columns, rows = np.arange(20, 140), np.arange(SIZE[1]) + 0.5
    heights = (result[:, columns] * rows[:, None]).sum(axis=0) / result[:, columns].sum(axis=0)
    straight = np.polyval(np.polyfit(columns, heights, 1), columns)
    assert np.abs(heights - straight).max() < 0.1
    wrong = line[:, columns]
    bent = (wrong * rows[:, None]).sum(axis=0) / wrong.sum(axis=0)
    assert np.abs(bent - np.polyval(np.polyfit(columns, bent, 1), columns)).max() > 0.3


def test_the_pinhole_shows_all_it_can_without_blank_pixels():
    camera = DistortedCamera((120.0, 120.0), (80.0, 60.0), SIZE, Lens("simple_radial", (-0.1,)))
    scale = pinhole_scale(camera)
    assert 0.85 < scale < 1.0
    full = Resampler(camera, (120 * scale, 120 * scale), (80.0, 60.0), SIZE)
    wider = Resampler(camera, (118 * scale, 118 * scale), (80.0, 60.0), SIZE)
    assert full.seen() is None and not wider.seen().all()


def test_a_wide_fisheye_is_cut_to_the_stated_angle():
    camera = DistortedCamera((50.0, 50.0), (80.0, 60.0), SIZE, Lens("fisheye"))
    assert 80.0 / (50.0 * pinhole_scale(camera)) == pytest.approx(MAX_HALF_EXTENT)


def test_pixels_beyond_the_maximum_of_a_polynomial_are_masked():
    camera = DistortedCamera((60.0, 60.0), (80.0, 60.0), SIZE, Lens("simple_radial", (-0.9,)))
    scale = pinhole_scale(camera)
    resampler = Resampler(camera, (60 * scale, 60 * scale), (80.0, 60.0), SIZE)
    radius = np.linalg.norm((pixel_centres(*SIZE) - (80, 60)) / (60 * scale), axis=-1)
    seen = resampler.seen()
    assert not seen[radius > 0.62].any() and seen[radius < 0.5].all()


@pytest.mark.parametrize("size", [(16, 12), (8, 6), (5, 5), (7, 4), (1, 1), (15, 11)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_area_average_is_the_mean_over_the_area(size, channels):
    picture = np.random.default_rng(3).integers(0, 256, (12, 16, channels), dtype=np.uint8)
    result = area_average(picture, size)
    assert result.shape == (size[1], size[0], channels)
    # By repetition to the common multiple of both sizes, where each cell belongs to one pixel of each size.
    fine = picture.repeat(size[1], axis=0).repeat(size[0], axis=1).astype(float)
    wanted = fine.reshape(size[1], 12, size[0], 16, channels).mean(axis=(1, 3))
    assert np.abs(result - wanted).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("name", LENSES)
@pytest.mark.parametrize("downscale", [1, 3])
def test_a_picture_in_strips_is_that_of_the_whole(name, downscale, monkeypatch):
    _, resampler = setup(name)
    small = tuple(side // downscale for side in resampler.size_px)
    scaled = [
        tuple(value / downscale for value in pair) for pair in (resampler.focal_px, resampler.centre_px)
    ]
    # Wider than the source, so that its border is repeated, too.
    resampler = Resampler(resampler.source, tuple(0.8 * f for f in scaled[0]), scaled[1], small)
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    picture = np.stack([128 + 100 * np.sin(x / 5), 128 + 100 * np.cos(y / 4)], axis=-1).astype(np.uint8)
    whole = resampler(picture)
    monkeypatch.setattr(resample, "_WHOLE_SAMPLES", 0)
    monkeypatch.setattr(resample, "_STRIP_SAMPLES", 5 * small[0] * resampler.samples_per_side**2)
    # Positions are rounded to float32 in two ways, some 1e-5 pixels apart.
    assert np.abs(resampler(picture).astype(int) - whole).max() <= 1


@pytest.mark.parametrize("size", [(40, 30), (37, 23)])
def test_an_average_in_strips_is_that_of_the_whole(size, monkeypatch):
    picture = np.random.default_rng(3).integers(0, 256, (120, 160, 4), dtype=np.uint8)
    whole = area_average(picture, size)
    monkeypatch.setattr(strips, "STRIP_BYTES", 3 * 160 * 4)
    np.testing.assert_array_equal(area_average(picture, size), whole)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "I;16"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_rows_of_a_picture_follow_the_exif_orientation(tmp_path, mode, orientation):
    rng = np.random.default_rng(orientation)
    colour = Image.fromarray(rng.integers(0, 256, (7, 5, 3), dtype=np.uint8)).convert("RGBA")
    colour.putalpha(Image.fromarray(rng.integers(0, 256, (7, 5), dtype=np.uint8)))
    deep = Image.fromarray(rng.integers(0, 2**16, (7, 5), dtype=np.uint16))
    image = deep if mode == "I;16" else colour.convert("RGB").convert(mode) if mode != "RGBA" else colour
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    eight = Image.fromarray((np.asarray(deep) >> 8).astype(np.uint8)) if mode == "I;16" else image
    eight = eight.convert("RGBA" if mode == "RGBA" else "RGB")
    eight.getexif()[0x0112] = orientation
    wanted = np.asarray(ImageOps.exif_transpose(eight))
    picture = open_picture(tmp_path / "a.png", turn=True)
    assert picture.shape == wanted.shape
    np.testing.assert_array_equal(
        np.concatenate([picture.rows(0, 2), picture.rows(2, wanted.shape[0])]), wanted
    )
    np.testing.assert_array_equal(decode(tmp_path / "a.png", turn=True), wanted)
    assert decode(tmp_path / "a.png", turn=False).shape[:2] == (7, 5)


@pytest.mark.parametrize("size", [(500, 375), (499, 333)])
@pytest.mark.parametrize("bends", [False, True])
@pytest.mark.slow
def test_a_large_picture_needs_little_additional_memory(tmp_path, size, bends, monkeypatch):
    # Less than one byte per pixel in arrays, besides the memory of Pillow.
    monkeypatch.setattr(strips, "STRIP_BYTES", 1 << 16)
    monkeypatch.setattr(resample, "_WHOLE_SAMPLES", 0)
    Image.new("RGB", (2000, 1500), (9, 60, 200)).save(tmp_path / "a.png")
    source = DistortedCamera((2000.0, 2000.0), (1000.0, 750.0), (2000, 1500), Lens("simple_radial", (0.01,)))
    small = Resampler(source, (size[0], size[0]), (size[0] / 2, size[1] / 2), size) if bends else None
    plan = PixelPlan(tmp_path / "a.png", None, False, (2000, 1500), size, small, True)
    monkeypatch.setattr(resample, "_STRIP_SAMPLES", 1 << 14)
    make_pixels(plan)
    tracemalloc.start()
    rgb = make_pixels(plan).rgb
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (rgb == (9, 60, 200)).all()
    assert peak - rgb.nbytes < 2000 * 1500


def test_area_average_does_not_weigh_by_the_fourth_channel():
    picture = np.zeros((2, 2, 4), np.uint8)
    picture[0, 0] = (200, 100, 40, 0)
    np.testing.assert_array_equal(area_average(picture, (1, 1))[0, 0], [50, 25, 10, 0])


@pytest.mark.parametrize("lens", [Lens("fisheye"), Lens("opencv", (-0.3, 0.1, 0.002, -0.003))])
def test_positions_between_the_lattice_are_right_to_a_fraction_of_a_pixel(lens):
    camera = DistortedCamera((420.0, 420.0), (400.0, 300.0), (800, 600), lens)
    scale = pinhole_scale(camera)
    resampler = Resampler(camera, (420 * scale, 420 * scale), (400.0, 300.0), (800, 600))
    # A picture of its own coordinates, so that each resampled pixel gives its source position.
    steep = np.stack(np.meshgrid(np.arange(800) % 128 * 2, np.arange(600) % 128 * 2), axis=-1).astype(
        np.uint8
    )
    wanted, seen = resampler.source_px(pixel_centres(800, 600))
    assert seen.all()
    found = resampler(steep) / 2.0 + 0.5
    smooth = (np.abs((wanted - 0.5) % 128 - 64) < 60).all(axis=-1)
    assert np.abs(found - ((wanted - 0.5) % 128 + 0.5))[smooth].max() < 0.25 + 0.1
