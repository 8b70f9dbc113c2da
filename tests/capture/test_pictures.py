"""Every reader finds pictures despite different spellings of their names by file systems and programs."""

import unicodedata

import pytest

from sfumato.capture.readers import read_source
from sfumato.capture.readers.image_files import PictureFolder, PictureIndex
from sfumato.errors import CaptureError
from support.capture_folders import PINHOLE, image_rows, picture, save, write_colmap_bin, write_transforms
from support.foreign_datasets import NAMES as SHOTS
from support.foreign_datasets import write_opensfm

COMPOSED = unicodedata.normalize("NFC", "\u00fc.jpg")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


def files(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return PictureFolder(folder)


def colmap(root, names):
    write_colmap_bin(root / "sparse/0", [PINHOLE], image_rows(names))


def transforms(root, names):
    write_transforms(root / "transforms.json", [f"images/{name}" for name in names], camera_angle_x=0.7)


@pytest.mark.parametrize("write", [colmap, transforms])
@pytest.mark.parametrize(
    ("listed", "stored"),
    [
        ("b.jpg", "b.png"),
        ("b.jpg", "b.JPG"),
        ("B.jpg", "b.JPEG"),
        ("b", "b.TIF"),
        ("b.jpg", "b.jpg.png"),
        (COMPOSED, DECOMPOSED),
        (DECOMPOSED, COMPOSED),
        ("Left/b.png", "left/b.png"),
    ],
)
def test_readers_find_pictures_under_other_names(tmp_path, write, listed, stored):
    for name in ("a.png", stored):
        save(tmp_path / "images" / name, picture(), **({} if "." in name else {"format": "PNG"}))
    write(tmp_path, ["a.png", listed])
    found = {frame.path.resolve() for frame in read_source(tmp_path).frames}
    assert found == {(tmp_path / "images" / name).resolve() for name in ("a.png", stored)}


def test_opensfm_finds_them_too(tmp_path):
    write_opensfm(tmp_path)
    for path in (tmp_path / "images").iterdir():
        path.rename(path.with_suffix(".JPEG"))
    assert len(read_source(tmp_path).frames) == len(SHOTS)


def test_labels_differ_in_unicode_form_from_names(tmp_path):
    save(tmp_path / DECOMPOSED, picture())
    assert PictureIndex(tmp_path).find(COMPOSED, "here") == DECOMPOSED


def test_the_nearest_name_wins(tmp_path):
    folder = files(tmp_path, "a.jpg", "a.png", "b.JPG", "b.png", "c.PNG", "C.tif", "D.png", "d.png", "e.txt")
    assert folder.picture("a.jpg", "here").name == "a.jpg"
    assert folder.picture("b.jpg", "here").name == "b.JPG"
    assert folder.picture("c.jpg", "here").name == "c.PNG"
    assert folder.picture("d.png", "here").name == "d.png"
    assert folder.picture("e.jpg", "here") is None and folder.picture(".", "here") is None
    assert folder.file("a.tif", "here") is None and folder.file("E.TXT", "here").name == "e.txt"


@pytest.mark.parametrize("name", ["a", "a.tif", "f.jpg"])
def test_ambiguous_names_are_refused(tmp_path, name):
    folder = files(tmp_path, "a.jpg", "a.png", "F.JPG", "F.jpg")
    with pytest.raises(CaptureError, match=r"here: image .* may be .*; keep one of them"):
        folder.picture(name, "here")


def test_files_outside_the_folder_are_not_found(tmp_path):
    folder = files(tmp_path / "inner", "a.jpg")
    save(tmp_path / "b.jpg", picture())
    with pytest.raises(CaptureError, match="leads out of"):
        folder.picture("../b.jpg", "here")
