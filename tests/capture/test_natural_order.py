"""Natural sort order of file names."""

import itertools

import pytest

from sfumato.capture.natural_order import natural_key


@pytest.mark.parametrize(
    "names",
    [
        ["frame0.jpg", "frame1.jpg", "frame2.jpg", "frame10.jpg", "frame100.jpg"],
        ["a/9.png", "a/10.png", "b/1.png"],
        ["1", "1.png", "2", "10a", "10b", "x"],
        ["IMG_1_2", "IMG_1_10", "IMG_2_1"],
        ["frame001", "frame02", "frame3"],
        ["f" + "9" * 400, "f1" + "0" * 400],
        ["f²", "f³"],
        ["f007", "f07", "f7"],
    ],
)
def test_names_sort_by_the_numbers_in_them(names):
    for order in itertools.permutations(names):
        assert sorted(order, key=natural_key) == names


def test_names_of_equal_width_sort_as_text():
    names = [f"{i:06d}.jpg" for i in (100, 9, 10, 0, 12345, 99)]
    assert sorted(names, key=natural_key) == sorted(names)
