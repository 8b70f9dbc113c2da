import logging
import struct

import numpy as np
import pytest

from sfumato.capture.dataset import load_capture
from sfumato.capture.readers import read_source
from sfumato.errors import CaptureError
from sfumato.scene.unprojection import distort_directions
from support.capture_folders import (
    PINHOLE,
    POINTS,
    colmap_folder,
    image_rows,
    picture,
    save,
    write_colmap_bin,
    write_colmap_txt,
)


@pytest.mark.parametrize("writer", [write_colmap_bin, write_colmap_txt])
def test_both_formats_give_cameras_and_points(tmp_path, writer):
    capture = load_capture(colmap_folder(tmp_path, writer=writer), test_every=0)
    assert [view.name for view in capture.views] == ["a.png", "b.png", "c.png"]
    camera = capture.views[2].camera
    assert camera.focal_px == (30.0, 31.0) and camera.centre_px == (16.5, 12.5) and camera.size_px == (32, 24)
    np.testing.assert_allclose(camera.centre_world, [1.0, 0.0, 0.0])
    np.testing.assert_allclose(capture.points.xyz, [xyz for xyz, _ in POINTS], rtol=1e-6)
    np.testing.assert_array_equal(capture.points.rgb, [rgb for _, rgb in POINTS])
    assert not capture.points_are_random and len({view.camera_group for view in capture.views}) == 1


@pytest.mark.parametrize("place", ["sparse/0", "sparse", "colmap/sparse/0", "."])
@pytest.mark.parametrize("images", ["images", "colmap/images", "."])
def test_models_and_images_are_found_in_the_usual_folders(tmp_path, place, images):
    write_colmap_bin(tmp_path / place, [PINHOLE], image_rows(["a.png", "b.png"]))
    for name in ("a.png", "b.png"):
        save(tmp_path / images / name, picture())
    assert len(load_capture(tmp_path).views) == 2


def test_the_model_folder_itself_finds_the_images_above(tmp_path):
    colmap_folder(tmp_path)
    assert len(load_capture(tmp_path / "sparse" / "0").views) == 3


def test_rotations_follow_the_quaternion(tmp_path):
    half = np.sqrt(0.5)
    # A rotation by 90 degrees about y, which maps world x to camera -z.
    rows = [("a.png", (2 * half, 0.0, 2 * half, 0.0), (1.0, 2.0, 3.0), 1), *image_rows(["b.png"])]
    write_colmap_bin(tmp_path, [PINHOLE], rows)
    for name in ("a.png", "b.png"):
        save(tmp_path / name, picture())
    pose = load_capture(tmp_path).views[0].camera.camera_from_world.numpy()
    np.testing.assert_allclose(pose @ [1.0, 0.0, 0.0, 1.0], [1.0, 2.0, 2.0, 1.0], atol=1e-12)


def test_points_that_are_not_finite_are_dropped_with_a_warning(tmp_path, caplog):
    root = colmap_folder(tmp_path)
    bad = [((np.nan, 0.0, 0.0), (1, 2, 3)), ((0.0, np.inf, 0.0), (1, 2, 3))]
    write_colmap_bin(root / "sparse/0", [PINHOLE], image_rows(["a.png", "b.png"]), POINTS + bad)
    with caplog.at_level(logging.WARNING, "sfumato"):
        assert len(load_capture(root).points) == len(POINTS)
    assert "dropped 2 of 7 points" in caplog.text


def test_without_points_training_starts_from_random_points(tmp_path):
    root = colmap_folder(tmp_path)
    (root / "sparse/0/points3D.bin").unlink()
    assert load_capture(root).points_are_random
    write_colmap_bin(root / "sparse/0", [PINHOLE], image_rows(["a.png", "b.png"]), [])
    assert load_capture(root).points_are_random


NAN = float("nan")


