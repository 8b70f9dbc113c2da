"""Overlays of a scene: floaters as bits, scores of views."""

import json

import pytest
import torch

from sfumato.edit.clean import cleaned, floaters
from sfumato.runs.folder import RunFolder
from sfumato.viewer import overlays
from sfumato.viewer.overlays import facts_of, find_floaters, in_words, scores_of, to_bits, too_many
from support.small_scenes import small_scene


def test_floaters_are_those_that_clean_removes():
    gaussians = small_scene()
    mask = find_floaters(gaussians)
    assert len(cleaned(gaussians)) == len(gaussians) - int(mask.sum()) < len(gaussians)
    bits = to_bits(mask)
    assert len(bits) == 10
    assert [bool(bits[i // 8] >> (i % 8) & 1) for i in range(80)] == floaters(gaussians).tolist()
    assert in_words(mask) == f"{int(mask.sum())} of 80 Gaussians are floaters ({int(mask.sum()) / 80:.1%})"


def test_floaters_are_not_detected_in_large_scenes(monkeypatch):
    monkeypatch.setattr(overlays, "MOST_GAUSSIANS", 79)
    assert find_floaters(small_scene()) is None and "up to 79" in too_many(80)
    assert too_many(79) is None


@pytest.mark.parametrize(
    "metrics",
    [None, "", "[]", "{}", '{"test": null}', '{"test": {"views": 3}}', '{"test": {"views": [{"name": 1}]}}'],
)
def test_missing_metrics_are_accepted(tmp_path, metrics):
    if metrics is not None:
        (tmp_path / "metrics.json").write_text(metrics)
    found = RunFolder(tmp_path).read_metrics()
    assert scores_of(found) == {} and facts_of(found) == []


def test_scores_of_views_are_read():
    views = [
        {"name": "a.jpg", "psnr": 21.5, "ssim": 0.8, "lpips": None},
        {"name": "b.jpg", "psnr": None, "ssim": 1.0},
        {"name": "c.jpg", "psnr": 30, "ssim": None},
        {"name": "d.jpg", "psnr": "30"},
    ]
    found = {"test": {"psnr": 25.756, "views": views}}
    assert scores_of(found) == {"a.jpg": (21.5, 0.8), "c.jpg": (30.0, None)}
    assert facts_of(found) == ["25.76 dB held out"]
    assert facts_of(found | {"pixels": "kept by masks"}) == ["25.76 dB held out, in masks"]


def test_empty_and_single_masks_are_accepted():
    assert to_bits(find_floaters(small_scene(0))) == b""
    assert in_words(torch.zeros(0, dtype=torch.bool)) == "0 of 0 Gaussians are floaters (0.0%)"
    assert to_bits(find_floaters(small_scene(1))) == b"\0"


def test_integers_beyond_the_float_range_are_not_scores(tmp_path):
    path = tmp_path / "metrics.json"
    huge = int("9" * 400)
    path.write_text(json.dumps({"test": {"psnr": huge, "views": [{"name": "a", "psnr": huge, "ssim": 1}]}}))
    found = RunFolder(tmp_path).read_metrics()
    assert found and scores_of(found) == {} and facts_of(found) == []
