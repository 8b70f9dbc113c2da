"""Files of measured points: round trips of each format, and one-line errors for damaged files."""

import json
import struct

import numpy as np
import pytest

from sfumato.errors import FormatError
from sfumato.splatting.cloud_files import read_cloud
from sfumato.splatting.cloud_files.lzf import decompressed
from support.surfaces import sphere

COUNT = 40
XYZ = np.round(sphere(COUNT, centre=(100.0, 200.0, 5.0)), 4)
RGB = np.random.default_rng(0).integers(0, 256, (COUNT, 3))
NORMALS = sphere(COUNT).astype(np.float32)
PCD = """# .PCD v0.7
VERSION 0.7
FIELDS x y z normal_x normal_y normal_z rgb
SIZE 4 4 4 4 4 4 4
TYPE F F F F F F F
COUNT 1 1 1 1 1 1 1
WIDTH {count}
HEIGHT 1
VIEWPOINT {viewpoint} 1 0 0 0
POINTS {count}
DATA {form}
"""


def packed_colours(rgb=RGB):
    red, green, blue = rgb.T.astype(np.uint32)
    return (red << 16 | green << 8 | blue).view(np.float32)


def pcd_columns():
    return [*XYZ.T.astype(np.float32), *NORMALS.T, packed_colours()]


def pcd(form="binary", count=COUNT, viewpoint="0 0 0"):
    head = PCD.format(count=count, form=form, viewpoint=viewpoint).encode()
    if form == "binary":
        return head + np.stack(pcd_columns(), axis=1).astype("<f4").tobytes()
    if form == "binary_compressed":
        plain = np.stack(pcd_columns()).astype("<f4").tobytes()
        runs = b"".join(bytes([len(run) - 1]) + run for run in _runs(plain))
        return head + struct.pack("<II", len(runs), len(plain)) + runs
    columns = [*XYZ.T, *NORMALS.T, packed_colours()]
    rows = [" ".join(f"{np.float32(column[i]):.9g}" for column in columns) for i in range(COUNT)]
    return head + "\n".join(rows).encode()


def _runs(data):
    return (data[start : start + 32] for start in range(0, len(data), 32))


def ply(count=COUNT, colour="uchar", scale=1):
    names = "".join(f"property double {axis}\n" for axis in "xyz")
    names += "".join(f"property {colour} {name}\n" for name in ("red", "green", "blue"))
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {count}\n{names}end_header\n"
    kind = {"uchar": "u1", "ushort": "<u2", "float": "<f4"}[colour]
    rows = np.empty(COUNT, [("xyz", "<f8", 3), ("rgb", kind, 3)])
    rows["xyz"], rows["rgb"] = XYZ, RGB * scale
    return head.encode() + rows.tobytes()


def glb(mode=0):
    xyz, colours = XYZ.astype("<f4"), np.full((COUNT, 3), 0.5, "<f4")
    body = xyz.tobytes() + colours.tobytes()
    accessor = {"componentType": 5126, "type": "VEC3", "count": COUNT}
    root = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "translation": [0, 0, 1]}],
        "meshes": [{"primitives": [{"mode": mode, "attributes": {"POSITION": 0, "COLOR_0": 1}}]}],
        "buffers": [{"byteLength": len(body)}],
        "bufferViews": [
            {"buffer": 0, "byteLength": xyz.nbytes},
            {"buffer": 0, "byteOffset": xyz.nbytes, "byteLength": colours.nbytes},
        ],
        "accessors": [{**accessor, "bufferView": 0}, {**accessor, "bufferView": 1}],
    }
    text = json.dumps(root).encode()
    text += b" " * (-len(text) % 4)
    length = 12 + 8 + len(text) + 8 + len(body)
    head = struct.pack("<4sII", b"glTF", 2, length) + struct.pack("<I4s", len(text), b"JSON")
    return head + text + struct.pack("<I4s", len(body), b"BIN\0") + body


def las(path, *, compressed=False, colours=True):
    laspy = pytest.importorskip("laspy")
    pytest.importorskip("lazrs")
    header = laspy.LasHeader(point_format=2 if colours else 0, version="1.2")
    header.scales, header.offsets = [1e-4] * 3, XYZ.min(axis=0).round()
    data = laspy.LasData(header)
    data.x, data.y, data.z = XYZ.T
    data.intensity = np.arange(COUNT)
    if colours:
        data.red, data.green, data.blue = RGB.T * 257
    data.write(path, do_compress=compressed)
    return path


def e57(path, translation=(0, 0, 0)):
    pye57 = pytest.importorskip("pye57")
    columns = dict(zip(("cartesianX", "cartesianY", "cartesianZ"), XYZ.T.copy(), strict=True))
    colours = zip(("colorRed", "colorGreen", "colorBlue"), RGB.T.astype(np.uint8).copy(), strict=True)
    with pye57.E57(str(path), mode="w") as file:
        half = np.array([np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
        file.write_scan_raw(columns | dict(colours), rotation=half, translation=np.array(translation))
    return path


def written(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("form", ["ascii", "binary", "binary_compressed"])
def test_pcd(tmp_path, form):
    cloud = read_cloud(written(tmp_path, "a.pcd", pcd(form, viewpoint="100 200 50")))
    assert np.allclose(cloud.xyz, XYZ, atol=1e-5) and np.allclose(cloud.normals, NORMALS)
    assert np.array_equal(cloud.rgb, RGB)
    assert (cloud.towards[:, 2] > 0.9).all()


@pytest.mark.parametrize(
    "colour, scale, most", [("uchar", 1, 255), ("ushort", 257, 65535), ("float", 1 / 255, 1)]
)
def test_ply(tmp_path, colour, scale, most):
    cloud = read_cloud(written(tmp_path, "a.ply", ply(colour=colour, scale=scale)))
    assert np.array_equal(cloud.xyz, XYZ)
    assert np.allclose(cloud.rgb / most, RGB / 255, atol=1e-6)


@pytest.mark.parametrize("name, compressed", [("a.las", False), ("a.laz", True)])
def test_las(tmp_path, name, compressed):
    cloud = read_cloud(las(tmp_path / name, compressed=compressed))
    assert np.allclose(cloud.xyz, XYZ, atol=1e-4) and np.array_equal(cloud.rgb, RGB * 257)
    assert np.array_equal(cloud.intensity[:, 0], np.arange(COUNT)) and cloud.up == (0, 0, 1)
    assert read_cloud(las(tmp_path / name, compressed=compressed, colours=False)).rgb is None


def test_e57_in_the_common_frame(tmp_path):
    cloud = read_cloud(e57(tmp_path / "a.e57", translation=(1e6, 0, 0)))
    # A rotation by 90 degrees about z, then the translation.
    assert np.allclose(cloud.xyz, np.stack([1e6 - XYZ[:, 1], XYZ[:, 0], XYZ[:, 2]], axis=1), atol=1e-4)
    assert np.array_equal(cloud.rgb, RGB) and cloud.metres_per_unit == 1.0
    scanner = cloud.xyz + cloud.towards * np.linalg.norm(XYZ, axis=1, keepdims=True)
    assert np.allclose(scanner, [1e6, 0, 0], atol=1e-3)


def test_gltf_points_are_rotated_like_gltf_scenes(tmp_path):
    cloud = read_cloud(written(tmp_path, "a.glb", glb()))
    assert np.allclose(cloud.xyz, np.add(XYZ, (0, 0, 1)) * [-1, -1, 1], atol=1e-4)
    # Linear 0.5 is encoded as 0.735.
    assert np.allclose(cloud.rgb, 0.7354, atol=1e-3)


def text(columns, head="", separator=" "):
    rows = [separator.join(f"{value:.6f}" for value in row) for row in np.concatenate(columns, axis=1)]
    return (head + "\n".join(rows)).encode()


UNIT = NORMALS / np.linalg.norm(NORMALS, axis=1, keepdims=True)
BRIGHT = np.arange(COUNT)[:, None]


@pytest.mark.parametrize(
    "columns, head, known",
    [
        ((XYZ,), "", set()),
        ((XYZ,), f"{COUNT}\n", set()),
        ((XYZ, BRIGHT), "", {"intensity"}),
        ((XYZ, RGB), "# made by hand\n", {"rgb"}),
        ((XYZ, UNIT), "", {"normals"}),
        ((XYZ, BRIGHT, RGB), "", {"intensity", "rgb"}),
        ((XYZ, RGB, UNIT), "", {"rgb", "normals"}),
        ((XYZ, UNIT, RGB), "", {"rgb", "normals"}),
        ((BRIGHT, XYZ, UNIT), "//time X Y Z Nx Ny Nz\n", {"normals"}),
    ],
)
@pytest.mark.parametrize("separator", [" ", ",", "; ", "\t"])
def test_text(tmp_path, columns, head, known, separator):
    cloud = read_cloud(written(tmp_path, "a.txt", text(columns, head, separator)))
    assert np.allclose(cloud.xyz, XYZ, atol=1e-5)
    assert set(cloud.columns()) == {"xyz"} | known
    expected = {"rgb": RGB, "normals": UNIT, "intensity": BRIGHT}
    assert all(np.allclose(getattr(cloud, name), expected[name], atol=1e-5) for name in known)


def test_points_that_are_not_finite_are_left_out_and_counted(tmp_path, caplog):
    xyz = XYZ.copy()
    xyz[3, 1], xyz[7, 0] = np.nan, np.inf
    assert len(read_cloud(written(tmp_path, "a.xyz", text((xyz,))))) == COUNT - 2
    assert f"left out 2 of {COUNT} points" in caplog.text
    with pytest.raises(FormatError, match="all 40 are NaN"):
        read_cloud(written(tmp_path, "b.xyz", text((xyz * np.nan,))))


def test_a_large_cloud_is_thinned_with_a_warning(tmp_path, caplog):
    path = written(tmp_path, "a.xyz", text((sphere(3000),)))
    cloud = read_cloud(path, max_points=500)
    assert 200 < len(cloud) <= 500
    assert f"3000 points are thinned to {len(cloud)}" in caplog.text


def damaged_las(path, at, form, value, compressed=False):
    data = bytearray(las(path, compressed=compressed).read_bytes())
    struct.pack_into(form, data, at, value)
    return bytes(data)


@pytest.mark.parametrize(
    "name, data, words",
    [
        ("a.ply", ply(count=COUNT + 1), "truncated"),
        ("a.ply", ply(count=10**14), "truncated or its count is wrong"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement face 3\nend_header\n", "no vertices"),
        ("a.pcd", pcd(count=10**9), "truncated or its count is wrong"),
        ("a.pcd", pcd("binary_compressed", count=10**9), "compressed points are wrong"),
        ("a.pcd", pcd("binary_compressed")[:-40], "truncated"),
        ("a.pcd", pcd("ascii")[:-400], "truncated|not 7 numbers"),
        ("a.pcd", pcd().replace(b"TYPE F F F", b"TYPE F F G"), "cannot be understood"),
        ("a.pcd", pcd().replace(b"FIELDS x y z", b"FIELDS a b c"), "no fields x, y and z"),
        ("a.pcd", pcd().replace(b"DATA", b"DETA"), "DATA|understood"),
        ("a.glb", glb()[:-100], "truncated"),
        ("a.glb", glb(mode=4), "holds no points"),
        ("a.xyz", b"1 2 3\n4 5\n6 7 8\n", "point 2 is not 3 numbers"),
        ("a.xyz", b"1 2 3\n4 5 6_0\n", "a point from 1 on is not 3 numbers"),
        ("a.xyz", b"hello\nworld\n", "holds no points"),
        ("a.xyz", b"1 2 3 4 5\n", "5 columns"),
        ("a.xyz", b"1 2 3 " + b"0" * 5000 + b"\n", "."),
        ("a.xyz", b"", "is empty"),
        ("a.bin", b"\1\2\3", "not in a known format of measured points"),
        ("a.las", b"LASF" + b"\0" * 30, "truncated"),
        ("a.e57", b"ASTM-E57" + b"\0" * 100, "cannot be read as E57"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, data, words):
    path = written(tmp_path, name, data)
    with pytest.raises(FormatError, match=words) as error:
        read_cloud(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_las_is_named(tmp_path, compressed, share):
    data = las(tmp_path / "whole", compressed=compressed).read_bytes()
    path = written(tmp_path, "a.laz", data[: int(share * len(data))])
    with pytest.raises(FormatError, match=r"truncated|damaged|sizes"):
        read_cloud(path)


@pytest.mark.parametrize(
    "at, form, value, compressed",
    [
        (107, "<I", 2**32 - 1, False),  # points
        (107, "<I", 2**32 - 1, True),
        (100, "<I", 2**32 - 1, False),  # variable length records
        (96, "<I", 2**32 - 1, False),  # offset of the points
        (105, "<H", 3, False),  # bytes per point
    ],
)
def test_hostile_sizes_of_las_are_refused(tmp_path, at, form, value, compressed):
    path = written(tmp_path, "a.las", damaged_las(tmp_path / "whole", at, form, value, compressed))
    with pytest.raises(FormatError, match=r"truncated|damaged"):
        read_cloud(path)


def test_truncated_e57_is_named(tmp_path):
    data = e57(tmp_path / "whole").read_bytes()
    for share in (0.3, 0.9):
        with pytest.raises(FormatError, match="cannot be read as E57"):
            read_cloud(written(tmp_path, "a.e57", data[: int(share * len(data))]))


def test_missing_packages_are_named(tmp_path, monkeypatch):
    path = las(tmp_path / "a.las")
    monkeypatch.setitem(__import__("sys").modules, "laspy", None)
    with pytest.raises(FormatError, match=r"needs the package laspy, .* install 'laspy"):
        read_cloud(path)


def test_compressed_runs_and_copies():
    # "abcabcabc" and a run of one byte, encoded as back references of distance three and one.
    data = bytes([2]) + b"abc" + bytes([4 << 5, 2]) + bytes([0]) + b"z" + bytes([7 << 5, 3, 0])
    assert decompressed(data, 22) == b"abcabcabcz" + b"z" * 12
    assert decompressed(data, 21) is None and decompressed(data[:-1], 22) is None
    assert decompressed(bytes([1 << 5, 5]), 3) is None