@pytest.mark.parametrize(
    ("cameras", "images", "message"),
    [
        ([PINHOLE], image_rows(["a.png", "gone.png"]), "gone.png"),
        ([PINHOLE], image_rows(["a.png", "b.png"], camera_id=7), "camera 7, which does not exist"),
        ([PINHOLE], image_rows(["a.png"]), "1 posed image"),
        ([PINHOLE], [], "lists no images"),
        ([PINHOLE], image_rows(["a.png", "a.png"]), "'a.png' is listed twice"),
        ([PINHOLE, PINHOLE], image_rows(["a.png", "b.png"]), "camera 1 is listed twice"),
        ([PINHOLE], [("a.png", (1.0, 0, 0, 0), (NAN, 0, 0), 1), *image_rows(["b.png"])], "'a.png'.*NaN"),
        ([PINHOLE], [("a.png", (NAN, 0, 0, 0), (0.0, 0, 0), 1), *image_rows(["b.png"])], "not a quaternion"),
        ([PINHOLE], [("a.png", (0.0, 0, 0, 0), (0.0, 0, 0), 1), *image_rows(["b.png"])], "not a quaternion"),
        ([PINHOLE], image_rows(["a.png", "../../etc/passwd"]), "leads out of"),
        ([PINHOLE], image_rows(["a.png", "/etc/passwd"]), "leads out of"),
        ([PINHOLE], image_rows(["a.png", "b\n.png"]), "not a file name"),
        ([(1, 99, 32, 24, ())], image_rows(["a.png", "b.png"]), "unknown model id 99"),
        ([(1, 1, 64, 24, (30.0, 30.0, 32.0, 12.0))], image_rows(["a.png", "b.png"]), "32x24.*64x24"),
        ([(1, 1, 32, 24, (NAN, 30.0, 16.0, 12.0))], image_rows(["a.png", "b.png"]), "focal length"),
        ([(1, 1, 32, 24, (-30.0, 30.0, 16.0, 12.0))], image_rows(["a.png", "b.png"]), "focal length"),
        ([(1, 1, 32, 24, (30.0, 30.0, NAN, 12.0))], image_rows(["a.png", "b.png"]), "principal point"),
        ([(1, 1, 2**40, 24, (30.0, 30.0, 16.0, 12.0))], image_rows(["a.png", "b.png"]), "picture size"),
        ([(1, 2, 32, 24, (30.0, 16.0, 12.0, NAN))], image_rows(["a.png", "b.png"]), "distortion"),
    ],
)
def test_inconsistent_models_are_refused_with_a_one_line_error(tmp_path, cameras, images, message):
    root = colmap_folder(tmp_path)
    write_colmap_bin(root / "sparse/0", cameras, images)
    with pytest.raises(CaptureError, match=message) as caught:
        load_capture(root)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


ODD_CAMERAS = [
    (9, "PINHOLE", 32, 24, (0.0, 0.0, 0.0, 0.0)),
    (9, "SOME_NEW_MODEL", 32, 24, (1.0, 2.0)),
    (9, "PINHOLE", 32, 24, (1.0,)),
    (9, "EQUIRECTANGULAR", -1, 24, (1.0, 2.0)),
]


@pytest.mark.parametrize("row", ODD_CAMERAS)
def test_unused_cameras_may_have_any_model(tmp_path, row):
    root = colmap_folder(tmp_path, writer=write_colmap_txt)
    write_colmap_txt(root / "sparse/0", [PINHOLE, row, row], image_rows(["a.png", "b.png"]))
    assert len(load_capture(root).views) == 2
    write_colmap_txt(root / "sparse/0", [PINHOLE, row], image_rows(["a.png", "b.png"], camera_id=9))
    with pytest.raises(CaptureError, match="camera 9"):
        load_capture(root)


def test_text_may_begin_with_a_byte_order_mark(tmp_path):
    root = colmap_folder(tmp_path, writer=write_colmap_txt)
    for path in (root / "sparse/0").iterdir():
        text = path.read_text().removeprefix("# a comment\n")
        path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    capture = load_capture(root)
    assert len(capture.views) == 3 and len(capture.points) == len(POINTS)


@pytest.mark.parametrize("writer", [write_colmap_bin, write_colmap_txt])
@pytest.mark.parametrize("place", ["sparse", "colmap/sparse", "."])
def test_the_largest_of_several_models_is_used_with_a_warning(tmp_path, place, writer, caplog):
    for name in ("a.png", "b.png", "c.png"):
        save(tmp_path / "images" / name, picture())
    writer(tmp_path / place / "0", [PINHOLE], image_rows(["a.png", "b.png"]))
    with caplog.at_level(logging.WARNING, "sfumato"):
        assert len(load_capture(tmp_path).views) == 2
        assert not caplog.text
        writer(tmp_path / place / "10", [PINHOLE], image_rows(["a.png", "b.png", "c.png"]))
        assert len(load_capture(tmp_path).views) == 3
    assert "holds 2 COLMAP models" in caplog.text and "using the largest" in caplog.text
    assert "0 with 2" in caplog.text and "10 with 3" in caplog.text


def test_a_model_that_is_not_number_zero_is_found(tmp_path):
    root = colmap_folder(tmp_path)
    (root / "sparse/0").rename(root / "sparse/1")
    assert len(load_capture(root).views) == 3


