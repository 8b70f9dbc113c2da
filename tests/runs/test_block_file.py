"""The file of a block."""

import json

import pytest

import sfumato
from sfumato.capture.dataset import load_capture
from sfumato.errors import ConfigError, FormatError
from sfumato.runs.block_file import SPLIT_RULE, read_block, write_block
from support.crowd import crowd


def test_a_block_has_its_photographs_and_surroundings(data, tmp_path):
    around = tmp_path / "around.ply"
    sfumato.save(crowd([0.2, 0.7], [0.1, 0.3]), around)
    write_block(tmp_path / "block.json", {"c.png": 0.5}, around)
    block = read_block(tmp_path / "block.json")
    assert len(block.scene_around()) == 2
    whole = load_capture(data)
    part = block.of(whole)
    assert [view.name for view in part.views] == ["c.png"] and not part.test_views
    assert part.view_weights == (0.5,) and whole.view_weights is None
    assert part.split_rule == SPLIT_RULE and len(part.points) == len(whole.points)


@pytest.mark.parametrize("name", ["a.png", "z.png"])
def test_photographs_that_are_held_out_or_missing_are_refused(data, tmp_path, name):
    write_block(tmp_path / "block.json", {"b.png": 1.0, name: 0.5})
    block = read_block(tmp_path / "block.json")
    assert block.scene_around() is None
    with pytest.raises(ConfigError, match=name):
        block.of(load_capture(data))


@pytest.mark.parametrize(
    "change",
    [
        {"views": []},
        {"views": [1]},
        {"version": 2},
        {"weights": []},
        {"weights": [0.0]},
        {"weights": ["1"]},
        {"weights": 3},
        {"views": ["a.png", "a.png"], "weights": [1.0, 1.0]},
        {"surroundings": 3},
        {"surroundings": {"file": "../around.ply", "sha256": ""}},
        {"surroundings": {"file": "other.ply", "sha256": ""}},
    ],
)
def test_a_damaged_file_is_refused(tmp_path, change):
    path = tmp_path / "block.json"
    (tmp_path / "other.ply").write_bytes(b"ply")
    write_block(path, {"a.png": 1.0})
    document = json.loads(path.read_text())
    del document["digest"]
    path.write_text(json.dumps(document | change))
    with pytest.raises(FormatError):
        read_block(path)


def test_other_surroundings_than_before_are_refused(tmp_path):
    around = tmp_path / "around.ply"
    sfumato.save(crowd([0.2], [0.1]), around)
    write_block(tmp_path / "block.json", {"a.png": 1.0}, around)
    sfumato.save(crowd([0.3], [0.1]), around)
    with pytest.raises(FormatError, match=r"around\.ply is not the file"):
        read_block(tmp_path / "block.json")
