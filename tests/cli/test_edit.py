"""`sfumato edit`: edits in order, and errors of one line."""

import json

import pytest
import torch

from sfumato.cli import main
from sfumato.scene import changes
from sfumato.scene.files import load, save
from sfumato.scene.gaussians import Gaussians
from support.command_line import says
from support.commands import train


@pytest.fixture
def scene(tmp_path):
    n, generator = 50, torch.Generator().manual_seed(0)
    gaussians = Gaussians(
        torch.randn(n, 3, generator=generator),
        torch.full((n, 3), -1.0),
        torch.ones(n, 4),
        torch.zeros(n),
        torch.randn(n, 16, 3, generator=generator),
    )
    save(gaussians, tmp_path / "scene.ply")
    return tmp_path / "scene.ply"


def edit(*words):
    return main(["edit", *map(str, words)])


def test_edits_are_done_in_the_order_given(scene, tmp_path):
    out = tmp_path / "out.ply"
    assert edit(scene, "--translate", "-1,0,0", "-o", out, "--rotate=0,0,90", "--degree", 1) == 0
    expected = changes.transformed(
        load(scene), changes.rotation((0, 0, 90)) @ changes.translation((-1, 0, 0))
    )
    torch.testing.assert_close(load(out).means, expected.means)
    assert load(out).sh_degree == 1
    assert edit(scene, "--rotate", "0,0,90", "--translate", "-1,0,0", "-o", out, "--overwrite") == 0
    expected = changes.transformed(
        load(scene), changes.translation((-1, 0, 0)) @ changes.rotation((0, 0, 90))
    )
    torch.testing.assert_close(load(out).means, expected.means)


def test_inputs_are_joined_and_run_folders_have_a_scene(scene, tmp_path):
    (tmp_path / "run").mkdir()
    scene.rename(tmp_path / "run/scene.ply")
    out = tmp_path / "out.ply"
    assert (
        edit(tmp_path / "run", tmp_path / "run/scene.ply", "--add", tmp_path / "run/scene.ply", "-o", out)
        == 0
    )
    assert len(load(out)) == 150


def test_selections_and_where(scene, tmp_path, capsys):
    out = tmp_path / "out.ply"
    box = "box:0,-9,-9,9,9,9"
    inside = int((load(scene).means[:, 0] >= 0).sum())
    assert edit(scene, "-o", out, "--where", f"not {box}", "--translate", "-5,0,0", "--delete", box) == 0
    assert len(load(out)) == 50 - inside and load(out).means[:, 0].max() < -5
    assert f"delete: 50 -> {50 - inside} Gaussians" in capsys.readouterr().out
    assert edit(scene, "-o", out, "--clean", "--overwrite") == 0
    assert edit(scene, "-o", out, "--clean=reach=9,members=1", "--overwrite") == 0
    assert len(load(out)) == 50


def test_a_saved_script_repeats_the_edits(scene, tmp_path):
    once, again, script = tmp_path / "once.ply", tmp_path / "again.ply", tmp_path / "edits.json"
    words = ("--keep", "sphere:0,0,0,1.5", "--scale", 2, "--add", scene)
    assert edit(scene, "-o", once, *words, "--save-script", script) == 0
    assert [one["do"] for one in json.loads(script.read_text())["edits"]] == ["keep", "scale", "add"]
    assert edit(scene, "-o", again, "--script", script) == 0
    assert once.read_bytes() == again.read_bytes()


def test_existing_files_are_overwritten_only_on_request(cli, scene, tmp_path):
    before = scene.read_bytes()
    says(cli.complains(["edit", str(scene), "-o", str(scene), "--scale", "2"]), "exists", "--overwrite")
    assert scene.read_bytes() == before
    assert edit(scene, "-o", scene, "--scale", 2, "--overwrite") == 0
    assert scene.read_bytes() != before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--keep"], ["--keep needs a value"]),
        (["--keep", "cone:1"], ["--keep", "no selection 'cone'", "sphere"]),
        (["--keep", "box:1,2"], ["--keep box takes"]),
        (["--rotate", "0,a,0"], ["--rotate", "'a' is not a number"]),
        (["--scale", "-1"], ["scale", "above 0"]),
        (["--scale", "1,2"], ["--scale takes"]),
        (["--transform", "1,2,3"], ["--transform takes 16"]),
        (["--clean=speed=3"], ["--clean", "no 'speed'"]),
        (["--where", "largest:1"], ["--where", "must be followed"]),
        (["--where", "largest:1", "--keep", "largest:1"], ["join the two"]),
        (["--script", "nix.json"], ["nix.json"]),
        (["--add", "nix.ply"], ["nix.ply", "missing"]),
        (["--delete", "largest:1000"], ["no Gaussians are left"]),
        (["--twist", "3"], ["--twist"]),
    ],
)
def test_wrong_arguments_are_one_line(cli, scene, tmp_path, words, said):
    out = tmp_path / "out.ply"
    says(cli.complains(["edit", str(scene), "-o", str(out), *words]), *said)
    assert not out.exists()


def test_wrong_files_are_one_line(cli, scene, tmp_path):
    out = str(tmp_path / "out.ply")
    says(cli.complains(["edit", "-o", out]), "IN")
    says(cli.complains(["edit", str(scene)]), "--out")
    for wrong in ("--dlete", "-delete", "--dlete=floaters"):
        says(cli.complains(["edit", str(scene), "-o", out, wrong, "floaters"]), "perhaps you meant --delete")
    says(cli.complains(["edit", str(scene), "-o", out, "--paint", "red"]), "3 numbers with commas")
    says(cli.complains(["edit", str(tmp_path / "nix.ply"), "-o", out]), "nix.ply", "missing")
    says(cli.complains(["edit", str(tmp_path), "-o", out, "--overwrite", "--keep", "nix"]), "nix")
    says(cli.complains(["edit", str(scene), "-o", str(tmp_path / "out.xyz")]), "out.xyz", ".ply")
    (tmp_path / "empty").mkdir()
    says(cli.complains(["edit", str(tmp_path / "empty"), "-o", out]), "without scene.ply")


def test_help_names_every_edit_and_selection(capsys):
    from sfumato.edit.script import EDITS
    from sfumato.edit.selections import TESTS

    with pytest.raises(SystemExit):
        edit("--help")
    said = capsys.readouterr().out
    assert all(f"--{name} " in said for name in EDITS)
    assert all(f"  {name}" in said for name in TESTS)


@pytest.mark.slow
def test_clean_uses_the_photographs_of_a_run(data, tmp_path, capsys):
    run, out = tmp_path / "run", tmp_path / "out.ply"
    assert train(data, run, "--steps", "4", "--test-every", "2") == 0
    assert main(["eval", str(run), "--envelope"]) == 0
    told = json.loads((run / "envelope.json").read_text("utf-8"))["floaters"]
    assert told["psnr"] > 0 and told["psnr_without"] > 0
    whole, count = len(load(run / "scene.ply")), told["count"]
    # With measured trust, and with coverage only.
    for remove in ((), ("trust.npz",)):
        for name in remove:
            (run / name).unlink()
        capsys.readouterr()
        words = ("--translate", "1,0,0", "--clean", "--overwrite")
        assert edit(run / "scene.ply", "-o", out, *words) == 0
        said = capsys.readouterr().out
        assert f"{count:,} floaters by support" in said and "by isolation" not in said
        assert len(load(out)) == whole - count
    assert edit(run, "-o", out, "--clean=members=1", "--overwrite") == 0
    assert "by isolation" in capsys.readouterr().out and len(load(out)) == whole
