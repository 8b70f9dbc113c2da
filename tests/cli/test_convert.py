"""`sfumato convert`: its output, and files that it does not overwrite."""

import os
import sys
from pathlib import Path

import pytest
import torch

from sfumato import load, load_tracked, save, save_dynamic
from sfumato.cli import main
from sfumato.scene.gaussians import Gaussians
from support.moving_scenes import brief_scene


@pytest.fixture
def scene(tmp_path):
    g = torch.Generator().manual_seed(0)
    shapes = [(30, 3), (30, 3), (30, 4), (30,), (30, 16, 3)]
    found = Gaussians(*(torch.randn(shape, generator=g) * 0.3 for shape in shapes))
    save(found, tmp_path / "in.ply")
    return found


def run(*words: object) -> int:
    return main(["convert", *map(str, words)])


@pytest.mark.parametrize("suffix", [".compressed.ply", ".ply", ".splat", ".glb", ".gltf"])
def test_writes_the_format_of_the_suffix(tmp_path, scene, suffix, capsys):
    out = tmp_path / f"out{suffix}"
    assert run(tmp_path / "in.ply", out) == 0
    assert len(load(out)) == 30 and "30 Gaussians of SH degree 3" in capsys.readouterr().out


@pytest.mark.slow
def test_reads_by_content_and_keeps_the_frame(tmp_path, scene):
    assert run(tmp_path / "in.ply", tmp_path / "middle.glb") == 0
    (tmp_path / "middle.glb").rename(tmp_path / "middle.ply")
    assert run(tmp_path / "middle.ply", tmp_path / "out.ply") == 0
    torch.testing.assert_close(load(tmp_path / "out.ply").means, scene.means)
    torch.testing.assert_close(load(tmp_path / "out.ply").sh, scene.sh)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_drops_degrees(tmp_path, scene, degree):
    assert run(tmp_path / "in.ply", tmp_path / "out.ply", "--sh-degree", degree) == 0
    got = load(tmp_path / "out.ply")
    assert torch.equal(got.sh, scene.sh[:, : (degree + 1) ** 2])
    assert run(tmp_path / "out.ply", tmp_path / "same.ply", "--sh-degree", 3) == 0
    assert load(tmp_path / "same.ply").sh_degree == degree


def test_a_dynamic_scene_is_converted_to_4dgs_and_back(tmp_path, capsys):
    moving = brief_scene()
    save_dynamic(moving, tmp_path / "run")
    assert run(tmp_path / "run", tmp_path / "a.4dgs", "--sh-degree", 0) == 0
    assert run(tmp_path / "a.4dgs", tmp_path / "back") == 0
    assert "6 of them moving" in capsys.readouterr().out
    back = load_tracked(tmp_path / "back")
    assert torch.equal(back.birth, moving.birth) and back.gaussians.sh_degree == 0
    assert run(tmp_path / "a.4dgs", tmp_path / "back") == 2
    assert "exists; give another name" in capsys.readouterr().err


def test_one_moment_of_a_dynamic_scene(tmp_path, capsys):
    moving = brief_scene()
    save_dynamic(moving, tmp_path / "run")
    assert run(tmp_path / "run", tmp_path / "a.ply", "--at", 0.05) == 0
    torch.testing.assert_close(load(tmp_path / "a.ply").means, moving.at(0.05).means)
    assert run(tmp_path / "run", tmp_path / "a.spz") == 2
    assert "hold no motion" in capsys.readouterr().err
    assert run(tmp_path / "run", tmp_path / "b.ply", "--at", 9) == 2
    assert "9 s: the scene lasts from 0 to 0.8 s" in capsys.readouterr().err
    for words in (["--spz-version", 3], ["--repair"]):
        assert run(tmp_path / "run", tmp_path / "a.4dgs", *words) == 2
        assert words[0] in capsys.readouterr().err
    assert run(tmp_path / "a.ply", tmp_path / "b.ply", "--at", 0) == 2
    assert "--at is for dynamic scenes" in capsys.readouterr().err


