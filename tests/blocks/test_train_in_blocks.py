"""Whole runs in blocks, in this process."""

import json
import signal

import pytest

import sfumato
from sfumato.blocks import blocked_run
from sfumato.blocks.block_task import is_finished
from sfumato.blocks.seen_positions import PositionImages
from sfumato.cli import main
from sfumato.runs import first_state, run
from sfumato.runs.folder import RunFolder
from support.capture_folders import NAMES, colmap_folder
from support.commands import OPTIONS, signalled_at, spied, train

pytestmark = pytest.mark.slow
TWO = (*OPTIONS, "--blocks", "2")


def content(out, *names):
    return [(out / name).read_bytes() for name in ("scene.ply", *names)]


def test_one_block_is_the_run_without_blocks(data, tmp_path):
    plain, auto = tmp_path / "plain", tmp_path / "auto"
    assert train(data, plain, *OPTIONS) == 0
    assert train(data, auto, *OPTIONS, "--blocks", "auto") == 0
    assert content(plain) == content(auto)
    options = [json.loads((out / "config.json").read_text()) for out in (plain, auto)]
    assert options[0] == options[1]
    assert not (auto / "blocks").exists() and not (auto / "coarse").exists()


def test_a_run_in_blocks_fills_its_folder_and_every_block_is_a_run(data, tmp_path, capsys):
    out = tmp_path / "run"
    assert train(data, out, *TWO) == 0
    folders = [out / "coarse", out / "blocks/block_00", out / "blocks/block_01"]
    for folder in folders:
        assert RunFolder(folder).read_training()["steps"] in (3, 8)
    metrics = json.loads((out / "metrics.json").read_text())
    assert [row["name"] for row in metrics["blocks"]] == ["coarse", "block_00", "block_01"]
    assert metrics["train"]["steps"] == 19 and metrics["split"]["test"] == ["a.png"]
    assert set(metrics["seams"]) == {"psnr_seams", "psnr_elsewhere", "share_of_pixels"}
    assert len(sfumato.load(out / "scene.ply")) == metrics["train"]["gaussians"] > 0
    assert (out / "scene.html").is_file() and "Blocks" in (out / "report.html").read_text()
    assert "training a coarse model of the whole scene" in capsys.readouterr().out
    # A block is an ordinary run: alone, from its own file, it has the same bits.
    stored = RunFolder(folders[1]).read_options()
    alone = run.run_training(tmp_path / "alone", stored)
    assert alone.stopped_by is None
    assert (tmp_path / "alone/scene.ply").read_bytes() == (folders[1] / "scene.ply").read_bytes()
    before = metrics["blocks"]
    assert main(["eval", str(out)]) == 0
    again = json.loads((out / "metrics.json").read_text())
    assert again["blocks"] == before and again["seams"] == metrics["seams"]


def test_a_run_stopped_in_any_stage_resumes_to_identical_results(data, tmp_path, monkeypatch, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(data, whole, *TWO) == 0
    # Of 3 + 8 + 8 steps; each command stops the first stage that reaches its step.
    for step, last in ((1, "coarse"), (5, "block_00")):
        with monkeypatch.context() as patch:
            signalled_at(patch, step, signal.SIGINT)
            assert train(data, parts, *TWO) == 130
        assert "to resume: sfumato train" in capsys.readouterr().out
        assert list(parts.rglob(f"{last}/checkpoints/step_*.pt"))
    trained = spied(monkeypatch, first_state, "start")
    assert train(data, parts, *OPTIONS) == 0
    assert len(trained) == 1, "only the second block begins"
    names = [f"blocks/block_0{n}/scene.ply" for n in range(2)]
    assert content(parts, *names) == content(whole, *names)


def test_finished_blocks_are_not_trained_again(data, tmp_path, monkeypatch):
    out = tmp_path / "run"
    assert train(data, out, *TWO) == 0
    folder = out / "blocks/block_01"
    assert is_finished(folder, RunFolder(folder).read_options())
    began = spied(monkeypatch, run, "run_training")
    before = content(out)
    assert train(data, out, *TWO) == 0
    assert not began and content(out) == before


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--blocks", "3"), "holds a run in 2 blocks, not 3"),
        (("--blocks", "2", "--seed", "5"), "--seed 4 there, 5 now"),
        (("--blocks", "1"), "holds a run in 2 blocks, not 1"),
    ],
)
def test_another_command_is_refused(data, tmp_path, more, words, capsys):
    assert train(data, tmp_path / "run", *TWO) == 0
    assert train(data, tmp_path / "run", *OPTIONS, *more) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--blocks", "0"), "--blocks is 0"),
        (("--blocks", "2", "--refine-poses"), "several poses"),
        (("--blocks", "2", "--view"), "--view shows the training of a whole scene"),
        (("--cluster", "local"), "give --blocks auto too"),
        (("--blocks", "2", "--cluster", "some:where"), "give local, local:N"),
        (("--blocks", "2", "--resume"), "not a run folder"),
    ],
)
def test_options_that_contradict_each_other_are_refused(data, tmp_path, options, words, capsys):
    assert train(data, tmp_path / "run", *OPTIONS, *options) == 2
    assert words in capsys.readouterr().err


def test_a_block_that_nothing_shows_keeps_the_coarse_model(data, tmp_path, monkeypatch, capsys):
    """Also one without Gaussians."""
    plan = blocked_run.plan_blocks

    def with_an_empty_one(views, seen, count):
        found = plan(views, seen, count)
        blind = type(found.blocks[0])(found.blocks[0].cell, (), (), 0.0)
        return type(found)(found.ground, (blind, *found.blocks[1:]))

    monkeypatch.setattr(blocked_run, "plan_blocks", with_an_empty_one)
    out = tmp_path / "run"
    assert train(data, out, *TWO) == 0
    said = capsys.readouterr().out
    assert "block_00 has no photographs that show it: it keeps the coarse model" in said
    assert not (out / "blocks/block_00/scene.ply").exists() and (out / "scene.ply").is_file()


def test_nothing_seen_at_all_still_ends_in_a_scene(data, tmp_path, monkeypatch):
    def unseen(images, camera):
        points, covered = shown(images, camera)
        return points, covered & False

    shown = PositionImages.__call__
    monkeypatch.setattr(PositionImages, "__call__", unseen)
    assert train(data, tmp_path / "run", *TWO) == 0
    coarse = len(sfumato.load(tmp_path / "run/coarse/scene.ply"))
    assert len(sfumato.load(tmp_path / "run/scene.ply")) == coarse


def test_a_block_that_fails_is_named_and_the_others_are_kept(tmp_path, monkeypatch, capsys):
    data = colmap_folder(tmp_path / "data", names=(*NAMES, "d.png"))
    out = tmp_path / "run"
    make = first_state.make_plan

    def failing(capture, config, **more):
        if more.get("fixed_count") and not list(out.glob("blocks/*/metrics.json")):
            raise sfumato.SfumatoError("cannot write it: no space left on device")
        return make(capture, config, **more)

    with monkeypatch.context() as patch:
        patch.setattr(first_state, "make_plan", failing)
        assert train(data, out, *TWO) == 2
    error = capsys.readouterr().err
    assert "blocks failed" in error and "no space left on device" in error and "block_0" in error
    assert not (out / "scene.ply").exists()
    assert train(data, out, *TWO) == 0
