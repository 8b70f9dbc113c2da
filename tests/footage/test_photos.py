"""Photographs are copied if possible, and otherwise rotated upright and encoded again."""

import importlib
import os
import re

import numpy as np
import pytest
from PIL import Image, ImageOps

from sfumato.errors import CaptureError
from sfumato.extras import command_for
from sfumato.footage.kinds import Kind, kind_of
from sfumato.footage.photos import examine, place
from support.clips import marked, texture, write_dng, write_photo

EXIF_IFD = 0x8769


def placed(path, tmp_path, longest=2400, kind=Kind.PICTURE):
    photo = examine(path, kind)
    return place(photo, tmp_path / "out" / "photo", longest)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_an_upright_photograph_is_not_encoded_again(tmp_path, suffix):
    path = write_photo(tmp_path / f"a{suffix}", texture(60, 90))
    out = placed(path, tmp_path)
    assert out.suffix == suffix and out.read_bytes() == path.read_bytes()
    assert os.stat(out).st_ino == os.stat(path).st_ino


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_rotated_photograph_is_turned_upright(tmp_path, orientation):
    path = write_photo(tmp_path / "a.jpg", marked(60, 90), orientation=orientation, quality=95, subsampling=0)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image)).astype(int)
    out = placed(path, tmp_path)
    with Image.open(out) as image:
        assert image.getexif().get(0x0112, 1) == 1 and image.layer[0][1:3] == (1, 1), "no chroma subsampling"
        found = np.asarray(image).astype(int)
    assert found.shape == expected.shape and np.abs(found - expected).mean() < 2.0
    assert examine(path, Kind.PICTURE).size_px == (expected.shape[1], expected.shape[0])


def test_a_large_photograph_is_made_smaller_by_area_average(tmp_path):
    picture = texture(80, 120)
    out = placed(write_photo(tmp_path / "a.png", picture), tmp_path, longest=60)
    found = np.asarray(Image.open(out)).astype(float)
    assert out.suffix == ".jpg"
    assert np.abs(found - picture.reshape(40, 2, 60, 2, 3).mean(axis=(1, 3))).mean() < 2.0


def test_transparency_is_kept(tmp_path):
    picture = np.dstack([texture(60, 90), np.full((60, 90), 255, np.uint8)])
    picture[:20, :, 3] = 0
    out = placed(write_photo(tmp_path / "a.png", picture), tmp_path, longest=45)
    assert out.suffix == ".png" and np.asarray(Image.open(out)).shape == (30, 45, 4)


@pytest.mark.parametrize(
    ("mode", "name", "options"),
    [("CMYK", "a.jpg", {}), ("P", "a.png", {}), ("RGB", "a.webp", {"lossless": True}), ("RGB", "a.tif", {})],
)
def test_other_forms_become_jpeg(tmp_path, mode, name, options):
    Image.fromarray(marked(60, 90)).convert(mode).save(tmp_path / name, **options)
    assert kind_of(tmp_path / name) is Kind.PICTURE
    with Image.open(placed(tmp_path / name, tmp_path)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (90, 60))


def test_sixteen_bits_become_eight(tmp_path):
    values = (texture(60, 90)[..., 0].astype(np.uint16) << 8) + 77
    Image.fromarray(values).save(tmp_path / "a.png")
    found = np.asarray(Image.open(placed(tmp_path / "a.png", tmp_path)).convert("L")).astype(int)
    assert np.abs(found - (values >> 8)).mean() < 2.0


def test_the_focal_length_of_the_camera_is_known(tmp_path):
    tags = {271: "Maker", 272: "Maker X1", (EXIF_IFD, 0xA405): 28, (EXIF_IFD, 0x920A): 4.2}
    photo = examine(write_photo(tmp_path / "a.jpg", texture(60, 80), tags=tags, orientation=6), Kind.PICTURE)
    assert photo.focal_px == pytest.approx(28 / 43.267 * 100)
    assert photo.camera == "Maker X1 4.2mm" and photo.size_px == (60, 80)