def test_existing_files_are_overwritten_only_on_request(tmp_path, scene, capsys):
    before = (tmp_path / "in.ply").read_bytes()
    assert run(tmp_path / "in.ply", tmp_path / "in.ply", "--sh-degree", 0) == 2
    assert "is the input itself" in capsys.readouterr().err
    os.link(tmp_path / "in.ply", tmp_path / "link.ply")
    assert run(tmp_path / "in.ply", tmp_path / "link.ply", "--sh-degree", 0) == 2
    (tmp_path / "other.ply").write_text("mine")
    assert run(tmp_path / "in.ply", tmp_path / "other.ply") == 2
    assert "exists; give another name, or --overwrite" in capsys.readouterr().err
    assert (tmp_path / "in.ply").read_bytes() == before and (tmp_path / "other.ply").read_text() == "mine"
    assert run(tmp_path / "in.ply", tmp_path / "in.ply", "--sh-degree", 0, "--overwrite") == 0
    assert load(tmp_path / "in.ply").sh_degree == 0


@pytest.mark.parametrize(
    ("source", "out", "more", "said"),
    [
        ("none.ply", "out.ply", [], "none.ply is missing"),
        ("in.ply", "out.obj", [], "unknown suffix '.obj'"),
        ("in.ply", "out.ksplat", [], "only read"),
        ("in.ply", "out.splat", ["--spz-version", "3"], "--spz-version is for .spz"),
        ("in.ply", "out.ply", ["--sh-degree", "4"], "sh-degree"),
        ("bad.ply", "out.ply", [], "not a scene file"),
    ],
)
def test_errors_are_one_line(tmp_path, scene, source, out, more, said, capsys):
    (tmp_path / "bad.ply").write_text("words")
    assert run(tmp_path / source, tmp_path / out, *more) == 2
    err = capsys.readouterr().err
    assert said in err and len(err.splitlines()) == 1
    assert not (tmp_path / out).exists()


def test_names_the_extra_that_usd_needs(tmp_path, scene, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pxr", None)
    assert run(tmp_path / "in.ply", tmp_path / "out.usdz") == 2
    assert "needs the package pxr, which is not installed; run: " in (err := capsys.readouterr().err)
    assert "install 'usd-core>=26.3'" in err
    # It is said before a large input is read, also by sfumato edit.
    read = "sfumato.scene.files.load_with_format"
    monkeypatch.setattr(read, lambda *given, **more: pytest.fail("the scene was read"))
    assert run(tmp_path / "in.ply", tmp_path / "out.usdz") == 2
    assert main(["edit", str(tmp_path / "in.ply"), "-o", str(tmp_path / "out.usda"), "--scale", "2"]) == 2
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert run(tmp_path / "in.ply", tmp_path / "out.spz", "--spz-version", "4") == 2
    assert "install 'zstandard>=0.22'" in capsys.readouterr().err
    assert run(tmp_path / "in.ply", tmp_path / "out.sog", "--spz-version", "3") == 2
    assert "--spz-version is for .spz files" in capsys.readouterr().err
    assert [p.name for p in Path(tmp_path).iterdir()] == ["in.ply"]


def test_levels_of_detail_are_written_into_a_folder_and_read_again(tmp_path, scene, capsys):
    out = tmp_path / "levels/lod-meta.json"
    assert run(tmp_path / "in.ply", out, "--sh-degree", 1) == 0
    assert "30 Gaussians" in capsys.readouterr().out
    assert run(tmp_path / "in.ply", out) == 2 and "exists" in capsys.readouterr().err
    assert run(tmp_path / "in.ply", out, "--spz-version", 3, "--overwrite") == 2
    assert run(out, tmp_path / "again.ply") == 0
    assert len(load(tmp_path / "again.ply")) == 30 and load(tmp_path / "again.ply").sh_degree == 1
