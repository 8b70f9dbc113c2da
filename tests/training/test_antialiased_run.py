"""A run for anti-aliased rendering: files record it, and readers respect it."""

import json

import pytest

import sfumato
from sfumato.cli import main
from support.capture_folders import colmap_folder


@pytest.mark.slow
def test_a_run_records_antialiasing(tmp_path, capsys):
    data = colmap_folder(tmp_path / "data")
    out = tmp_path / "run"
    assert main(["train", str(data), "-o", str(out), "--steps", "2", "--antialiased"]) == 0
    assert sfumato.load(out / "scene.ply").metadata.antialiased
    assert '"antialiased": true' in (out / "scene.html").read_text("utf-8").replace('":true', '": true')
    psnr = json.loads((out / "metrics.json").read_text())["test"]["psnr"]
    report = sfumato.evaluate(
        sfumato.load(out / "scene.ply"), sfumato.load_capture(data).test_views, lpips=False
    )
    assert report.psnr == pytest.approx(psnr, abs=1e-6)
    again = ["train", str(data), "-o", str(tmp_path / "more"), "--steps", "2"]
    assert main([*again, "--init", str(out / "scene.ply")]) == 0
    assert "made for anti-aliased rendering" in capsys.readouterr().err
