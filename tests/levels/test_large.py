"""Scenes in cells: every Gaussian once, cells of bounded size, exact counts, and the same as in memory."""

import numpy as np
import pytest
import torch

from sfumato import FormatError, Metadata, Scene, simplify
from sfumato.levels.cells import cell_tree, depth_for, divided
from sfumato.levels.large import simplify_source
from sfumato.levels.scene_source import BLOCK, source_of_file, source_of_scene
from sfumato.scene.files import load, save
from support.small_scenes import small_scene


def sorted_rows(gaussians):
    """All numbers of Gaussians, one row each, in an order of their own."""
    rows = np.concatenate([t.numpy().reshape(len(gaussians), -1) for t in gaussians.tensors().values()], 1)
    return rows[np.lexsort(rows.T)]


def test_cells_hold_every_gaussian_once_and_are_balanced():
    scene = small_scene(1000)
    with divided(source_of_scene(scene).blocks, 1000, 130) as store:
        parts = [store.read(cell) for cell in range(store.tree.num_cells)]
        assert store.tree.num_cells == 8 and store.counts.tolist() == [len(part) for part in parts]
        assert store.counts.min() >= 120 and store.counts.sum() == 1000
        joined = type(scene)(**{n: torch.cat([p.tensors()[n] for p in parts]) for n in scene.tensors()})
        assert np.array_equal(sorted_rows(joined), sorted_rows(scene))
        for cell, part in enumerate(parts):
            assert (store.tree.cells_of(part.means.numpy()) == cell).all()


def test_cells_of_coincident_centres():
    tree = cell_tree(np.zeros((100, 3), np.float32), 3)
    assert set(tree.cells_of(np.zeros((5, 3), np.float32))) == {0}
    assert [depth_for(count, 10) for count in (1, 10, 11, 40, 41)] == [0, 0, 1, 2, 3]


def test_a_source_must_hold_what_it_announces():
    with pytest.raises(FormatError, match="announced"), divided(source_of_scene(small_scene(9)).blocks, 8, 4):
        pass


@pytest.mark.parametrize("wanted", [0.5, 2500, 100])
def test_a_scene_in_cells_becomes_as_many_as_asked(tmp_path, wanted):
    scene = Scene(**small_scene(6000).tensors(), metadata=Metadata(metres_per_unit=2.0))
    save(scene, tmp_path / "scene.ply")
    source, done = source_of_file(tmp_path / "scene.ply"), []
    out = tmp_path / "out/small.ply"
    count = simplify_source(source, wanted, out, cell=1600, report=lambda *c: done.append(c))
    made = load(out)
    assert len(made) == count == (3000 if wanted == 0.5 else wanted)
    assert made.metadata.metres_per_unit == 2.0 and made.sh.shape == (count, 4, 3)
    assert done[-1] == (6000, 6000) and [path.name for path in out.parent.iterdir()] == ["small.ply"]


def test_one_cell_is_the_same_as_in_memory(tmp_path):
    scene = small_scene(300)
    simplify_source(source_of_scene(scene), 70, tmp_path / "small.ply")
    assert np.array_equal(sorted_rows(load(tmp_path / "small.ply")), sorted_rows(simplify(scene, 70)))


def test_a_ply_is_read_in_blocks(tmp_path, monkeypatch):
    scene = small_scene(5000)
    save(scene, tmp_path / "scene.ply")
    monkeypatch.setattr("sfumato.levels.scene_source.BLOCK", 1999)
    source = source_of_file(tmp_path / "scene.ply")
    parts = list(source.blocks())
    assert [len(part) for part in parts] == [1999, 1999, 1002] and source.count == 5000
    assert torch.equal(torch.cat([part.sh for part in parts]), scene.sh)
    assert BLOCK > 1999


def test_broken_values_are_refused_in_any_block(tmp_path):
    scene = small_scene(3000)
    save(scene, tmp_path / "scene.ply")
    data = bytearray((tmp_path / "scene.ply").read_bytes())
    data[-4:] = np.float32(np.nan).tobytes()
    (tmp_path / "scene.ply").write_bytes(data)
    with pytest.raises(FormatError, match="quats"):
        simplify_source(source_of_file(tmp_path / "scene.ply"), 0.5, tmp_path / "small.ply")
    assert not (tmp_path / "small.ply").exists()
