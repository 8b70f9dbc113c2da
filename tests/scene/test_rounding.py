"""Quantisation of lossy formats: distant outliers, Gaussians too small or too large, wide scenes."""

import logging
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from sfumato.scene.files import load, save, spz
from sfumato.scene.files.rounding import moved
from sfumato.viewer.page import pack
from support.scene_files import blob

LOSSY = ("spz", "sog", "compressed.ply")


def errors(tmp_path, scene, suffix):
    """Displacement of each Gaussian relative to its size, in the order of the scene; and the loaded scene."""
    save(scene, tmp_path / f"a.{suffix}")
    got = load(tmp_path / f"a.{suffix}")
    nearest = torch.cdist(scene.means.double(), got.means.double()).argmin(dim=1)
    got = got.select(nearest)
    return (got.means - scene.means).abs().amax(1) / scene.scales.amax(1), got


@pytest.mark.parametrize("suffix", LOSSY)
@pytest.mark.parametrize("far", [1e4, 1e6, 1e9])
def test_one_distant_gaussian_does_not_displace_the_others(tmp_path, suffix, far, caplog):
    scene = blob(400, 0)
    scene.means[7] = torch.tensor([far, -far, 0.3 * far])
    with caplog.at_level(logging.WARNING, "sfumato"):
        error, got = errors(tmp_path, scene, suffix)
    error[7] = 0
    # The limit is a quarter of the typical size, and the smallest Gaussians have half of that size.
    assert float(error.max()) < 0.6 and float(error.median()) < 0.2
    brought = float(got.means[7].abs().max()) < 0.5 * far
    assert brought == ("1 of 400 Gaussians lie so far away" in caplog.text)
    if brought and far < 1e7:
        # It keeps its direction and angular size.
        factor = got.means[7].norm() / scene.means[7].norm()
        seen = torch.nn.functional.normalize(torch.stack([got.means[7], scene.means[7]]))
        assert float((seen[0] * seen[1]).sum()) > 0.99
        change = float(got.log_scales[7, 0] - scene.log_scales[7, 0])
        assert change == pytest.approx(float(factor.log()), abs=max(0.7, 1 / 16))


@pytest.mark.parametrize("suffix", LOSSY)
def test_a_scene_too_wide_for_its_gaussians_gives_a_warning(tmp_path, suffix, caplog):
    scene = blob(300, 0)
    scene = replace(scene, means=scene.means * 1e6, log_scales=scene.log_scales - 4)
    with caplog.at_level(logging.WARNING, "sfumato"):
        error, _ = errors(tmp_path, scene, suffix)
    assert float(error.median()) > 0.5 and "of 300 Gaussians are moved by more than half" in caplog.text


def test_rounding_to_float32_alone_does_not_count_as_moved():
    """Gaussians of a thousandth at a million, where neighbouring float32 numbers are 1/16 apart."""
    given = np.full((3, 3), 1e6, np.float32)
    stored = given + np.array([[0], [1 / 16], [2 / 16]], np.float32)
    assert moved(given, stored, np.full((3, 3), math.log(1e-3), np.float32)) == 1


@pytest.mark.parametrize("suffix", LOSSY)
def test_an_ordinary_scene_gives_no_warning(tmp_path, suffix, caplog):
    with caplog.at_level(logging.WARNING, "sfumato"):
        error, _ = errors(tmp_path, blob(600, 1), suffix)
    assert not caplog.records and float(error.max()) < 0.5


@pytest.mark.parametrize(("shift", "word"), [(-12, "smaller"), (9, "larger")])
def test_gaussians_outside_the_range_of_spz_are_counted(tmp_path, shift, word, caplog):
    scene = blob(5, 0)
    scene.log_scales[:] = -3
    scene.log_scales[1:4] += shift
    with caplog.at_level(logging.WARNING, "sfumato"):
        save(scene, tmp_path / "a.spz")
    assert f"3 Gaussians are {word} than" in caplog.text


def test_thin_discs_do_not_count_as_small(tmp_path, caplog):
    scene = blob(5, 0)
    scene.log_scales[:, 2] = -20
    with caplog.at_level(logging.WARNING, "sfumato"):
        save(scene, tmp_path / "a.spz")
    assert not caplog.records


def test_pages_use_another_format_if_spz_is_insufficient(tmp_path):
    scene = blob(200, 0)
    assert spz.save_if_enough(scene, tmp_path / "if.spz") and pack(scene).type == "spz"
    save(scene, tmp_path / "a.spz")
    assert (tmp_path / "if.spz").read_bytes() == (tmp_path / "a.spz").read_bytes()
    small = replace(scene, means=1e-4 * scene.means, log_scales=scene.log_scales + math.log(1e-4))
    distant = replace(scene, means=torch.cat([torch.tensor([[1e6, 0, 0]]), scene.means[1:]]))
    shifted = replace(scene, means=scene.means + 1e6)
    for hard in (small, distant, shifted):
        assert not spz.save_if_enough(hard, tmp_path / "hard.spz") and pack(hard).type == "ply"
        assert not (tmp_path / "hard.spz").exists()
    (tmp_path / "a.ply").write_bytes(pack(small).data)
    assert torch.equal(load(tmp_path / "a.ply").log_scales, small.log_scales)
