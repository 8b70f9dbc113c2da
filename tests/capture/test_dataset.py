import logging

import numpy as np
import pytest
from PIL import Image, ImageFile

from sfumato.capture import view_plans
from sfumato.capture.dataset import load_capture
from sfumato.errors import CaptureError, ConfigError
from support.capture_folders import (
    PINHOLE,
    colmap_folder,
    image_rows,
    picture,
    save,
    write_colmap_bin,
)


def test_every_eighth_by_name_is_held_out(tmp_path):
    names = [f"{i:02}.png" for i in range(18)]
    capture = load_capture(colmap_folder(tmp_path, names=names[::-1]))
    assert capture.test_names == {"00.png", "08.png", "16.png"}
    assert capture.split_rule == "every 8th, sorted by name"
    assert [view.name for view in capture.test_views] == ["00.png", "08.png", "16.png"]
    assert len(capture.train_views) == 15
    assert load_capture(tmp_path, test_every=0).test_views == ()


def test_downscale_averages_and_scales_the_camera_exactly(tmp_path):
    root = colmap_folder(tmp_path)
    view = load_capture(root, downscale=2).views[0]
    assert view.camera.size_px == (16, 12) and view.camera.focal_px == (15.0, 15.5)
    assert view.camera.centre_px == (8.25, 6.25)
    wanted = picture(seed=0).reshape(12, 2, 16, 2, 3).mean(axis=(1, 3))
    assert np.abs(view.load().rgb - wanted).max() <= 0.51
    odd = load_capture(root, downscale=3).views[0].camera
    assert odd.size_px == (10, 8) and odd.focal_px == pytest.approx((30 * 10 / 32, 31 / 3))


@pytest.mark.parametrize("undistort", [True, False])
@pytest.mark.parametrize("camera", [PINHOLE, (1, "SIMPLE_RADIAL", 32, 24, (30.0, 16.5, 12.5, -0.2))])
def test_resizing_a_view_equals_loading_at_that_size(tmp_path, camera, undistort):
    """With a mask, and with and without undistortion."""
    root = colmap_folder(tmp_path, camera=camera)
    mask = np.full((24, 32), 255, np.uint8)
    mask[4:10, 6:20] = 0
    save(root / "masks/b.png", mask)
    expected = {
        32 // factor: load_capture(root, downscale=factor, undistort=undistort).views[1] for factor in (1, 2)
    }
    for downscale in (1, 2, 3):
        view = load_capture(root, downscale=downscale, undistort=undistort).views[1]
        for side, wanted in expected.items():
            found = view.at_side(side)
            assert found.camera.size_px == wanted.camera.size_px and found.camera.lens == wanted.camera.lens
            assert found.camera.focal_px == pytest.approx(wanted.camera.focal_px, rel=1e-12)
            assert found.camera.centre_px == pytest.approx(wanted.camera.centre_px, rel=1e-12)
            assert np.abs(found.load().rgb.astype(int) - wanted.load().rgb).max() <= 1
            np.testing.assert_array_equal(found.load().mask, wanted.load().mask)
        assert view.at_side(max(view.camera.size_px)) is view
        assert view.at_side(10_000).camera.size_px == (32, 24), "never larger than the file"
        assert view.at_side(20).camera.size_px == (20, 15)


def test_resized_pictures_scale_their_camera(tmp_path):
    root = colmap_folder(tmp_path)
    save(root / "images/a.png", picture(16, 12))
    views = load_capture(root, test_every=0).views
    assert views[0].camera.size_px == (16, 12) and views[0].camera.focal_px == (15.0, 15.5)
    assert views[1].camera.size_px == (32, 24)
    assert views[0].camera_group != views[1].camera_group == views[2].camera_group


