"""Masks are found by their names; missing and unused ones give warnings."""

import logging

import numpy as np
import pytest

from sfumato.capture.dataset import load_capture
from sfumato.capture.readers import read_source
from support.capture_folders import colmap_folder, picture, save, write_transforms

NAMES = ("a.jpg", "b.jpg", "c.jpg")
HALF = np.repeat(np.array([[0, 255]], np.uint8), 16, axis=1).repeat(24, axis=0)


def masked(root, place, names=NAMES):
    colmap_folder(root, names=NAMES)
    for name in names:
        save(root / place(name.removesuffix(".jpg")), HALF)
    return root


PLACES = [
    "masks/{}.png", "masks/{}.jpg.png", "masks/{}.PNG", "masks/{}.tif", "masks/{}_mask.png",
    "masks/{}.mask.png", "masks/{}.jpg.mask.png", "Masks/{}.png", "mask/{}.png", "images/{}_mask.png",
    "images/{}.mask.png", "images/{}.jpg.mask.png",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_masks_are_found_by_every_usual_name(tmp_path, place, caplog):
    root = masked(tmp_path, place.format)
    with caplog.at_level(logging.WARNING, "sfumato"):
        views = load_capture(root).views
    assert [view.load().mask.mean() for view in views] == [0.5] * 3
    assert not caplog.text


def test_masks_of_pictures_in_folders(tmp_path):
    names = ["images/left/a.png", "images/right/a.png"]
    for i, name in enumerate(names):
        save(tmp_path / name, picture(seed=i))
        save(tmp_path / name.replace("images", "masks"), HALF if i else HALF[:, ::-1])
    write_transforms(tmp_path / "transforms.json", names, camera_angle_x=0.7)
    left, right = (view.load().mask for view in load_capture(tmp_path).views)
    assert left[:, 0].all() and not left[:, -1].any() and right[:, -1].all()


def test_masks_without_a_picture_give_a_warning(tmp_path, caplog):
    root = masked(tmp_path, "masks/other_{}.png".format)
    with caplog.at_level(logging.WARNING, "sfumato"):
        assert all(frame.mask_path is None for frame in read_source(root).frames)
    assert "masks holds 3 pictures and none is used as a mask" in caplog.text and "a_mask.png" in caplog.text


def test_pictures_without_a_mask_among_others_are_counted(tmp_path, caplog):
    root = masked(tmp_path, "masks/{}.png".format, names=NAMES[::2])
    with caplog.at_level(logging.WARNING, "sfumato"):
        assert [frame.mask_path is None for frame in read_source(root).frames] == [False, True, False]
    assert "2 of 3 pictures have a mask; the others count in full, the first is 'b.jpg'" in caplog.text
