"""The report of a run: its contents, and that hostile run folders cannot harm its reader."""

import json
import re

import pytest

from sfumato.cli import main
from sfumato.runs.folder import RunFolder
from support.capture_folders import colmap_folder, picture, save
from support.commands import OPTIONS, train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    assert train(colmap_folder(root / "data"), root / "run", *OPTIONS) == 0
    return RunFolder(root / "run")


def rewritten(run, path, facts):
    path.write_text(json.dumps(facts))
    assert main(["report", str(run.path)]) == 0
    return run.report.read_text("utf-8")


@pytest.mark.slow
def test_training_writes_a_report_of_the_run(run):
    said = run.report.read_text("utf-8")
    metrics = json.loads(run.metrics.read_text())
    assert f"{metrics['test']['psnr']:.2f} dB on 1 held-out views" in said and "Quality: poor" in said
    assert (
        said.count("<svg") == 5
        and said.count('class="camera') == 3
        and said.count('class="camera held"') == 1
    )
    assert f"{metrics['train']['gaussians']:,} Gaussians" in said and "--steps 20" in said and "numba" in said
    assert "They were given with the photographs." in said


def test_the_report_has_the_same_quality_as_the_output_of_training(run, capsys):
    assert main(["eval", str(run.path)]) == 0
    (said,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("quality: ")]
    assert f"Q{said[1:]}." in run.report.read_text("utf-8")


def test_a_report_makes_no_requests_and_runs_no_scripts(run):
    said = run.report.read_text("utf-8")
    assert "<script" not in said and re.search(r"""(?:src|href)=["'](?!data:)""", said) is None
    assert "default-src 'none'" in said


def test_the_report_includes_structure_from_motion(run):
    images = run.read_options().data / "images"
    save(images / "lost.png", picture(64, 48))
    facts = {
        "verdict": "usable",
        "against": ["only 3 of 4 pictures have a camera"],
        "pictures": 4,
        "registered": 3,
        "mean_reprojection_error_px": 0.5,
        "missing": [
            {"name": "lost.png", "reason": "blurred: 20% of the usual sharpness"},
            {"name": "../../secret.png", "reason": "elsewhere"},
        ],
        "left_out": [{"name": f"{i}.png", "reason": "too dark"} for i in range(3)],
        "seconds": {"features": 12.0},
    }
    path = run.read_options().data / "sfm.json"
    save(images.parent.parent / "secret.png", picture())
    said = rewritten(run, path, facts)
    path.unlink()
    assert (
        "usable; only 3 of 4 pictures have a camera" in said
        and "0.50 px" in said
        and "3 of 4 pictures" in said
    )
    assert "Without a camera: 2" in said and said.count('<li><img src="data:image/jpeg') == 1
    assert "Not used: 3 pictures (3 too dark)" in said and "cameras: features" in said and "0:12" in said


def test_text_from_files_is_escaped(run):
    bad = "<script>alert(1)</script>"
    path = run.read_options().data / "sfm.json"
    facts = {
        "verdict": bad,
        "against": [bad, 3],
        "missing": [{"name": bad, "reason": bad}, 7],
        "left_out": [{"reason": bad}],
        "seconds": {bad: 1, "x": "y"},
        "points": 10**400,
        "arc_deg": [],
    }
    said = rewritten(run, path, facts)
    path.unlink()
    assert bad not in said and "&lt;script&gt;" in said


def test_a_run_with_a_missing_dataset_still_has_a_report(run, tmp_path, capsys):
    data = run.read_options().data
    data.rename(tmp_path / "elsewhere")
    page = tmp_path / "page.html"
    assert main(["report", str(run.path), "-o", str(page)]) == 0
    assert "no view from above" in capsys.readouterr().err and "Quality: poor" in page.read_text("utf-8")
    assert main(["report", str(run.path), "-o", str(page)]) == 2
    assert (
        main(["report", str(run.path), "-o", str(page), "--overwrite", "--data", str(tmp_path / "elsewhere")])
        == 0
    )
    assert 'class="camera' in page.read_text("utf-8")
    (tmp_path / "elsewhere").rename(data)


def test_a_folder_without_a_run_is_named(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err
