"""Files designed to exhaust memory are refused, and valid ones need little more memory than their content."""

import importlib.util
import json
import logging
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from sfumato.errors import FormatError
from sfumato.scene.files import load, save
from support.processes import printed_by
from support.scene_files import RESET, blob, memory
from support.sog_files import parts, webp
from support.spz_files import header

SLACK_BYTES = 24 << 20
needs_proc = pytest.mark.skipif(not RESET.exists(), reason="peaks of memory are asked of Linux' /proc")


def refused(path: Path, message: str) -> None:
    """A file is refused with little memory."""
    RESET.write_text("5")
    before = memory("VmRSS")
    with pytest.raises(FormatError, match=message):
        load(path)
    assert memory("VmHWM") - before < SLACK_BYTES


@needs_proc
@pytest.mark.parametrize(
    ("count", "message"),
    [
        (2, "more than its header declares"),
        # As many as the stream contains.
        (10 * 2**30 // 65, "its count is wrong"),
    ],
)
def test_ten_megabytes_of_gzip_that_inflate_to_ten_gigabytes(tmp_path, count, message):
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = deflater.compress(header(count=count, degree=3)) + deflater.flush(zlib.Z_FULL_FLUSH)
    # Data after a full flush does not refer to earlier data, so it can be repeated.
    piece = deflater.compress(bytes(1 << 20)) + deflater.flush(zlib.Z_FULL_FLUSH)
    with (tmp_path / "bomb.spz").open("wb") as handle:
        handle.write(b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + start)
        for _ in range(10 * 1024):
            handle.write(piece)
    assert (tmp_path / "bomb.spz").stat().st_size < 12_000_000
    refused(tmp_path / "bomb.spz", message)


def archive(path: Path, members: dict[str, bytes]) -> bytearray:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return bytearray(path.read_bytes())


def members() -> dict[str, bytes]:
    meta, pictures = parts()
    return {"meta.json": json.dumps(meta).encode(), **pictures}


@needs_proc
@pytest.mark.parametrize("told", [100, 2**32 - 2])
@pytest.mark.slow
def test_a_zip_with_wrong_sizes_in_its_directory(tmp_path, told):
    path = tmp_path / "bomb.sog"
    data = archive(path, {**members(), "quats.webp": bytes(200_000_000)})
    at = data.rfind(b"PK\1\2", 0, data.rfind(b"quats.webp"))
    struct.pack_into("<I", data, at + 24, told)
    path.write_bytes(data)
    refused(path, "is broken|more than the")


@needs_proc
def test_a_zip_with_wrong_offsets_in_its_directory(tmp_path):
    path = tmp_path / "bomb.sog"
    good = archive(path, members())
    at = good.rfind(b"PK\1\2", 0, good.rfind(b"quats.webp"))
    for place in (1, len(good) - 3, 2**32 - 2):
        data = bytearray(good)
        struct.pack_into("<I", data, at + 42, place)
        path.write_bytes(data)
        refused(path, "broken")


@needs_proc
def test_a_zip_that_hides_a_long_directory(tmp_path):
    path = tmp_path / "bomb.sog"
    entry = b"PK\1\2" + struct.pack("<6H3I5H2I", 20, 20, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0) + b"%08d"
    directory = b"".join(entry % number for number in range(300_000))
    first = b"PK\3\4" + bytes(26)
    place = len(first) + len(directory)
    far = b"PK\6\6" + struct.pack("<Q2H2I4Q", 44, 45, 45, 0, 0, 300_000, 300_000, len(directory), len(first))
    locator = b"PK\6\7" + struct.pack("<IQI", 0, place, 1)
    end = b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 1, 1, 54, len(first), 0)
    path.write_bytes(first + directory + far + locator + end)
    refused(path, "too many members")


@needs_proc
def test_a_large_scene_of_small_uniform_pictures(tmp_path):
    meta, pictures = parts()
    even = webp(np.zeros((2000, 2000, 4), np.uint8))
    several = {name: even for name in pictures if "centroids" not in name}
    text = json.dumps({**meta, "count": 4_000_000}).encode()
    data = archive(tmp_path / "bomb.sog", {"meta.json": text, **pictures, **several})
    assert len(data) < 100_000
    refused(tmp_path / "bomb.sog", "too many for")


@needs_proc
def test_a_text_of_one_endless_row(tmp_path):
    path = tmp_path / "a.ply"
    names = ["x", "y", "z", *(f"f_dc_{i}" for i in range(3)), "opacity", *(f"scale_{i}" for i in range(3))]
    names += [f"rot_{i}" for i in range(4)]
    head = ["ply", "format ascii 1.0", "element vertex 1", *(f"property float {name}" for name in names)]
    path.write_bytes("\n".join([*head, "end_header", ""]).encode() + b"1 " * 5_000_000)
    refused(path, "row of more than")


MEASURE = """
import json, logging
from pathlib import Path
from support.scene_files import RESET, memory
from sfumato.scene.files import load
logging.disable()
found = {}
for large in sorted(Path("large").iterdir()):
    load(Path("small") / large.name)
    RESET.write_text("5")
    before = memory("VmRSS")
    scene = load(large)
    taken = memory("VmHWM") - before
    found[large.name] = taken, sum(field.nbytes for field in scene.tensors().values()), large.stat().st_size
    del scene
print(json.dumps(found))
"""


@needs_proc
@pytest.mark.slow
def test_reading_takes_twice_the_scene_and_its_file_at_most(tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    files = {"a.ply": {}, "a.compressed.ply": {}, "a.splat": {}, "3.spz": {"version": 3}}
    files |= {"a.sog": {"palette_size": 256}, "a.glb": {}, "a.gltf": {}}
    if importlib.util.find_spec("zstandard"):
        files["4.spz"] = {"version": 4}
    if importlib.util.find_spec("pxr"):
        files["a.usdc"] = {}
    for folder, count in (("small", 20), ("large", 50_000)):
        (tmp_path / folder).mkdir()
        for name, options in files.items():
            save(blob(count, 3), tmp_path / folder / name, **options)
    # Large allocations are returned to the system at once, so that each new one is measured.
    found = json.loads(printed_by(MEASURE, tmp_path, MALLOC_MMAP_THRESHOLD_=str(1 << 18)))
    assert set(found) == set(files)
    assert not {
        name: peak for name, peak in found.items() if peak[0] >= 2 * (peak[1] + peak[2]) + (4 << 20)
    }, found
