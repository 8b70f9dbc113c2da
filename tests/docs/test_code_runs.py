"""Code and quick commands of the documents run on tiny scenes, in the order of their page."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from repository import ROOT, name
from sfumato.cli import main
from sfumato.envelope.trust_file import write_trust
from sfumato.runs.folder import RunFolder
from sfumato.runs.run_options import RunOptions
from sfumato.scene.changes import translation
from sfumato.scene.dynamic_changes import transformed_dynamic
from sfumato.scene.files import load, save
from sfumato.scene.files.dynamic_files import save_dynamic
from sfumato.training.config import TrainConfig
from support.capture_folders import save as save_picture
from support.documents import PAGES, commands
from support.round_scene import dataset
from support.small_moving_scene import small_moving_scene
from support.small_scenes import camera_at, small_scene
from support.small_trust import small_trust

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
# test_commands_run.py runs the others.
QUICK = ("convert", "edit", "simplify")

# A mask of the pictures of the dataset.
LEFT_HALF = np.repeat(np.uint8([[255, 0]]), 40, axis=1).repeat(80, axis=0)
# A moving Gaussian that exists at all times.
RIDDEN = 20


def quick_commands(path):
    return [words for words in commands(path) if words[0] in QUICK]


WITH_COMMANDS = [path for path in (ROOT / "README.md", *PAGES) if quick_commands(path)]
WITH_CODE = {path.stem: path for path in PAGES if BLOCK.search(path.read_text("utf-8"))}


def scattered():
    """A scene with something wherever the documents select, and near enough together not to be floaters."""
    scene, random = small_scene(600), torch.Generator().manual_seed(3)
    low, sides = torch.tensor([-1.5, -1.5, -0.5]), torch.tensor([3.0, 3.0, 3.0])
    means = low + sides * torch.rand(600, 3, generator=random)
    return replace(scene, means=means, log_scales=scene.log_scales + 0.5)


def moving():
    """A scene that moves from 0 to 1 s, one of whose Gaussians begins where a document selects."""
    scene = small_moving_scene()
    away = (torch.tensor([0.0, 0.0, 2.0]) - scene.means[0, RIDDEN]).tolist()
    there = transformed_dynamic(scene, translation(away))
    return replace(there, times=scene.times - scene.times[0])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with what the pages speak of."""
    for run in ("mine", "room", "other"):
        (tmp_path / "out" / run).mkdir(parents=True)
    save(scattered(), tmp_path / "out/mine/scene.ply")
    for run in ("room", "other"):
        save_dynamic(moving(), tmp_path / "out" / run)
    save(small_scene(3), tmp_path / "hat.ply")
    for view in dataset(tmp_path / "data/mine").joinpath("images").iterdir():
        save_picture(tmp_path / "data/mine/masks" / view.name, LEFT_HALF)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", WITH_COMMANDS, ids=name)
def test_commands_do_what_they_say(folder, path, capsys):
    for words in quick_commands(path):
        assert main(words) == 0, (words, capsys.readouterr().err)
        out = folder / words[1 + words.index("-o")] if "-o" in words else folder / words[2]
        assert out.exists(), words
        if out.suffix in (".ply", ".spz"):
            assert 0 < len(load(out)) <= 600


def code(page, *changes, **scope):
    """The names after the code of a page; ``changes`` are (text, replacement)."""
    (block,) = BLOCK.findall(WITH_CODE[page].read_text("utf-8"))
    for old, new in changes:
        assert old in block
        block = block.replace(old, new)
    exec(compile(block, f"{page}.md", "exec"), scope)
    return scope


def test_every_page_with_code_is_run_here():
    assert set(WITH_CODE) == {"tracking", "trust", "sequences"}


def test_the_code_of_tracks(folder):
    points = torch.zeros(2, 3) + torch.tensor([0.0, 0.0, 2.0])
    scene = code("tracking", points=points, camera=camera_at(0.0), x=48, y=36)["scene"]
    assert scene.track(points, t0=3).shape == (5, 2, 3) and len(scene.at(0.35)) > 0


def test_the_code_of_trust(folder):
    scene = scattered()
    RunFolder(folder / "out/mine").write_config(RunOptions(folder, train=TrainConfig()))
    write_trust(small_trust(scene), folder / "out/mine/trust.npz")
    trust = code("trust", camera=camera_at(0.0))["trust"]
    assert trust.render(camera_at(0.0)).shape == camera_at(0.0).size_px[::-1]


@pytest.mark.slow
def test_the_code_of_sequences(folder, capsys):
    room = ROOT / "demo/moving_room"
    if not (room / "cam00.mp4").exists():
        pytest.skip("the demo's videos are not in this checkout")
    (folder / "basketball").symlink_to(room)
    scope = code("sequences", ('["10", "30"]', '["cam00", "cam15"]'), ("downscale=2", "downscale=8"))
    assert "36 ['cam01'" in capsys.readouterr().out and len(scope["capture"].train_views) == 14
