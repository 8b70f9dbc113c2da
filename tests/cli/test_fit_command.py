"""`sfumato fit`: fitting an image with metrics, decoding it, and one-line errors."""

import json

import numpy as np
import pytest
from PIL import Image

from sfumato.cli import EXIT_WRONG, main


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    x = np.linspace(0, 255, 40).astype(np.uint8)
    Image.fromarray(np.broadcast_to(np.stack([x, x[::-1], x], 1), (24, 40, 3)).copy()).save(path)
    return path


def run(*words):
    return main(["fit", *map(str, words)])


def test_fits_and_decodes(tmp_path, picture, capsys):
    out = tmp_path / "out" / "picture.g2d"
    assert run(picture, "-o", out, "--count", 30, "--steps", 40) == 0
    metrics = json.loads((out.parent / "metrics.json").read_text("utf-8"))
    said = capsys.readouterr().out.splitlines()[-1]
    assert f"{out}: 40 x 24 px, 30 Gaussians, {out.stat().st_size:,} bytes" in said
    assert (
        metrics["count"] == 30 and metrics["bytes"] == out.stat().st_size and metrics["size_px"] == [40, 24]
    )
    assert metrics["psnr"] > 20 and 0.5 < metrics["ssim"] <= 1 and metrics["seconds"] > 0
    assert (
        run(out, "-o", tmp_path / "a.png") == 0 and run(out, "-o", tmp_path / "b.png", "--size", 80, 48) == 0
    )
    first, second = (np.asarray(Image.open(tmp_path / name), float) for name in ("a.png", "b.png"))
    assert first.shape == (24, 40, 3) and second.shape == (48, 80, 3)
    mse = np.square(first - np.asarray(Image.open(picture), float)).mean()
    # The PSNR agrees with metrics.json, except for the rounding to 8 bits.
    assert abs(10 * np.log10(255**2 / mse) - metrics["psnr"]) < 0.1


def test_overwrites_only_on_request(tmp_path, picture, capsys):
    out = tmp_path / "picture.g2d"
    (tmp_path / "metrics.json").write_text("{}")
    assert run(picture, "-o", out, "--steps", 1) == EXIT_WRONG and not out.exists()
    assert "give --overwrite" in capsys.readouterr().err
    assert run(picture, "-o", out, "--steps", 1, "--overwrite") == 0
    # metrics.json belongs to the last output.
    assert run(picture, "-o", tmp_path / "another.g2d", "--steps", 1) == 0
    assert run(picture, "-o", out, "--steps", 1) == EXIT_WRONG


@pytest.mark.parametrize(
    "words, said",
    [
        (("picture.png", "-o", "out.png"), "ends in .g2d"),
        (("picture.png", "-o", "out.g2d", "--size", 4, 4), "--size is for .g2d"),
        (("picture.png", "-o", "out.g2d", "--count", 0), "count is 0"),
        (("nothing.png", "-o", "out.g2d"), "nothing.png"),
        (("text.png", "-o", "out.g2d"), "text.png"),
        (("text.g2d", "-o", "out.png"), "not a .g2d file"),
        (("text.g2d", "-o", "out.g2d"), "names no picture"),
        (("text.g2d", "-o", "out.png", "--count", 5), "--count is for fitting"),
    ],
)
def test_errors_are_one_line(tmp_path, picture, capsys, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    for name in ("text.png", "text.g2d"):
        (tmp_path / name).write_text("no picture")
    assert run(*words) == EXIT_WRONG
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not list(tmp_path.glob("out.*"))
