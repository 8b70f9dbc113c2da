"""Scene files: exact round trips, tolerant reading, and refusal of invalid files."""

import math
import time

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfumato.errors import FormatError
from sfumato.scene.files import load, save
from support.ply_files import assert_same, columns_of, random_scene, write
from support.real_data import real_splats
from support.scene_files import assert_scene_or_format_error


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("n", [0, 1, 5000])
def test_round_trip_is_exact(tmp_path, degree, n):
    scene = random_scene(n, degree)
    save(scene, tmp_path / "scene.ply")
    assert_same(load(tmp_path / "scene.ply"), scene)


def test_layout_is_the_usual_one(tmp_path):
    scene = random_scene(2, 3)
    save(scene, tmp_path / "scene.ply")
    header, body = (tmp_path / "scene.ply").read_bytes().split(b"end_header\n", 1)
    names = [line.split()[-1] for line in header.decode().splitlines() if line.startswith("property float ")]
    assert names[:9] == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    assert names[9:54] == [f"f_rest_{i}" for i in range(45)]
    assert names[54:] == ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    row = np.frombuffer(body, "<f4").reshape(2, 62)[1]
    assert row[9 + 15] == scene.sh[1, 1, 1], "f_rest_15 is the first coefficient of green"
    assert row[9 + 2] == scene.sh[1, 3, 0], "f_rest_2 is the third coefficient of red"
    assert (row[3:6] == 0).all()
    assert row[58] == scene.quats[1, 0]


@pytest.mark.parametrize("order", ["<", ">", ""])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_reads_any_order_of_bytes_and_properties(tmp_path, order, kind):
    scene = random_scene(9, 2)
    columns = columns_of(scene)
    shuffled = dict(sorted(columns.items(), key=lambda item: hash_free_key(item[0])))
    shuffled["confidence"] = np.full(9, np.nan)
    assert_same(load(write(tmp_path / "a.ply", shuffled, order=order, kind=kind)), scene)


def hash_free_key(name: str) -> str:
    return name[::-1]


def test_skips_other_elements_and_lists(tmp_path):
    scene = random_scene(3, 1)
    before = "element camera 2\nproperty double focal\n"
    before += "element face 2\nproperty list uchar int ids\nproperty char k\n"
    faces = b"\x03" + bytes(12) + b"\x01" + b"\x01" + bytes(4) + b"\x01"
    path = write(tmp_path / "a.ply", columns_of(scene), before=before, prefix=bytes(16) + faces)
    assert_same(load(path), scene)
    text = write(
        tmp_path / "b.ply", columns_of(scene), order="", before=before, prefix=b"1\n2\n\n3 1 2 3 4\n1 1 1\n"
    )
    assert_same(load(text), scene)


def test_reads_windows_line_ends_and_a_trailing_newline(tmp_path):
    scene = random_scene(3, 0)
    path = write(tmp_path / "a.ply", columns_of(scene))
    header, body = path.read_bytes().split(b"end_header\n", 1)
    path.write_bytes(header.replace(b"\n", b"\r\n") + b"end_header\r\n" + body + b"\n")
    assert_same(load(path), scene)


def test_discs_become_thin(tmp_path):
    scene = random_scene(4, 0)
    columns = columns_of(scene)
    del columns["scale_2"]
    got = load(write(tmp_path / "a.ply", columns)).log_scales
    torch.testing.assert_close(got[:, 2], scene.log_scales[:, :2].amin(1) - math.log(1000))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("x", np.nan, r"means \(x\) is NaN or infinite for 1 of 7"),
        ("opacity", np.nan, "logit_opacities is NaN or infinite for 1 of 7"),
        ("scale_2", np.inf, r"log_scales \(z\) is NaN or infinite for 1 of 7"),
        ("f_rest_8", -np.inf, "sh is NaN or infinite for 1 of 7"),
        ("scale_1", 1000.0, r"scales exceed exp\(40\) for 1 of 7"),
    ],
)
def test_refuses_invalid_values(tmp_path, name, value, said):
    columns = columns_of(random_scene(7, 1))
    columns[name] = columns[name].copy()
    columns[name][3] = value
    with pytest.raises(FormatError, match=said):
        load(write(tmp_path / "a.ply", columns))


def test_infinite_opacities_and_vanishing_scales_become_finite(tmp_path):
    columns = columns_of(random_scene(3, 0))
    columns["opacity"] = np.array([np.inf, -np.inf, 1.0])
    columns["scale_1"] = np.array([-np.inf, 0.0, 0.0])
    got = load(write(tmp_path / "a.ply", columns))
    torch.testing.assert_close(got.opacities[:2], torch.tensor([1.0, 0.0]), atol=2e-6, rtol=0)
    assert got.log_scales[:, 1].tolist() == [-40.0, 0.0, 0.0]


def test_refuses_a_zero_quaternion_and_a_double_out_of_range(tmp_path):
    columns = columns_of(random_scene(2, 0))
    zero = columns | {f"rot_{i}": np.zeros(2) for i in range(4)}
    with pytest.raises(FormatError, match="quaternion is zero or huge for 2 of 2"):
        load(write(tmp_path / "a.ply", zero))
    with pytest.raises(FormatError, match=r"means \(y\) is NaN or infinite for 2 of 2"):
        load(write(tmp_path / "b.ply", columns | {"y": np.full(2, 1e300)}, kind="f8"))


def test_refuses_to_save_what_it_would_refuse_to_load(tmp_path):
    scene = random_scene(3, 0)
    scene.means[1, 2] = math.nan
    with pytest.raises(FormatError, match=r"means \(z\) is NaN or infinite for 1 of 3"):
        save(scene, tmp_path / "scene.ply")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FormatError, match=r"unknown suffix '\.obj'"):
        save(random_scene(), tmp_path / "scene.obj")