def oriented(path, pixels, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return save(path, pixels, exif=exif.tobytes(), quality=95)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_exif_orientation_is_ignored_if_the_camera_fits_the_stored_pixels(tmp_path, orientation):
    root = colmap_folder(tmp_path, names=("a.jpg", "b.jpg"))
    pixels = np.full((24, 32, 3), 20, np.uint8)
    pixels[:8, :8] = 240
    oriented(root / "images/a.jpg", pixels, orientation)
    loaded = load_capture(root).views[0].load().rgb
    assert loaded.shape == (24, 32, 3) and loaded[4, 4].min() > 200


def test_exif_orientation_is_applied_if_the_camera_fits_the_rotated_picture(tmp_path):
    root = colmap_folder(
        tmp_path, names=("a.jpg", "b.jpg"), camera=(1, "PINHOLE", 24, 32, (30.0, 30.0, 12.0, 16.0))
    )
    pixels = np.full((24, 32, 3), 20, np.uint8)
    pixels[:8, :8] = 240
    for orientation, (row, column) in {6: (4, 20), 8: (28, 4)}.items():
        oriented(root / "images/a.jpg", pixels, orientation)
        loaded = load_capture(root).views[0].load().rgb
        assert loaded.shape == (32, 24, 3) and loaded[row, column].min() > 200
    oriented(root / "images/a.jpg", pixels, 3)
    with pytest.raises(CaptureError, match=r"a\.jpg is 32x24 pixels but its camera is for 24x32"):
        load_capture(root)


@pytest.mark.parametrize("place", ["masks/a.png", "masks/a.png.png", "images/a_mask.png"])
def test_masks_are_found_and_downscaled_by_majority(tmp_path, place):
    root = colmap_folder(tmp_path)
    keep = np.full((24, 32), 7, np.uint8)
    keep[:, :3] = 0
    save(root / place, keep)
    views = load_capture(root, downscale=2).views
    mask = views[0].load().mask
    assert mask.dtype == bool and mask.shape == (12, 16)
    assert not mask[:, 0].any() and mask[:, 1:].all()
    assert views[1].load().mask is None


def test_a_mask_of_another_shape_is_refused_and_of_another_size_is_not(tmp_path):
    root = colmap_folder(tmp_path)
    keep = np.zeros((48, 64), np.uint8)
    keep[:, 32:] = 1
    save(root / "masks/a.png", keep)
    mask = load_capture(root).views[0].load().mask
    assert not mask[:, :16].any() and mask[:, 16:].all()
    save(root / "masks/a.png", keep[:20])
    with pytest.raises(CaptureError, match=r"masks/a\.png is 64x20 but its picture a\.png is 32x24"):
        load_capture(root).views[0].load()


def test_alpha_of_a_photograph_is_a_mask_and_its_colours_do_not_bleed(tmp_path):
    root = colmap_folder(tmp_path)
    pixels = np.full((24, 32, 4), 255, np.uint8)
    pixels[..., :3] = (200, 100, 50)
    pixels[:, :3] = 0
    save(root / "images/a.png", pixels)
    loaded = load_capture(root, downscale=2).views[0].load()
    assert loaded.alpha is None and not loaded.mask[:, 0].any() and loaded.mask[:, 1:].all()
    assert np.abs(loaded.rgb[:, 1].astype(int) - [200, 100, 50]).max() <= 1
    transparent = load_capture(root, downscale=2, alpha="transparency")
    assert transparent.background == (1.0, 1.0, 1.0)
    loaded = transparent.views[0].load()
    assert loaded.mask is None and loaded.alpha[0, 1] == 128 and loaded.rgb[0, 1, 0] == 100


def test_headers_of_pictures_are_read_once(tmp_path, monkeypatch):
    root, read = colmap_folder(tmp_path), []
    header = view_plans.read_header
    monkeypatch.setattr(view_plans, "read_header", lambda path: read.append(path.name) or header(path))
    capture = load_capture(root, alpha="transparency")
    assert capture.background is None and sorted(read) == [view.name for view in capture.views]


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "I;16", "1", "LA"])
def test_pictures_of_other_kinds_become_rgb(tmp_path, mode):
    root = colmap_folder(tmp_path, names=("a.tif", "b.tif"))
    if mode == "P":
        image = Image.fromarray(np.full((24, 32, 3), 128, np.uint8)).quantize(4)
    elif mode == "I;16":
        image = Image.fromarray(np.full((24, 32), 0x8000, np.uint16))
    else:
        image = Image.fromarray(np.full((24, 32, 3), 128, np.uint8)).convert(mode)
    image.save(root / "images/a.tif")
    loaded = load_capture(root).views[0].load()
    assert loaded.rgb.shape == (24, 32, 3) and loaded.rgb.dtype == np.uint8
    assert mode == "1" or np.abs(loaded.rgb.astype(int) - 128).max() <= 3


def test_non_pictures_are_refused_at_once_and_truncated_ones_when_loaded(tmp_path):
    root = colmap_folder(tmp_path)
    path = root / "images/a.png"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CaptureError, match=r"a\.png cannot be read as a picture") as caught:
        load_capture(root).views[0].load()
    assert "\n" not in str(caught.value)
    path.write_bytes(b"not a picture")
    with pytest.raises(CaptureError, match=r"a\.png .*not a picture in a known format"):
        load_capture(root)