def test_the_focal_length_comes_from_the_pixel_pitch_where_there_is_no_equivalent(tmp_path):
    # 50 mm, 100 pixels per mm on a sensor of 160 pixels, reduced to 80.
    tags = {0x920A: 5.0, 0xA20E: 1000.0, 0xA210: 3, 0xA002: 160, 0xA003: 120}
    path = write_photo(tmp_path / "a.jpg", texture(60, 80), tags={(EXIF_IFD, k): v for k, v in tags.items()})
    assert examine(path, Kind.PICTURE).focal_px == pytest.approx(5.0 * 100.0 / 2)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {0xA405: 0},
        {0xA405: 60000},
        {0x920A: 5.0, 0xA20E: 0.0},
        {0xA405: 28, 0xA002: 200, 0xA003: 100},
    ],
    ids=["none", "zero", "absurd", "no pitch", "cropped since"],
)
def test_useless_focal_lengths_are_ignored(tmp_path, tags):
    path = write_photo(tmp_path / "a.jpg", texture(60, 80), tags={(EXIF_IFD, k): v for k, v in tags.items()})
    assert examine(path, Kind.PICTURE).focal_px is None


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_truncated_photograph_is_an_error(tmp_path, share):
    path = write_photo(tmp_path / "a.jpg", texture(200, 300))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(CaptureError, match="cannot be read as a picture"):
        examine(path, Kind.PICTURE)


def test_heic_is_read_upright(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="the extra 'heic' is not installed")
    heif.from_pillow(Image.fromarray(marked(64, 96))).save(tmp_path / "a.jpg", quality=95)
    assert kind_of(tmp_path / "a.jpg") is Kind.HEIC, "by its content"
    found = np.asarray(Image.open(placed(tmp_path / "a.jpg", tmp_path, kind=Kind.HEIC))).astype(int)
    assert found.shape == (64, 96, 3) and np.abs(found - marked(64, 96)).mean() < 6.0


@pytest.mark.parametrize(
    ("kind", "extra", "module"), [("HEIC", "heic", "pillow_heif"), ("RAW", "raw", "rawpy")]
)
def test_a_missing_reader_is_named(tmp_path, monkeypatch, kind, extra, module):
    def without(name, *args):
        if name == module:
            raise ImportError(name)
        return original(name, *args)

    original = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", without)
    (tmp_path / "a").write_bytes(b"\0" * 64)
    with pytest.raises(
        CaptureError,
        match=re.escape(f"needs the package {module}, which is not installed; run: {command_for(extra)}"),
    ):
        examine(tmp_path / "a", Kind[kind])


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Kind.HEIC),
        ("a.cr3", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", Kind.RAW),
        ("a", b"FUJIFILMCCD-RAW 0201", Kind.RAW),
        ("a.cr2", b"II*\0\x10\0\0\0CR\2\0", Kind.RAW),
        ("a.nef", b"MM\0*\0\0\0\x08", Kind.RAW),
        ("a.jpg", b"a letter", None),
    ],
)
def test_kinds_are_told_by_content(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    assert kind_of(tmp_path / name) is kind


@pytest.mark.parametrize("orientation", [1, 6])
def test_raw_is_developed_upright(tmp_path, orientation):
    pytest.importorskip("rawpy", reason="the extra 'raw' is not installed")
    mosaic = np.zeros((64, 96))
    mosaic[:, 48:] = 20000
    path = write_dng(tmp_path / "a.tif", mosaic, orientation)
    assert kind_of(path) is Kind.RAW, "by its content"
    photo = examine(path, Kind.RAW)
    assert photo.camera == "Maker X1" and not photo.as_it_is
    found = np.asarray(Image.open(placed(path, tmp_path, kind=Kind.RAW))).astype(int)
    found = found if orientation == 1 else np.rot90(found)
    assert found.shape == (64, 96, 3) and photo.size_px == ((96, 64) if orientation == 1 else (64, 96))
    assert found[:, :40].max() < 10 and np.ptp(found[:, 56:]) < 10 and 100 < found[:, 56:].mean() < 200


def test_a_broken_raw_file_is_an_error(tmp_path):
    pytest.importorskip("rawpy", reason="the extra 'raw' is not installed")
    (tmp_path / "a.nef").write_bytes(b"MM\0*\0\0\0\x08" + b"\0" * 99)
    with pytest.raises(CaptureError, match="cannot be read"):
        examine(tmp_path / "a.nef", Kind.RAW)
