"""`.spz` files that are broken or hostile: refused, and no more decompressed than declared."""

import gzip
import importlib.util
import struct
import tracemalloc

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sfumato.errors import FormatError
from sfumato.scene.files import load, save, spz
from support.scene_files import assert_scene_or_format_error, blob, changed, changes
from support.spz_files import body, header, needs_zstandard, write

EXAMPLES = 300


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello", r"truncated"),
        (b"x" * 64, r"does not begin with NGSP"),
        (header(version=7) + body(), r"version 7"),
        (header(version=4) + body(), r"version 4 of .spz within gzip"),
        (header(degree=5) + body(), r"SH of degree 5"),
        (header(bits=25) + body(), r"25 of 24 bits"),
        (header(count=3) + body(), r"truncated"),
        (header(count=2**32 - 1) + body(), r"4294967295 Gaussians"),
        (header() + body() + b"!", r"more than its header declares"),
        (header(), r"truncated"),
    ],
)
def test_refuses_data_that_contradicts_the_header(tmp_path, data, message):
    path = write(tmp_path / "a.spz", data)
    with pytest.raises(FormatError, match=message) as error:
        spz.load(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.slow
def test_refuses_bombs_without_unpacking_them(tmp_path):
    bombs = {
        "more than it declares": header() + body() + bytes(200_000_000),
        "more Gaussians than fit": header(count=5_000_000) + bytes(115_000_000),
    }
    for data in bombs.values():
        write(tmp_path / "bomb.spz", data)
        tracemalloc.start()
        with pytest.raises(FormatError):
            spz.load(tmp_path / "bomb.spz")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 8_000_000


def test_refuses_a_wrong_check_sum(tmp_path):
    path = write(tmp_path / "a.spz", header() + body())
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)
    with pytest.raises(FormatError, match="broken gzip stream"):
        load(path)


@needs_zstandard
@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d[:40], "streams adds up|truncated|where it cannot be"),
        (lambda d: d[:4] + struct.pack("<I", 5) + d[8:], "version 5"),
        (lambda d: d[:15] + b"\x04" + d[16:], "4 streams where"),
        (lambda d: d[:16] + struct.pack("<I", 31) + d[20:], "byte 31"),
        (lambda d: d[:40] + struct.pack("<Q", 10**18) + d[48:], "bytes of positions"),
        (lambda d: d + b"!", "adds up"),
        (lambda d: d[:-2] + b"!!", "Zstandard|truncated"),
    ],
)
def test_refuses_broken_files_of_version_4(tmp_path, edit, message):
    save(blob(500, 1), tmp_path / "a.spz", version=4)
    (tmp_path / "a.spz").write_bytes(edit((tmp_path / "a.spz").read_bytes()))
    with pytest.raises(FormatError, match=message):
        load(tmp_path / "a.spz")


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """A path, and the bytes of a file of each version, uncompressed for versions 1 to 3."""
    path = tmp_path_factory.mktemp("valid") / "a.spz"
    extension = struct.pack("<III", 0xADBE0003, 4, 9)
    contents = {v: header(v, 20, 1, flags=2) + body(v, 20, 1) + extension for v in (1, 2, 3)}
    if importlib.util.find_spec("zstandard"):
        save(blob(20, 2), path, version=4)
        contents[4] = path.read_bytes()
    return path, contents


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=changes, version=st.sampled_from([1, 2, 3, 4]), packed=st.booleans())
@pytest.mark.slow
def test_any_change_of_bytes_loads_or_is_a_format_error(valid, edits, version, packed):
    path, contents = valid
    assume(version in contents)
    content = changed(contents[version], edits)
    path.write_bytes(gzip.compress(content, 1) if packed and version < 4 else content)
    assert_scene_or_format_error(spz.load, path)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=changes)
@pytest.mark.slow
def test_any_change_of_packed_bytes_loads_or_is_a_format_error(valid, edits):
    path, contents = valid
    path.write_bytes(changed(gzip.compress(contents[3]), edits))
    assert_scene_or_format_error(spz.load, path)
