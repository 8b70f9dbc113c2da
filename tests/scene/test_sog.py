"""`.sog`: the meaning of its pixels, its three layouts, its older version, and its accuracy."""

import json
import logging
import shutil
import zipfile

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from sfumato.errors import ConfigError, FormatError, SfumatoError
from sfumato.maths.morton import morton_order
from sfumato.scene.files import load, recognised, save
from sfumato.scene.files.sog_palette import codebook, nearest_in, palette
from support.real_data import real_splats
from support.scene_files import blob, psnr, turns
from support.sog_files import pixels, write_chunk, write_folder


def in_order(scene):
    """The scene in the order of a `.sog` file."""
    return scene.select(torch.from_numpy(morton_order(scene.means.numpy())))


@pytest.mark.parametrize(("n", "degree"), [(1, 0), (2, 3), (700, 0), (700, 1), (700, 2), (700, 3)])
def test_round_trip_is_within_the_steps_of_the_format(tmp_path, n, degree):
    scene = blob(n, degree)
    save(scene, tmp_path / "a.sog")
    got, want = load(tmp_path / "a.sog"), in_order(scene)
    assert got.sh_degree == degree
    assert (got.means - want.means).abs().max() < 5e-4
    assert (got.log_scales - want.log_scales).abs().max() < 0.03
    assert (turns(got.quats) * turns(want.quats)).sum(1).abs().min() > 0.9998
    assert (got.opacities - want.opacities).abs().max() < 0.51 / 255
    assert (got.sh - want.sh).abs().max() < 0.03
    assert n < 3 or psnr(scene, got) > 40


