"""Streamed SOG: level 0 is the scene, the next a quarter of it, and nothing half-written stays."""

import errno
import json
import shutil

import numpy as np
import pytest

from sfumato import ConfigError, FormatError, SfumatoError, load, save, save_levels
from sfumato.levels import pyramid
from sfumato.levels.scene_source import of_degree, source_of_file, source_of_scene
from sfumato.levels.streamed_sog import write_streamed
from sfumato.scene.files import sog
from sfumato.scene.files.sog_levels import level_parts, read_index
from support.small_scenes import small_scene

COUNT, CELL = 3000, 400


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A scene in 8 cells and 3 levels, the folder of its files, and the counts of its levels."""
    scene, folder = small_scene(COUNT), tmp_path_factory.mktemp("written")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyramid, "COARSEST", 200)
        counts = write_streamed(source_of_scene(scene), folder / "lod-meta.json", cell=CELL)
    return scene, folder, counts


@pytest.fixture
def levels(written, tmp_path, monkeypatch):
    """The same scene and counts, and the description in a copy of the folder."""
    monkeypatch.setattr(pyramid, "COARSEST", 200)
    scene, folder, counts = written
    return scene, shutil.copytree(folder, tmp_path / "out") / "lod-meta.json", counts


def test_the_finest_level_is_the_scene_and_each_other_has_a_quarter(levels):
    scene, path, counts = levels
    index = read_index(path)
    assert counts == [index.count(level) for level in index.levels] and counts[0] == COUNT
    assert [len(node.pieces) for node in index.nodes] == [3] * 8
    for node in index.nodes:
        sizes = [node.pieces[level].count for level in range(3)]
        assert sizes[1:] == [size // 4 for size in sizes[:-1]]
    read = load(path)
    assert len(read) == COUNT and read.sh.shape == scene.sh.shape
    # Steps of 16 bits; nothing is lost, doubled or moved.
    given, found = (np.sort(one.means.numpy(), axis=0) for one in (scene, read))
    assert np.abs(given - found).max() < 1e-3


def test_bounds_hold_the_gaussians_of_all_levels_of_a_node(levels):
    _, path, _ = levels
    index = read_index(path)
    for level in index.levels:
        parts = {i: load(path.parent / name).means.numpy() for i, name in enumerate(index.names)}
        for node in index.nodes:
            piece = node.pieces[level]
            means = parts[piece.file][piece.start : piece.start + piece.count]
            low, high = node.bounds
            assert (means >= np.array(low) - 1e-3).all() and (means <= np.array(high) + 1e-3).all()


def test_a_file_covers_four_of_the_next_finer_level(levels):
    _, path, _ = levels
    index = read_index(path)
    files = [[node.pieces[level].file for node in index.nodes] for level in range(3)]
    assert [len(set(one)) for one in files] == [8, 2, 1] and len(index.names) == 11
    assert files[1] == [files[1][0]] * 4 + [files[1][4]] * 4
    assert {index.names[file] for file in files[1]} == {"1_0/meta.json", "1_1/meta.json"}


def test_it_is_read_again_file_by_file(levels):
    scene, path, _ = levels
    source = source_of_file(path)
    parts = list(source.blocks())
    assert source.count == COUNT == sum(map(len, parts)) and len(parts) == 8
    assert source.num_coefficients == scene.sh.shape[1]
    assert next(iter(of_degree(source, 0).blocks())).sh.shape[1] == 1
    coarse = list(level_parts(read_index(path), 2, sog.load_folder))
    assert len(coarse) == 1 and len(coarse[0]) == read_index(path).count(2)


def test_writing_again_removes_the_chunks_of_before(levels):
    _, path, _ = levels
    (path.parent / "0_7/mine.txt").write_text("kept")
    save_levels(small_scene(50), path)
    names = sorted(one.name for one in path.parent.iterdir())
    assert names == ["0_0", "0_7", "lod-meta.json"] and len(load(path)) == 50
    assert [one.name for one in (path.parent / "0_7").iterdir()] == ["mine.txt"]


def test_a_full_disk_leaves_the_scene_of_before(levels, monkeypatch):
    _, path, _ = levels

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = sorted(path.parent.rglob("*"))
    monkeypatch.setattr(sog, "encoded", full)
    with pytest.raises(SfumatoError, match="no space left"):
        save_levels(small_scene(50), path)
    assert sorted(path.parent.rglob("*")) == before and len(load(path)) == COUNT


def test_names_and_empty_scenes_are_refused(tmp_path):
    scene = small_scene(9)
    with pytest.raises(ConfigError, match=r"lod-meta\.json"):
        save_levels(scene, tmp_path / "lod.json")
    with pytest.raises(FormatError, match="not 0"):
        save_levels(scene.select(scene.means[:, 0] > 1e9), tmp_path / "lod-meta.json")
    with pytest.raises(FormatError, match="save_levels"):
        save(scene, tmp_path / "lod-meta.json")
    assert not (tmp_path / "lod-meta.json").exists()


PIECE = {"0": {"file": 0, "offset": 0, "count": 1}}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("version", 2, "version 2"),
        ("counts", [COUNT, 1, 1], "not those of its tree"),
        ("environment", "../meta.json", "not below it"),
        ("tree", {"bound": {"min": [0, 0, 0], "max": [0, -1, 0]}, "lods": PIECE}, "end before they begin"),
        ("tree", {"bound": {"min": [0, 0], "max": 3}, "lods": PIECE}, "broken bounds"),
        ("tree", {"lods": {"0": {"file": 99, "offset": 0, "count": 1}}}, "broken piece"),
    ],
)
def test_broken_descriptions_are_refused(levels, key, value, message):
    _, path, _ = levels
    meta = json.loads(path.read_text()) | {key: value}
    path.write_text(json.dumps(meta))
    with pytest.raises(FormatError, match=message):
        load(path)


def test_num_levels():
    assert [pyramid.num_levels(n) for n in (1, 65_536, 65_537, 262_144, 262_145, 20_000_000)] == [
        1,
        1,
        2,
        2,
        3,
        6,
    ]