def test_panoramas_are_read_as_colmap_projects_them(tmp_path):
    pycolmap = pytest.importorskip("pycolmap")
    root = colmap_folder(tmp_path, camera=(1, 17, 64, 32, (64.0, 32.0)))
    camera = read_source(root).frames[0].intrinsics
    theirs = pycolmap.Camera(model="EQUIRECTANGULAR", width=64, height=32, params=[64, 32])
    directions = np.random.default_rng(0).normal(size=(50, 3))
    ours = distort_directions(camera.lens, directions) * camera.focal_px + camera.centre_px
    np.testing.assert_allclose(ours, theirs.img_from_cam(directions), atol=1e-9)


def test_panoramas_are_not_undistorted_and_start_from_surrounding_points(tmp_path, caplog):
    root = colmap_folder(tmp_path, camera=(1, 17, 64, 32, (64.0, 32.0)))
    (root / "sparse/0/points3D.bin").unlink()
    with caplog.at_level(logging.WARNING, "sfumato"):
        capture = load_capture(root, downscale=2, test_every=0)
    assert "3 of 3 pictures are panoramas" in caplog.text and "renderer trace" in caplog.text
    camera = capture.views[0].camera
    assert camera.lens.is_panorama and camera.size_px == (32, 16)
    assert camera.focal_px == pytest.approx((16 / np.pi, 16 / np.pi)) and camera.centre_px == (16.0, 8.0)
    pixels = capture.views[0].load()
    assert pixels.rgb.shape == (16, 32, 3) and pixels.mask is None
    away = capture.points.xyz - capture.points.xyz.mean(axis=0)
    assert (away.min(axis=0) < -0.5).all() and (away.max(axis=0) > 0.5).all()


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
def test_every_truncation_is_refused(tmp_path, name):
    path = colmap_folder(tmp_path) / "sparse/0" / name
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CaptureError, match=name):
            load_capture(tmp_path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(CaptureError, match="follow its last record"):
        load_capture(tmp_path)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
@pytest.mark.slow
def test_corrupted_files_raise_no_other_error(tmp_path, name):
    path = colmap_folder(tmp_path) / "sparse/0" / name
    whole = path.read_bytes()
    refused = 0
    for at in range(len(whole)):
        flip = (0xFF, 0x01, 0x80)[at % 3]
        path.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
        try:
            load_capture(tmp_path)
        except CaptureError:
            refused += 1
    assert refused > 8


def test_counts_beyond_the_file_are_refused_before_allocation(tmp_path):
    path = colmap_folder(tmp_path) / "sparse/0/points3D.bin"
    path.write_bytes(struct.pack("<Q", 2**60) + path.read_bytes()[8:])
    with pytest.raises(CaptureError, match="claims 1152921504606846976 records"):
        load_capture(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("cameras.txt", "1 PINHOLE 32 24 30 31 16", "line 1 .*3 parameters, expected 4"),
        ("cameras.txt", "1 MAGIC 32 24 30 31 16 12", "line 1 .*camera model 'MAGIC'"),
        ("images.txt", "1 1 0 0 0 0 0 0 1", "line 1"),
        ("images.txt", "1 1 0 0 zero 0 0 0 1 a.png\n\n", "line 1 .*zero"),
        ("images.txt", "1 1 0 0 0 0 0 0 1 a.png\n2 1 0 0 0 0 0 0 1 b.png\n", "line 2 is not a list of 2D"),
        ("points3D.txt", "1 0 0 0 300 0 0 1", "line 1 .*colour"),
        ("points3D.txt", "1 0 0 0", "line 1"),
    ],
)
def test_broken_text_files_name_the_line(tmp_path, name, text, message):
    root = colmap_folder(tmp_path, writer=write_colmap_txt)
    (root / "sparse/0" / name).write_text(text)
    with pytest.raises(CaptureError, match=f"{name} {message}"):
        load_capture(root)


def test_a_folder_without_a_dataset_says_what_is_missing(tmp_path):
    with pytest.raises(CaptureError, match="holds no posed dataset"):
        load_capture(tmp_path)
    with pytest.raises(CaptureError, match="nowhere is missing; give the folder"):
        load_capture(tmp_path / "nowhere")
    colmap_folder(tmp_path)
    (tmp_path / "sparse/0/cameras.bin").unlink()
    with pytest.raises(CaptureError, match=r"no cameras\.bin"):
        load_capture(tmp_path)
