"""`.sog` scenes that are broken or hostile: refused, and no more decompressed than declared."""

import io
import json
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfumato.errors import FormatError
from sfumato.scene.files import load, save, sog
from sfumato.scene.files.sog_images import decode
from support.scene_files import assert_scene_or_format_error, blob, changed, changes
from support.sog_files import parts, pixels, webp, write_chunk, write_folder

EXAMPLES = 300


def edited(folder, **parts):
    """A folder with changed parts of its description; None removes one."""
    path = write_folder(folder)
    meta = json.loads(path.read_text())
    for name, value in parts.items():
        key, _, field = name.partition("__")
        target = meta[key] if field else meta
        target[field or key] = value
        if value is None:
            del target[field or key]
    path.write_text(json.dumps(meta))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 3}, r"version 3 of \.sog"),
        ({"version": "2"}, r"version '2'"),
        ({"count": 0}, r"count of Gaussians 0"),
        ({"count": 3}, r"means_l\.webp has 2 pixels for 3 Gaussians"),
        ({"count": 10**8}, r"100000000 Gaussians, too many for"),
        ({"count": 1e3}, r"count of Gaussians 1000\.0"),
        ({"scales": None}, r"has no scales"),
        ({"means__mins": [0, 0]}, r"means\.mins that are not 3 plain numbers"),
        ({"means__mins": [0, 0, "x"]}, r"means\.mins"),
        ({"means__maxs": [0, 0, 1e30]}, r"means\.maxs"),
        ({"means__mins": [0, -500, 0]}, r"means \(y\) is NaN or infinite"),
        ({"scales__codebook": [0, 1]}, r"scales beyond the 2 entries"),
        ({"scales__codebook": [99, 99, 99]}, r"scales exceed exp\(40\)"),
        ({"sh0__codebook": []}, r"sh0\.codebook that are not 1 to 256"),
        ({"quats__files": []}, r"does not name picture 1 of quats"),
        ({"quats__files": ["../quats.webp"]}, r"not a plain file name"),
        ({"quats__files": ["gone.webp"]}, r"gone\.webp is missing"),
        ({"quats__files": ["meta.json"]}, r"meta\.json is not a WebP picture"),
        ({"shN__bands": 2}, r"palette of 192 x 1 for 4 rows of degree 2"),
        ({"shN__count": 65}, r"palette of 192 x 1 for 65 rows"),
        ({"shN__count": 3}, r"SH beyond the 3 rows"),
    ],
)
def test_refuses_a_description_that_does_not_fit(tmp_path, changes, message):
    with pytest.raises(FormatError, match=message) as error:
        load(edited(tmp_path, **changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"means" "quats"', r"is not JSON"),
        (b'{"means": "quats", "x": ' + b"[" * 100_000, r"is not JSON"),
        (b'{"means": "quats"}', r"has no means"),
        (b'{"means": "quats", "version": 2, "count": 1} ' + b" " * 2**20, r"more than the 1048576 bytes"),
        (b'{"lodLevels": 1, "filenames": ["../x/meta.json"], "tree": {}}', r"do not lie below"),
        (b'{"lodLevels": 1, "filenames": ["/x/meta.json"], "tree": {}}', r"do not lie below"),
        (b'{"lodLevels": 1, "filenames": [], "tree": 3}', r"broken tree"),
        (b'{"lodLevels": 1, "filenames": [], "tree": {"lods": {"0": {"file": 0}}}}', r"broken piece"),
        (b'{"lodLevels": 1, "filenames": [], "tree": {}}', r"no Gaussians in its tree"),
    ],
)
def test_refuses_texts_that_describe_nothing(tmp_path, text, message):
    (tmp_path / "meta.json").write_bytes(text)
    with pytest.raises(FormatError, match=message):
        load(tmp_path / "meta.json")


@pytest.mark.parametrize("runs", [[(0, 31)], [(0, 20), (19, 5)], [(5, 5), (5, 5)]])
def test_refuses_overlapping_or_missing_chunks(tmp_path, runs):
    write_chunk(tmp_path / "0_0", 30, 0)
    tree = {"children": [{"lods": {"0": {"file": 0, "offset": at, "count": n}}} for at, n in runs]}
    meta = {"lodLevels": 1, "filenames": ["0_0/meta.json"], "tree": tree}
    (tmp_path / "lod-meta.json").write_text(json.dumps(meta))
    with pytest.raises(FormatError, match=r"that overlap|not in it"):
        load(tmp_path / "lod-meta.json")
    meta["filenames"] = ["lod-meta.json"]
    (tmp_path / "lod-meta.json").write_text(json.dumps(meta))
    with pytest.raises(FormatError):
        load(tmp_path / "lod-meta.json")


