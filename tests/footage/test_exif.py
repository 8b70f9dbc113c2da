"""Position and orientation from the metadata of photographs; broken metadata is ignored."""

import math

import numpy as np
import pytest
from PIL.TiffImagePlugin import IFDRational

from sfumato.footage import exif
from sfumato.footage.footage import gather
from sfumato.footage.kinds import Kind
from sfumato.footage.photos import examine
from support.clips import texture, write_photo

GPS = 0x8825
GOOD = {1: "N", 2: (52.0, 31.0, 12.36), 3: "E", 4: (13.0, 24.0, 36.0), 5: b"\x00", 6: 34.5}
LATITUDE, LONGITUDE = 52 + 31 / 60 + 12.36 / 3600, 13.41


def place_of(tmp_path, **changes):
    tags = {**GOOD, **{int(key[1:]): value for key, value in changes.items()}}
    tags = {(GPS, key): value for key, value in tags.items() if value is not None}
    return examine(write_photo(tmp_path / "a.jpg", texture(60, 80), tags=tags), Kind.PICTURE).place


def test_a_place_is_read_from_a_file(tmp_path):
    assert place_of(tmp_path) == pytest.approx((LATITUDE, LONGITUDE, 34.5), abs=1e-6)
    assert place_of(tmp_path, _1="S", _3="W", _5=b"\x01") == pytest.approx(
        (-LATITUDE, -LONGITUDE, -34.5), abs=1e-6
    )
    assert place_of(tmp_path, _6=None)[2] is None and place_of(tmp_path, _5=None)[2] == pytest.approx(34.5)
    assert place_of(tmp_path, _1=None) is None and place_of(tmp_path, _4=None) is None


def tags_with(**changes):
    return {GPS: {**GOOD, **{int(key[1:]): value for key, value in changes.items()}}}


@pytest.mark.parametrize(
    "changes",
    [
        {"_2": (IFDRational(0, 0), IFDRational(0, 0), IFDRational(0, 0))},
        {"_2": (math.nan, 0.0, 0.0)},
        {"_2": (math.inf, 0.0, 0.0)},
        {"_2": (90.0, 0.0, 1.0)},
        {"_4": (180.0, 0.0, 0.1)},
        {"_4": (-13.0, 0.0, 0.0)},
        {"_2": ()},
        {"_2": (1.0,) * 10_000},
        {"_2": 52},
        {"_2": "52,31"},
        {"_2": (None, None, None)},
        {"_2": (10**400, 0, 0)},
        {"_1": b"\xff\xfe"},
        {"_1": ("N",)},
        {"_2": (0.0, 0.0, 0.0), "_4": (0.0, 0.0, 0.0)},
    ],
)
def test_invalid_positions_are_ignored(changes):
    assert exif.place(tags_with(**changes)) is None


@pytest.mark.parametrize("height", [math.nan, math.inf, IFDRational(0, 0), 1e9, "high", (1, 2), None])
def test_an_impossible_altitude_is_ignored_but_the_position_is_kept(height):
    found = exif.place(tags_with(_6=height))
    assert found[:2] == pytest.approx((LATITUDE, LONGITUDE)) and found[2] is None


@pytest.mark.parametrize("tags", [{}, {GPS: 26}, {GPS: {}}, {GPS: None}])
def test_without_a_directory_of_gps_there_is_no_place(tags):
    assert exif.place(tags) is None


@pytest.mark.parametrize(
    "value", [0, IFDRational(0, 0), math.nan, math.inf, -5.0, b"\xff", "x", None, (28, 1)]
)
def test_invalid_focal_lengths_are_ignored(value):
    assert exif.focal_length_px({0xA405: value, 0x920A: value}, (800, 600)) is None
    assert "mm" not in exif.camera_name({271: "Maker", 272: "X1", 0x920A: value})


@pytest.mark.parametrize(
    ("xmp", "down"),
    [
        (b'<x drone-dji:GimbalPitchDegree="-90.00" drone-dji:GimbalRollDegree="+0.00"/>', (0, 0, 1)),
        (b"<d:GimbalPitchDegree>-30.0</d:GimbalPitchDegree>", (0, math.cos(math.pi / 6), 0.5)),
        ('a:GimbalPitchDegree = "0"', (0, 1, 0)),
        (b'a:GimbalPitchDegree="-90.0" a:GimbalRollDegree="25.0"', None),
        (b'a:GimbalPitchDegree="-190.0"', None),
        (b'a:GimbalPitchDegree="nan"', None),
        (b'a:GimbalPitchDegree="' + b"9" * 5000 + b'"', None),
        (b" " * (1 << 20) + b'a:GimbalPitchDegree="-90.0"', None),
        (b"", None),
        (None, None),
        (7, None),
    ],
)
def test_drones_record_the_orientation_of_the_camera(xmp, down):
    assert exif.gravity(xmp) == (None if down is None else pytest.approx(down))


def test_places_and_gravity_reach_the_pictures(tmp_path):
    tags = {(GPS, key): value for key, value in GOOD.items()}
    for number in range(4):
        mark = b'<x:xmpmeta drone-dji:GimbalPitchDegree="-90.0"/>'
        write_photo(tmp_path / f"in/{number}.jpg", texture(60, 80, seed=number), tags=tags, xmp=mark)
    write_photo(tmp_path / "in/5.png", texture(60, 80, seed=5))
    found = gather([tmp_path / "in"], tmp_path / "out").pictures
    for picture in found[:4]:
        assert picture.place == pytest.approx((LATITUDE, LONGITUDE, 34.5), abs=1e-6)
        np.testing.assert_allclose(picture.gravity, (0, 0, 1), atol=1e-12)
    assert found[4].place is None and found[4].gravity is None
