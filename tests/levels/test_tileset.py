"""3D Tiles: volumes hold what is in them, errors grow to the root, and the finest tiles are the scene."""

import itertools
import json

import numpy as np
import pytest

from sfumato import ConfigError, load, save_levels
from sfumato.levels import pyramid
from sfumato.levels.scene_source import source_of_scene
from sfumato.levels.tileset import write_tileset
from support.gltf_files import json_of
from support.small_scenes import small_scene

COUNT = 3000


@pytest.fixture
def tiles(tmp_path, monkeypatch):
    """A scene in 8 cells and 3 levels, and its tileset."""
    monkeypatch.setattr(pyramid, "COARSEST", 200)
    scene, path = small_scene(COUNT), tmp_path / "out/tileset.json"
    counts = write_tileset(source_of_scene(scene), path, cell=400)
    return scene, path, counts, json.loads(path.read_text())


def below(tile):
    yield tile
    for child in tile.get("children", []):
        yield from below(child)


def test_the_tiles_without_children_are_the_scene(tiles):
    scene, path, counts, tileset = tiles
    leaves = [tile for tile in below(tileset["root"]) if "children" not in tile]
    means = np.concatenate([load(path.parent / tile["content"]["uri"]).means.numpy() for tile in leaves])
    assert counts[0] == COUNT == len(means) and len(leaves) == 8
    assert np.abs(np.sort(means, axis=0) - np.sort(scene.means.numpy(), axis=0)).max() < 1e-3
    written = sum(len(load(file)) for file in (path.parent / "tiles").iterdir())
    assert written == sum(counts) and len(list((path.parent / "tiles").iterdir())) == 11


def test_volumes_hold_the_gaussians_in_the_frame_of_the_tileset(tiles):
    _, path, _, tileset = tiles
    for tile in below(tileset["root"]):
        if "content" not in tile:
            continue
        # Readers of tiles turn the y up of glTF files to z up.
        content = json_of(path.parent / tile["content"]["uri"])
        corners = [content["accessors"][0][name] for name in ("min", "max")]
        means = np.array([[x, -z, y] for x, y, z in itertools.product(*zip(*corners, strict=True))])
        box = np.array(tile["boundingVolume"]["box"])
        halves = box[[3, 7, 11]]
        assert (np.abs(means - box[:3]) <= halves * (1 + 1e-5)).all()


def test_it_is_a_tileset_of_version_1_1(tiles):
    tileset = tiles[3]
    assert tileset["asset"] == {"version": "1.1"}
    told = tileset["extensions"]["3DTILES_content_gltf"]
    # What CesiumJS needs to show Gaussians.
    needed = ["KHR_gaussian_splatting", "KHR_gaussian_splatting_compression_spz_2"]
    assert told["extensionsUsed"] == told["extensionsRequired"] == needed
    content = json_of(tiles[1].parent / tileset["root"]["children"][0]["content"]["uri"])
    assert content["extensionsUsed"] == content["extensionsRequired"] == needed
    for tile in [tileset, *below(tileset["root"])]:
        children = tile.get("children", [tile["root"]] if "root" in tile else [])
        assert all(0 <= child["geometricError"] <= tile["geometricError"] for child in children)
    assert all(tile["refine"] == "REPLACE" for tile in below(tileset["root"]))
    assert tileset["root"]["geometricError"] > 4
    assert {tile["geometricError"] for tile in below(tileset["root"]) if "children" not in tile} == {0.0}


def test_writing_again_replaces_the_tiles(tiles):
    _, path, _, _ = tiles
    save_levels(small_scene(20), path)
    assert [tile.name for tile in (path.parent / "tiles").iterdir()] == ["0_0.glb"]
    assert sorted(one.name for one in path.parent.iterdir()) == ["tiles", "tileset.json"]
    with pytest.raises(ConfigError):
        write_tileset(source_of_scene(small_scene(9)), path.parent / "tiles.json")


def test_a_link_in_place_of_the_tiles_is_not_followed(tiles, tmp_path):
    scene, path, _, _ = tiles
    elsewhere = tmp_path / "elsewhere"
    (path.parent / "tiles").rename(elsewhere)
    (path.parent / "tiles").symlink_to(elsewhere)
    before = {file.name: file.read_bytes() for file in elsewhere.iterdir()}
    with pytest.raises(ConfigError, match="is a link"):
        write_tileset(source_of_scene(scene), path, cell=400)
    assert {file.name: file.read_bytes() for file in elsewhere.iterdir()} == before
    assert path.is_file()