def test_refuses_invalid_pictures(tmp_path):
    path = write_folder(tmp_path)
    good = (tmp_path / "quats.webp").read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 4), np.uint8)
    lossy = webp(noise, lossless=False)
    untagged = webp(pixels([[0, 0, 0, 9], [0, 0, 0, 252]]))
    bad = {
        r"lossy WebP": lossy,
        r"not a WebP picture": b"\x89PNG" + good,
        r"broken WebP": good[:-8],
        r"without lossless contents": good[:20],
        r"1 quaternions that do not say": untagged,
        r"1000000 pixels|1000 x 1000": webp(np.zeros((1000, 1000, 4), np.uint8)),
    }
    for message, data in bad.items():
        (tmp_path / "quats.webp").write_bytes(data)
        with pytest.raises(FormatError, match=message):
            load(path)


@pytest.mark.slow
def test_refuses_bombs_without_unpacking_them(tmp_path):
    meta, pictures = parts()
    # The largest possible picture needs a few bytes in the file, and a gigabyte of memory.
    bits = 16382 | 16382 << 14
    large = b"\x2f" + struct.pack("<I", bits) + pictures["quats.webp"][25:]
    riff = b"WEBPVP8L" + struct.pack("<I", len(large)) + large
    image = b"RIFF" + struct.pack("<I", len(riff)) + riff
    bombs = {
        "a picture": {**pictures, "quats.webp": image, "meta.json": json.dumps(meta).encode()},
        "a member": {**pictures, "quats.webp": bytes(300_000_000), "meta.json": json.dumps(meta).encode()},
        "a text": {"meta.json": b" " * 300_000_000},
    }
    for what, members in bombs.items():
        with zipfile.ZipFile(tmp_path / "bomb.sog", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        tracemalloc.start()
        with pytest.raises(FormatError, match=r"are the most|more than the"):
            load(tmp_path / "bomb.sog")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 16_000_000, what


def test_refuses_invalid_archives(tmp_path):
    path = tmp_path / "a.sog"
    save(blob(20, 1), path)
    good = path.read_bytes()
    for data, message in (
        (good[:-30], "broken zip archive"),
        (good[:100], "broken zip archive"),
        (good.replace(b"meta.json", b"mexa.json"), r"no 'meta\.json' in it"),
    ):
        path.write_bytes(data)
        with pytest.raises(FormatError, match=message):
            load(path)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(2000):
            archive.writestr(f"{number:032d}", b"")
    with pytest.raises(FormatError, match="too many members"):
        load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("meta.json", json.dumps(parts()[0]))
    with pytest.raises(FormatError, match=r"no 'means_l\.webp' in it"):
        load(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("meta.json", b"{}")
    with pytest.raises(FormatError, match="other than deflate"):
        load(path)


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """A folder with the parts of a scene, and the bytes of an archive of them."""
    folder = tmp_path_factory.mktemp("valid")
    write_folder(folder)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as bundle:
        for part in sorted(folder.iterdir()):
            bundle.write(part, part.name)
    return folder, archive.getvalue()


FUZZ = {
    "max_examples": EXAMPLES,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}


@settings(**FUZZ)
@given(edits=changes)
@pytest.mark.slow
def test_any_change_of_an_archive_loads_or_is_a_format_error(valid, edits):
    path = valid[0] / "a.sog"
    path.write_bytes(changed(valid[1], edits))
    assert_scene_or_format_error(load, path)


@settings(**FUZZ)
@given(edits=changes, version=st.sampled_from([1, 2]))
@pytest.mark.slow
def test_any_change_of_a_description_loads_or_is_a_format_error(valid, edits, version):
    path = valid[0] / "other.json"
    path.write_bytes(changed(json.dumps(parts(version)[0]).encode(), edits))
    assert_scene_or_format_error(sog.load, path)


@settings(**FUZZ)
@given(edits=changes, which=st.sampled_from(sorted(parts()[1])))
@pytest.mark.slow
def test_any_change_of_a_picture_is_decoded_or_is_a_format_error(edits, which):
    data = changed(parts()[1][which], edits)
    try:
        picture = decode(data, "a picture", 100_000)
    except FormatError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert picture.ndim == 3 and picture.shape[2] == 4 and picture.size <= 400_000