def test_a_float_picture_is_refused_with_a_remedy(tmp_path):
    root = colmap_folder(tmp_path, names=("a.tif", "b.tif"))
    Image.fromarray(np.ones((24, 32), np.float32)).save(root / "images/a.tif")
    with pytest.raises(CaptureError, match="convert it to 8-bit RGB"):
        load_capture(root)


@pytest.mark.parametrize(
    "options",
    [
        {"downscale": 0},
        {"downscale": 4},
        {"test_every": -1},
        {"test_every": 1},
        {"alpha": "glass"},
        {"background": (1.0, 2.0, 0.0)},
        {"cache_bytes": -1},
    ],
)
def test_options_out_of_range_are_named(tmp_path, options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        load_capture(colmap_folder(tmp_path), **options)


def test_distorted_views_are_pinholes_of_the_same_size(tmp_path):
    root = colmap_folder(tmp_path, camera=(1, "SIMPLE_RADIAL", 32, 24, (30.0, 16.0, 12.0, -0.1)))
    view = load_capture(root, downscale=2).views[0]
    assert view.camera.lens.is_pinhole and view.camera.size_px == (16, 12)
    assert 13.0 < view.camera.focal_px[0] == view.camera.focal_px[1] < 15.0
    assert view.load().rgb.shape == (12, 16, 3) and view.load().mask is None


def test_the_cache_is_bounded_and_returns_what_it_kept(tmp_path):
    one = 24 * 32 * 3
    capture = load_capture(colmap_folder(tmp_path), cache_bytes=2 * one)
    a, b, c = capture.views
    first = a.load()
    assert a.load() is first
    second, third = b.load(), c.load()
    assert b.load() is second and c.load() is third
    assert a.load() is not first


def test_opening_a_dataset_decodes_no_pixels(tmp_path, monkeypatch):
    names = [f"{i:04}.jpg" for i in range(1000)]
    root = colmap_folder(tmp_path, names=names[:2])
    write_colmap_bin(root / "sparse/0", [PINHOLE], image_rows(names))
    for name in names[2:]:
        (root / "images" / name).symlink_to(root / "images/0001.jpg")
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("pixels were decoded"))
    assert len(load_capture(root).views) == 1000


def test_random_points_are_visible_to_several_cameras(tmp_path, caplog):
    root = colmap_folder(tmp_path)
    (root / "sparse/0/points3D.bin").unlink()
    with caplog.at_level(logging.WARNING, "sfumato"):
        capture = load_capture(root, test_every=0, seed=5)
    assert "random points" in caplog.text and capture.points_are_random and len(capture.points) > 1000
    times = np.zeros(len(capture.points))
    for view in capture.views:
        pose = view.camera.camera_from_world.numpy()
        xyz = capture.points.xyz @ pose[:3, :3].T + pose[:3, 3]
        pixels = xyz[:, :2] / xyz[:, 2:] * view.camera.focal_px + view.camera.centre_px
        times += (xyz[:, 2] > 0) & (pixels >= 0).all(axis=1) & (pixels < view.camera.size_px).all(axis=1)
    assert (times >= 2).mean() > 0.999
    again = load_capture(root, test_every=0, seed=5)
    np.testing.assert_array_equal(again.points.xyz, capture.points.xyz)
    assert not np.array_equal(load_capture(root, test_every=0, seed=6).points.xyz[:9], capture.points.xyz[:9])


@pytest.mark.parametrize("place", [np.array([3.0, -4.0, 5.0]), np.array([1e-17, 0.0, 0.0])])
def test_coincident_cameras_give_a_warning_and_distant_random_points(tmp_path, caplog, place):
    rows = []
    for number, angle in enumerate(np.linspace(0.0, 0.6, 9)):
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        quat = (np.cos(angle / 2), 0.0, np.sin(angle / 2), 0.0)
        rows.append((f"{number}.png", quat, tuple(-turn @ place), PINHOLE[0]))
        save(tmp_path / "images" / f"{number}.png", picture(PINHOLE[2], PINHOLE[3], seed=number))
    write_colmap_bin(tmp_path / "sparse/0", [PINHOLE], rows, [])
    with caplog.at_level(logging.WARNING, "sfumato"):
        capture = load_capture(tmp_path)
    said = [record.getMessage() for record in caplog.records]
    assert sum("stand in one place" in words and "move sideways" in words for words in said) == 1
    assert not any("rounded to" in words for words in said)
    distances = np.linalg.norm(capture.points.xyz - place, axis=1)
    assert capture.points_are_random and distances.min() > 0.1 and np.median(distances) > 0.5
    assert 0.1 < capture.depth < 10