def test_pixels_mean_what_the_format_says(tmp_path):
    scene = load(write_folder(tmp_path))
    # 65535 of the way from 0 to ln 3; 0 and 256 from -1 on.
    np.testing.assert_allclose(scene.means[0], [2, 1 - np.e, 0], atol=1e-6)
    np.testing.assert_allclose(scene.means[1, 1], -np.expm1(1 - 256 / 65535), rtol=1e-5)
    np.testing.assert_allclose(scene.log_scales, [[-3, -2, -1], [-1, -1, -3]])
    np.testing.assert_allclose(scene.quats[0], [1, 0, 0, 0], atol=0.01)
    np.testing.assert_allclose(scene.quats[1], [0.5**0.5, 0, 0.5**0.5, 0], atol=0.01)
    np.testing.assert_allclose(scene.sh[:, 0], [[0.5, 0.25, 0], [0, 0, 0.5]])
    np.testing.assert_allclose(scene.opacities, [0.2, 0.8], atol=1e-6)
    np.testing.assert_allclose(scene.sh[0, 1:], [[1, 2, 3], [0, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(scene.sh[1, 1:], [[0, 0, 0], [3, 3, 3], [0, 0, 0]])


def test_version_1_has_ranges_where_version_2_has_codebooks(tmp_path):
    scene = load(write_folder(tmp_path, version=1))
    np.testing.assert_allclose(scene.means[0], [2, 1 - np.e, 0], atol=1e-6)
    np.testing.assert_allclose(scene.log_scales[0], [-5, -5 + 1 / 255, -5 + 2 / 255], atol=1e-6)
    np.testing.assert_allclose(scene.sh[0, 0], [-1 + 4 / 255, -1 + 2 / 255, -1], atol=1e-6)
    np.testing.assert_allclose(scene.logit_opacities, [-4 + 51 * 8 / 255, -4 + 204 * 8 / 255], atol=1e-5)
    np.testing.assert_allclose(scene.sh[0, 1], [-1 + 2 / 255, -1 + 4 / 255, -1 + 6 / 255], atol=1e-6)


def test_a_codebook_without_its_first_entry_is_completed(tmp_path):
    path = write_folder(tmp_path)
    meta = json.loads(path.read_text())
    meta["scales"]["codebook"] = [None, *np.linspace(-2, 0, 255)]
    path.write_text(json.dumps(meta))
    np.testing.assert_allclose(load(path).log_scales[0, 0], -2 - 2 / 255, atol=1e-6)


def test_a_folder_is_written_and_read(tmp_path):
    scene = blob(300, 2)
    save(scene, tmp_path / "folder" / "meta.json")
    save(scene, tmp_path / "a.sog")
    folder, bundle = load(tmp_path / "folder" / "meta.json"), load(tmp_path / "a.sog")
    assert all(torch.equal(folder.tensors()[name], bundle.tensors()[name]) for name in folder.tensors())
    names = {path.name for path in (tmp_path / "folder").iterdir()}
    assert names == set(zipfile.ZipFile(tmp_path / "a.sog").namelist())
    assert len(names) == 8


def test_files_are_the_same_each_time(tmp_path):
    for name in ("a.sog", "b.sog"):
        save(blob(1000), tmp_path / name, palette_size=300)
    assert (tmp_path / "a.sog").read_bytes() == (tmp_path / "b.sog").read_bytes()


def test_is_recognised_by_its_content(tmp_path):
    save(blob(20, 1), tmp_path / "a.sog")
    (tmp_path / "a.sog").rename(tmp_path / "a.ply")
    assert recognised(tmp_path / "a.ply").name == ".sog"
    write_folder(tmp_path)
    shutil.copy(tmp_path / "meta.json", tmp_path / "other.txt")
    assert recognised(tmp_path / "other.txt").name == ".sog"
    with zipfile.ZipFile(tmp_path / "b.sog", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {
            "x.txt": b"other",
            **{p.name: p.read_bytes() for p in tmp_path.glob("*.webp")},
        }.items():
            archive.writestr(name, data)
        archive.write(tmp_path / "meta.json", "meta.json")
    assert len(load(tmp_path / "b.sog")) == 2, "members in any order, deflated, and others beside them"


def test_a_smaller_palette_is_a_smaller_file(tmp_path):
    scene = blob(1500)
    sizes, quality = [], []
    for size in (30, 400, 65536):
        save(scene, tmp_path / "a.sog", palette_size=size)
        sizes.append((tmp_path / "a.sog").stat().st_size)
        quality.append(psnr(scene, load(tmp_path / "a.sog")))
    assert sizes == sorted(sizes) and quality == sorted(quality)
    with zipfile.ZipFile(tmp_path / "a.sog") as archive:
        assert json.loads(archive.read("meta.json"))["shN"]["count"] == 1500
    for size in (0, 65537):
        with pytest.raises(ConfigError, match="palette_size"):
            save(scene, tmp_path / "a.sog", palette_size=size)


def test_streamed_scenes_give_the_finest_available_level(tmp_path, caplog):
    for name, n, degree in (("0_0", 30, 1), ("0_1", 20, 0), ("1_0", 12, 0), ("env", 5, 0)):
        write_chunk(tmp_path / name, n, degree)
    near = {"lods": {"0": {"file": 0, "offset": 0, "count": 20}, "1": {"file": 2, "offset": 0, "count": 5}}}
    far = {"lods": {"0": {"file": 1, "offset": 4, "count": 10}, "1": {"file": 2, "offset": 5, "count": 7}}}
    both = {"lods": {"0": {"file": 0, "offset": 20, "count": 10}}}
    meta = {
        "lodLevels": 2,
        "filenames": ["0_0/meta.json", "0_1/meta.json", "1_0/meta.json"],
        "tree": {"children": [near, {"children": [far]}, both]},
        "environment": "env/meta.json",
    }
    path = tmp_path / "lod-meta.json"
    path.write_text(json.dumps(meta))
    scene = load(path)
    assert len(scene) == 30 + 10 + 5 and scene.sh_degree == 1
    chunks = [load(tmp_path / name / "meta.json") for name in ("0_0", "0_1", "env")]
    means = [chunks[0].means, chunks[1].means[4:14], chunks[2].means]
    assert torch.equal(scene.means, torch.cat(means))
    assert (scene.sh[30:, 1:] == 0).all() and not caplog.records
    shutil.rmtree(tmp_path / "0_1")
    assert len(load(path)) == 12 + 5
    assert "0_1/meta.json is not there: level 1" in caplog.text
    shutil.rmtree(tmp_path / "1_0")
    with pytest.raises(FormatError, match="no level whose files are all there"):
        load(path)


def test_palettes_are_near_their_rows_and_full():
    rows = np.random.default_rng(0).standard_normal((4000, 9)).astype(np.float32)
    rows[:100] *= 20
    entries, labels = palette(rows, 600)
    assert 590 <= len(entries) <= 600 and labels.shape == (4000,)
    found, nearest = np.square(entries[labels] - rows).sum(), cKDTree(entries).query(rows)[0]
    assert found < 1.05 * np.square(nearest).sum(), "nearly all have the nearest entry"
    chosen = rows[np.random.default_rng(1).permutation(4000)[:600]]
    assert found < 0.6 * np.square(cKDTree(chosen).query(rows)[0]).sum()
    same, indices = palette(rows[:50], 600)
    assert np.array_equal(same[indices], rows[:50])
    alike, indices = palette(np.ones((900, 9), np.float32), 600)
    assert (alike[indices] == 1).all()


def test_codebooks_follow_the_distribution():
    near = np.random.default_rng(0).normal(0, 0.1, 50_000)
    numbers = np.concatenate([near, [30.0, -40.0]]).astype(np.float32)
    book = codebook(numbers)
    assert book.shape == (256,) and (np.diff(book) >= 0).all()
    found = book[nearest_in(book, numbers)]
    assert np.abs(found[-2:] - numbers[-2:]).max() < 1e-3, "outliers have separate entries"
    assert np.sqrt(np.square(found - numbers).mean()) < 0.0012
    assert np.allclose(book[nearest_in(book, numbers[:9])], numbers[:9], atol=0.02)
    for few in (np.array([3.0]), np.zeros(5), np.array([1.0, 2.0])):
        book = codebook(few)
        np.testing.assert_allclose(book[nearest_in(book, few)], few)


def test_refuses_to_save_unrepresentable_scenes(tmp_path):
    with pytest.raises(FormatError, match="1 and more Gaussians"):
        save(blob(0), tmp_path / "a.sog")
    scene = blob(5)
    scene.sh[3, 2, 1] = torch.inf
    with pytest.raises(SfumatoError, match="sh is NaN or infinite for 1 of 5"):
        save(scene, tmp_path / "a.sog")
    assert not list(tmp_path.iterdir())


def test_reads_folders_of_other_tools(caplog):
    logo = load(real_splats("playcanvas/logo_sog/meta.json"))
    assert len(logo) == 307128 and logo.sh_degree == 0
    assert logo.log_scales.max() < -0.9 and 0.3 < float(logo.opacities.mean()) < 0.9
    with caplog.at_level(logging.WARNING, "sfumato"):
        streamed = load(real_splats("playcanvas/playbot_streamed_sog/lod-meta.json"))
    assert "0_0/meta.json is not there: level 2" in caplog.text
    chunk = load(real_splats("playcanvas/playbot_streamed_sog/2_0/meta.json"))
    assert len(streamed) == len(chunk) == 125000 and streamed.sh_degree == 2
    low, high = streamed.means.amin(0), streamed.means.amax(0)
    bound = torch.tensor([[-1.033496, -1.083135, -1.039343], [1.03509, 0.05205518, 1.042389]])
    assert (low > bound[0]).all() and (high < bound[1]).all() and (high - low > 1).all()
    assert pixels(np.zeros((2, 3))).shape == (1, 2, 3)