HEADERS = {
    "no PLY": (b"solid cube\n", "not a scene file"),
    "no end": (b"ply\nformat ascii 1.0\nelement vertex 1\n", "no end_header"),
    "endless": (b"ply\ncomment " + b"a" * 70_000, "no end_header line within 65536"),
    "no format": (b"ply\nelement vertex 0\nend_header\n", "no format line"),
    "unknown format": (b"ply\nformat binary_mixed 1.0\nend_header\n", "cannot be understood"),
    "no vertex": (b"ply\nformat ascii 1.0\nend_header\n", "no element 'vertex'"),
    "negative": (b"ply\nformat ascii 1.0\nelement vertex -4\nend_header\n", "declares '-4' rows"),
    "long count": (
        b"ply\nformat ascii 1.0\nelement vertex " + b"9" * 5000 + b"\nend_header\n",
        "rows of element",
    ),
    "twice": (b"ply\nformat ascii 1.0\nelement vertex 1\nelement vertex 1\nend_header\n", "twice"),
    "float length": (
        b"ply\nformat ascii 1.0\nelement e 1\nproperty list float int a\nend_header\n",
        "property line",
    ),
    "odd name": (b"ply\nformat ascii 1.0\n\x1b[2J\xff\x00\nend_header\n", "cannot be understood"),
    "early property": (b"ply\nformat ascii 1.0\nproperty int x\nend_header\n", "cannot be understood"),
    "cloud": (b"ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nend_header\n", "a point cloud"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_refuses_hostile_headers(tmp_path, case):
    content, said = HEADERS[case]
    (tmp_path / "a.ply").write_bytes(content)
    with pytest.raises(FormatError, match=said) as caught:
        load(tmp_path / "a.ply")
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("order", ["<", ""])
@pytest.mark.parametrize("count", [6, 8, 10**14])
def test_refuses_wrong_counts(tmp_path, order, count):
    path = write(tmp_path / "a.ply", columns_of(random_scene(7, 0)), order=order, count=count)
    with pytest.raises(FormatError, match=r"truncated|more|does not hold"):
        load(path)


@pytest.mark.parametrize("length", [-1, 2**31 - 1])
def test_refuses_lists_that_leave_the_file(tmp_path, length):
    before = "element face 1\nproperty list int double ids\n"
    prefix = int(length).to_bytes(4, "little", signed=True)
    path = write(tmp_path / "a.ply", columns_of(random_scene(3, 0)), before=before, prefix=prefix)
    with pytest.raises(FormatError, match="broken in element 'face'"):
        load(path)


def test_refuses_a_gap_in_the_coefficients_and_compressed_files(tmp_path):
    columns = columns_of(random_scene(3, 1))
    columns["f_rest_9"] = columns.pop("f_rest_4")
    with pytest.raises(FormatError, match=r"9 properties f_rest_\*"):
        load(write(tmp_path / "a.ply", columns))
    chunk = "element chunk 1\nproperty float min_x\n"
    with pytest.raises(FormatError, match="compressed ply"):
        load(write(tmp_path / "b.ply", columns_of(random_scene()), before=chunk, prefix=bytes(4)))


def test_refuses_folders_and_missing_files(tmp_path):
    with pytest.raises(FormatError, match="is missing"):
        load(tmp_path / "none.ply")
    with pytest.raises(FormatError, match="is a folder; give a scene file"):
        load(tmp_path)


@pytest.fixture(scope="module")
def valid_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("valid")
    columns = columns_of(random_scene(3, 1))
    before = "element face 2\nproperty list uchar int ids\n"
    return folder, [
        write(folder / "a.ply", columns).read_bytes(),
        write(
            folder / "b.ply", columns, order=">", kind="f8", before=before, prefix=b"\x01abcd\x00"
        ).read_bytes(),
        write(folder / "c.ply", columns, order="").read_bytes(),
    ]


edits = st.lists(
    st.tuples(
        st.sampled_from(["replace", "insert", "delete", "cut"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(
            st.binary(min_size=1, max_size=6), st.sampled_from([b"list", b"9999999999", b"-1", b"\n", b"nan"])
        ),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 2), changes=edits)
@pytest.mark.slow
def test_any_change_of_bytes_loads_or_is_a_format_error(valid_files, which, changes):
    folder, contents = valid_files
    content = contents[which]
    for action, where, data in changes:
        at = int(where * len(content))
        end = {"replace": at + len(data), "insert": at, "delete": at + len(data), "cut": len(content)}[action]
        content = content[:at] + (data if action in ("replace", "insert") else b"") + content[end:]
    path = folder / "mutated.ply"
    path.write_bytes(content)
    assert_scene_or_format_error(load, path)


def test_loads_files_of_other_tools():
    found = {
        "loadersgl/train-1000.ply": 1000,
        "metalsplatter/test-splat.3-points-from-train.ply": 3,
    }
    for name, count in found.items():
        scene = load(real_splats(name))
        assert (len(scene), scene.sh_degree) == (count, 3)
        assert 0.1 < float(scene.opacities.mean()) < 0.99


def test_two_hundred_thousand_gaussians_load_fast(tmp_path):
    scene = random_scene(200_000, 3)
    save(scene, tmp_path / "scene.ply")
    start = time.perf_counter()
    assert len(load(tmp_path / "scene.ply")) == 200_000
    assert time.perf_counter() - start < 20.0, "a fifth of a million takes 0.15 s on one core"
