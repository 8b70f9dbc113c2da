import numpy as np
import pytest

from sfumato.capture.points import read_ply_points
from sfumato.errors import CaptureError

XYZ = np.array([[1.0, 2.0, 3.0], [-4.0, 5.5, 6.0], [0.0, 0.0, 0.25]])
RGB = np.array([[255, 0, 1], [2, 3, 4], [128, 127, 9]])


def header(form, colour="uchar", count=3, extra=""):
    lines = ["ply", f"format {form} 1.0", "comment made by hand", f"element vertex {count}"]
    lines += [f"property float {axis}" for axis in "xyz"] + ["property double confidence"]
    lines += [f"property {colour} {name}" for name in ("red", "green", "blue")]
    return ("\n".join(lines) + "\n" + extra + "end_header\n").encode()


def body(order, colour="u1", rgb=RGB):
    kinds = [(axis, order + "f4") for axis in "xyz"] + [("c", order + "f8")]
    rows = np.zeros(3, kinds + [(name, order + colour) for name in "rgb"])
    for i, axis in enumerate("xyz"):
        rows[axis] = XYZ[:, i]
        rows["rgb"[i]] = rgb[:, i]
    return rows.tobytes()


def ascii_body(rgb=RGB):
    return "".join(
        f"{x} {y} {z} 0.5 {r} {g} {b}\n" for (x, y, z), (r, g, b) in zip(XYZ, rgb, strict=True)
    ).encode()


FACES = "element face 1\nproperty list uchar int vertex_indices\n"


@pytest.mark.parametrize(
    "data",
    [
        header("ascii") + ascii_body(),
        header("ascii", extra=FACES) + ascii_body() + b"3 0 1 2\n",
        header("ascii", colour="float") + ascii_body(RGB / 255.0),
        header("binary_little_endian") + body("<"),
        header("binary_big_endian") + body(">"),
        header("binary_little_endian", extra=FACES) + body("<") + b"\3" + bytes(12),
        header("binary_little_endian", colour="float") + body("<", "f4", RGB / 255.0),
        header("binary_big_endian", colour="ushort") + body(">", "u2", RGB * 257),
    ],
)
def test_points_and_colours_of_every_form(tmp_path, data):
    path = tmp_path / "points.ply"
    path.write_bytes(data)
    points = read_ply_points(path)
    np.testing.assert_array_equal(points.xyz, XYZ.astype(np.float32))
    np.testing.assert_array_equal(points.rgb, RGB)


def test_without_colours_points_are_grey_and_without_points_there_are_none(tmp_path):
    path = tmp_path / "points.ply"
    properties = "".join(f"property float {axis}\n" for axis in "xyz")
    start = "ply\nformat ascii 1.0\nelement vertex {}\n" + properties + "end_header\n"
    path.write_text(start.format(2) + "1 2 3\nnan 0 0\n")
    points = read_ply_points(path)
    assert len(points) == 1 and points.rgb.tolist() == [[128, 128, 128]]
    path.write_text(start.format(0))
    assert read_ply_points(path) is None


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian"])
def test_every_truncation_is_refused(tmp_path, form):
    path = tmp_path / "points.ply"
    data = header(form) + (ascii_body() if form == "ascii" else body("<"))
    # An ascii file may lose its final newline, or digits of its last number.
    for length in range(len(data) - (4 if form == "ascii" else 0)):
        path.write_bytes(data[:length])
        with pytest.raises(CaptureError, match=r"points\.ply"):
            read_ply_points(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"vertex 3", b"vertex 99999999999999999999"),
        (b"vertex 3", b"vertex -1"),
        (b"vertex 3", b"vertex many"),
        (b"vertex 3", b"face 3"),
        (b"float y", b"float why"),
        (b"float y", b"quad y"),
        (b"float y", b"float x"),
        (b"float y", b"list uchar int y"),
        (b"little_endian", b"middle_endian"),
    ],
)
def test_hostile_headers_are_refused(tmp_path, old, new):
    path = tmp_path / "points.ply"
    path.write_bytes((header("binary_little_endian") + body("<")).replace(old, new))
    with pytest.raises(CaptureError, match=r"points\.ply"):
        read_ply_points(path)
