"""`sfumato splat`: a scene and metrics from a point cloud, and one-line errors."""

import json

import numpy as np
import pytest
from PIL import Image

from sfumato import load
from sfumato.cli import EXIT_WRONG, main
from support.surfaces import sphere


@pytest.fixture
def cloud(tmp_path):
    path = tmp_path / "cloud.xyz"
    np.savetxt(path, sphere(500, centre=(500_000.0, 4_000_000.0, 0.0)))
    return path


def run(*words):
    return main(["splat", *map(str, words)])


def test_writes_a_scene_and_metrics(tmp_path, cloud, capsys):
    out = tmp_path / "out" / "scene.ply"
    assert run(cloud, "-o", out) == 0
    scene, metrics = load(out), json.loads((out.parent / "metrics.json").read_text("utf-8"))
    last = capsys.readouterr().out.splitlines()[-1]
    assert f"{out}: 500 points, 500 Gaussians, 0 outliers left out" in last
    assert metrics["points"] == metrics["gaussians"] == len(scene) == 500
    assert scene.metadata.antialiased and scene.metadata.source == "Sfumato"
    assert np.abs(scene.means.double().numpy() + metrics["offset"] - np.loadtxt(cloud)).max() < 1e-6
    assert (metrics["colours"], metrics["normals"]) == ("height", "estimated")
    assert metrics["seconds"] > 0 and metrics["environment"]["cores"] >= 1


def test_the_same_cloud_gives_the_same_bits(tmp_path, cloud):
    for name in ("a", "b"):
        assert run(cloud, "-o", tmp_path / name / "scene.ply", "--max-points", 200) == 0
    first, second = ((tmp_path / name / "scene.ply").read_bytes() for name in ("a", "b"))
    assert first == second and len(load(tmp_path / "a" / "scene.ply")) <= 200


def test_several_files_become_one_scene_with_one_offset(tmp_path, cloud, capsys):
    points = np.loadtxt(cloud)
    np.savetxt(tmp_path / "a.xyz", points[:300])
    np.savetxt(tmp_path / "b.xyz", points[250:])
    assert run(cloud, "-o", tmp_path / "one/scene.ply") == 0
    assert run(tmp_path / "a.xyz", tmp_path / "b.xyz", "-o", tmp_path / "two/scene.ply") == 0
    one, two = (load(tmp_path / name / "scene.ply") for name in ("one", "two"))
    assert len(two) == 500 and one.metadata.offset == two.metadata.offset != (0, 0, 0)
    order = [np.lexsort(scene.means.numpy().T) for scene in (one, two)]
    assert np.array_equal(one.means.numpy()[order[0]], two.means.numpy()[order[1]])
    assert np.allclose(one.log_scales.numpy()[order[0]], two.log_scales.numpy()[order[1]], atol=1e-4)
    metrics = json.loads((tmp_path / "two/metrics.json").read_text("utf-8"))
    assert metrics["clouds"] == [str(tmp_path / "a.xyz"), str(tmp_path / "b.xyz")]
    assert run("-o", tmp_path / "none.ply") == EXIT_WRONG
    assert "CLOUD is missing" in capsys.readouterr().err


def test_overwrites_only_on_request(tmp_path, cloud, capsys):
    out = tmp_path / "scene.ply"
    (tmp_path / "metrics.json").write_text("{}")
    assert run(cloud, "-o", out) == EXIT_WRONG and not out.exists()
    assert "metrics.json exists; give --overwrite" in capsys.readouterr().err
    assert run(cloud, "-o", out, "--overwrite") == 0
    assert run(cloud, "-o", tmp_path / "another.ply") == 0, "its metrics replace those of the first"
    assert run(cloud, "-o", out) == EXIT_WRONG


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "is empty"),
        ("1 2 3\n", "holds one point"),
        ("1 2 3\n" * 9, "9 points, all in one place"),
        ("nan nan nan\n" * 3, "all 3 are NaN or infinite"),
    ],
)
def test_bad_clouds_are_named_in_one_line(tmp_path, capsys, text, words):
    path = tmp_path / "cloud.xyz"
    path.write_text(text)
    assert run(path, "-o", tmp_path / "scene.ply") == EXIT_WRONG
    said = capsys.readouterr().err
    assert words in said and str(path) in said and said.count("\n") == 1
    assert not (tmp_path / "scene.ply").exists()


def test_wrong_output_names_are_refused_before_reading(tmp_path, cloud, capsys):
    assert run(cloud, "-o", tmp_path / "scene.txt") == EXIT_WRONG
    assert run(tmp_path / "nothing.ply", "-o", tmp_path / "scene.ply") == EXIT_WRONG
    said = capsys.readouterr().err.splitlines()
    assert "known formats" in said[0] and "is missing" in said[1]


def test_its_scene_is_rendered_by_every_renderer(tmp_path, cloud):
    assert run(cloud, "-o", tmp_path / "scene.ply") == 0
    shown = {}
    for renderer in ("raster", "surface"):
        out = tmp_path / renderer
        words = ["render", tmp_path / "scene.ply", "-o", out, "--renderer", renderer]
        assert main([*map(str, words), "--seconds", "0.1", "--fps", "20", "--size", "48x36"]) == 0
        shown[renderer] = np.asarray(Image.open(next(out.glob("*.png"))), float)
    difference = np.abs(shown["raster"] - shown["surface"])
    # The renderers blend the same splats differently.
    assert 0 < difference.mean() < 8
