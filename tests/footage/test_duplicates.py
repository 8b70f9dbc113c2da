"""Duplicates are found in any encoding; different views of one object are not duplicates."""

import numpy as np
from PIL import Image

from sfumato.footage.duplicates import duplicates
from sfumato.footage.kinds import Kind
from sfumato.footage.photos import examine
from support.clips import texture, write_photo

WIDE = texture(300, 460)


def view(x=0):
    return WIDE[:, x : x + 400]


def found(tmp_path, pictures, **options):
    paths = [write_photo(tmp_path / f"{i}.jpg", p, **options) for i, p in enumerate(pictures)]
    return duplicates([examine(path, Kind.PICTURE) for path in paths])


def test_the_first_of_identical_files_is_kept(tmp_path):
    assert found(tmp_path, [view(), view(30), view(), view(30), view()]) == {2: 0, 3: 1, 4: 0}


def test_the_largest_copy_is_kept(tmp_path):
    large = texture(450, 600, seed=4)
    small = np.asarray(Image.fromarray(large).resize((400, 300), Image.Resampling.BOX))
    assert found(tmp_path, [small, large, view()]) == {0: 1}


def test_copies_of_other_quality_and_brightness_are_copies(tmp_path):
    paths = [
        write_photo(tmp_path / "a.jpg", view(), quality=95),
        write_photo(tmp_path / "b.jpg", view(), quality=50),
        write_photo(tmp_path / "c.png", np.clip(view() * 1.02, 0, 255).astype(np.uint8)),
    ]
    assert duplicates([examine(path, Kind.PICTURE) for path in paths]) == {1: 0, 2: 0}


def test_a_small_sideways_motion_is_not_a_copy(tmp_path):
    assert found(tmp_path, [view(0), view(6), view(12), view(18)]) == {}


def test_pictures_of_a_wall_are_copies_only_if_they_look_the_same(tmp_path):
    walls = [np.full((60, 80, 3), value, np.uint8) for value in (200, 201, 230)]
    assert found(tmp_path, walls) == {1: 0}


def test_no_photographs_have_no_copies():
    assert duplicates([]) == {}
