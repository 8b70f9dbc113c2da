"""Every example runs within seconds at a small size and gives the documented result."""

import runpy
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import sfumato
from repository import ROOT
from sfumato import load

MAX_LINES = 60
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
TINY_CAPTURE = ["--downscale", "8", "--steps", "6"]


def run(monkeypatch, example, *arguments):
    monkeypatch.setattr(sys, "argv", [example, *map(str, arguments)])
    runpy.run_path(str(ROOT / "examples" / example), run_name="__main__")


def test_one_gaussian(monkeypatch, tmp_path, capsys):
    run(monkeypatch, "01_one_gaussian.py", "--out", tmp_path / "one.png", "--width", 64)
    pixels = np.asarray(Image.open(tmp_path / "one.png"))
    assert pixels.shape == (48, 64, 3)
    assert pixels[24, 35, 0] > 180 > pixels[24, 35, 2] and pixels[0, 0].max() < 40
    assert "alpha up to 0.88" in capsys.readouterr().out


@pytest.mark.slow
def test_fit_an_image(monkeypatch, tmp_path, capsys):
    run(
        monkeypatch, "02_fit_an_image.py", "--out", tmp_path / "fit.png", "--width", 32,
        "--gaussians", 60, "--steps", 60,
    )  # fmt: skip
    found = [float(line.split()[2]) for line in capsys.readouterr().out.splitlines()]
    assert found[-1] > found[0] + 5, "the fit must improve"
    assert Image.open(tmp_path / "fit.png").size == (64, 32)


def test_train_from_photos(monkeypatch, tmp_path, capsys):
    data = ROOT / "demo" / "still_life"
    if not (data / "transforms.json").exists():
        pytest.skip("the demo's photographs are not in this checkout")
    run(monkeypatch, "03_train_from_photos.py", data, "--out", tmp_path / "scene.ply", *TINY_CAPTURE)
    assert "held out:" in capsys.readouterr().out
    assert len(load(tmp_path / "scene.ply")) > 1000


def test_wide_lens(monkeypatch, tmp_path, capsys):
    run(monkeypatch, "04_wide_lens.py", "--out", tmp_path / "wide.png", "--width", 48, "--gaussians", 80)
    traced, projected = (float(line.split()[-5]) for line in capsys.readouterr().out.splitlines()[:2])
    assert traced > 90 and projected < 40, "the tracer is right where the rasterizer is not"
    assert Image.open(tmp_path / "wide.png").size == (240, 48)


@pytest.mark.slow
def test_own_part(monkeypatch, capsys):
    data = ROOT / "demo" / "still_life"
    if not (data / "transforms.json").exists():
        pytest.skip("the demo's photographs are not in this checkout")
    run(monkeypatch, "05_own_part.py", data, "--downscale", 16, "--steps", 40, "--weight", 1.0)
    without, with_it = (
        float(line.split("%")[0].split()[-1]) for line in capsys.readouterr().out.splitlines()
    )
    assert with_it < without, "the prior drives opacities to their ends"


def test_turntable(monkeypatch, tmp_path, capsys):
    generator = torch.Generator().manual_seed(0)
    means, alike = 0.2 * torch.randn(60, 3, generator=generator), torch.ones(60, 4)
    scene = sfumato.Gaussians(means, -2 * alike[:, :3], alike, 3 * alike[:, 0], alike[:, None, :3])
    sfumato.save(scene, tmp_path / "scene.ply")
    run(
        monkeypatch, "06_turntable.py", tmp_path / "scene.ply", "--out", tmp_path / "turn.mp4",
        "--frames", 4, "--width", 64,
    )  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {"scene.ply", "turn.mp4", "turn.png", "turn.html"}
    middle, *_ = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()[1:]]
    assert middle > 0.9, "the ray in the middle of the view meets the scene"


def test_every_example_is_short_numbered_and_run_here():
    text = (ROOT / "tests/docs/test_examples.py").read_text("utf-8")
    for number, path in enumerate(EXAMPLES, 1):
        assert path.name.startswith(f"{number:02}_") and f'"{path.name}"' in text
        assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES
