"""``frames.json`` survives a round trip, and invalid files are refused."""

import json
from dataclasses import replace

import pytest

from sfumato.errors import CaptureError
from sfumato.footage.frames_file import Dropped, Footage, Picture, left_out, read_footage, write_footage

FRAME = Picture("clip/000001.jpg", "clip.mp4", "video clip", (640, 360), None, "clip", 0.5, 4.0, 0.4, None)
PHOTO = replace(
    FRAME, name="photos/a.jpg", focal_px=500.5, sequence=None, time_s=None, gravity=(0.0, 1.0, 0.0)
)
PLACED = replace(PHOTO, name="photos/b.jpg", place=(52.5, -13.0, None))


@pytest.fixture
def folder(tmp_path):
    for picture in (FRAME, PHOTO, PLACED):
        path = tmp_path / "images" / picture.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"picture")
    dropped = (Dropped("clip.mp4", "clip/000002.jpg", "blurred"),)
    write_footage(Footage(tmp_path / "images", (FRAME, PHOTO, PLACED), dropped), tmp_path)
    return tmp_path


def test_round_trip(folder):
    footage = read_footage(folder)
    assert footage.folder == folder / "images"
    assert footage.pictures == (FRAME, PHOTO, PLACED)
    assert footage.dropped[0].reason == "blurred"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../a.jpg"),
        ("name", "/a.jpg"),
        ("name", "a//b.jpg"),
        ("name", "a\\b.jpg"),
        ("name", ""),
        ("name", 3),
        ("name", "clip/missing.jpg"),
        ("size_px", [0, 360]),
        ("size_px", [640]),
        ("size_px", "640"),
        ("size_px", [640, True]),
        ("focal_px", -1.0),
        ("focal_px", "long"),
        ("sequence", 7),
        ("sharpness", None),
        ("brightness", 1e400),
        ("brightness", 2.0),
        ("gravity", [0.0, 1.0]),
        ("place", [90.5, 0.0, 0.0]),
        ("place", [0.0, float("nan"), 0.0]),
        ("place", [0.0, 0.0]),
        ("gravity", [0.0, float("nan"), 0.0]),
    ],
)
def test_each_field_is_checked(folder, field, value):
    path = folder / "frames.json"
    content = json.loads(path.read_text())
    content["pictures"][0][field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(
        CaptureError, match=r"frames\.json cannot be used \(.*\); gather the pictures again"
    ) as e:
        read_footage(folder)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"version": 2}',
        '{"version": 1}',
        '{"version": 1, "pictures": [3], "dropped": []}',
        '{"version": 1, "pictures": [], "dropped": [3]}',
        "[" * 100_000,
        "\0",
    ],
)
def test_other_content_is_refused(folder, content):
    (folder / "frames.json").write_text(content)
    with pytest.raises(CaptureError, match=r"frames\.json"):
        read_footage(folder)


def test_names_must_be_distinct_and_sorted(folder):
    path = folder / "frames.json"
    content = json.loads(path.read_text())
    content["pictures"] = content["pictures"][::-1]
    path.write_text(json.dumps(content))
    with pytest.raises(CaptureError, match="not sorted"):
        read_footage(folder)


def test_a_missing_file_gives_a_remedy(tmp_path):
    with pytest.raises(CaptureError, match="does not exist; gather"):
        read_footage(tmp_path)


def test_rejected_frames_are_counted_by_reason():
    reasons = [
        "blurred",
        "near duplicate of a.jpg",
        "near duplicate of frame 3",
        "broken: of no use",
        "too dark",
    ]
    dropped = [Dropped("a", "b", reason) for reason in [*reasons, "covered, or nothing to see", "blurred"]]
    assert left_out(dropped) == ", 7 left out: 2 blurred, 2 near duplicate, 1 broken, 1 too dark, 1 covered"
    assert left_out([]) == ""
