"""The arithmetic of the benchmarks; times are not tested."""

import json

import numpy as np
import pytest

from repository import ROOT


@pytest.fixture(autouse=True)
def _benchmarks_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


# Modules shared by benchmarks.
SHARED = ("forward_facing", "harness", "plain")
ALL = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in SHARED)


@pytest.mark.parametrize("name", ALL)
def test_every_benchmark_documents_its_command(name):
    module = __import__(name)
    assert f"python benchmarks/{name}.py" in module.__doc__ and callable(module.main)
    assert f"benchmarks/{name}.py" in (ROOT / "Makefile").read_text("utf-8")


@pytest.mark.slow
def test_benchmarks_of_kernels_and_steps_match_the_current_interfaces():
    import growth
    import rasterizer

    assert set(rasterizer.compositing(40, 0.0)["seconds"]) >= {"forward", "backward"}
    assert growth.measure(200, 32, 32)["step_s"] > 0


@pytest.mark.parametrize("strategy", ["adc", "mcmc"])
@pytest.mark.slow
def test_the_memory_benchmark_matches_the_current_training(monkeypatch, strategy):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import measure_memory

    assert measure_memory.measure(strategy, 200, 32, 32) > 2**26


@pytest.mark.slow
def test_pairs_are_counted_exactly():
    import plain
    import rasterizer

    ellipses = rasterizer.ellipses(40)
    mean, conic, opacity = ellipses["mean"] % 48, ellipses["conic"], ellipses["opacity"]
    y, x = np.mgrid[:48, :48] + 0.5
    dx, dy = x - mean[:, 0, None, None], y - mean[:, 1, None, None]
    a, b, c = conic.T[..., None, None]
    alpha = opacity[:, None, None] * np.exp(-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy)
    expected = (alpha >= 1 / 255).sum()
    assert abs(plain.count_pairs(mean, conic, opacity, 48, 48).sum() - expected) <= 2


def test_results_of_quick_runs_are_not_saved(monkeypatch, tmp_path):
    import harness

    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    harness.save("a", {"x": 1}, quick=True)
    assert not list(tmp_path.iterdir())
    harness.save("a", {"x": 1}, quick=False)
    kept = json.loads((tmp_path / "a.json").read_text())
    assert kept["results"] == {"x": 1} and kept["machine"]["cores"] >= 1


def test_options_of_training_are_given_by_name():
    import sharpness

    from sfumato import TrainConfig

    changed = ["ssim_weight=0.5", "schedule.settle_from=0.9", "frozen=('means',)", "strategy=mcmc"]
    config = sharpness.with_options(TrainConfig(minutes=1.0), changed)
    assert (config.ssim_weight, config.frozen, config.strategy) == (0.5, ("means",), "mcmc")
    assert (
        config.schedule.settle_from == 0.9 and config.schedule.refine_every == 100 and config.minutes == 1.0
    )
    with pytest.raises(TypeError, match="nothing"):
        sharpness.with_options(TrainConfig(), ["nothing=1"])


@pytest.mark.slow
def test_pairs_per_pixel_counts_blended_gaussians():
    """Large Gaussians behind each other are counted until the pixel is opaque."""
    import sharpness
    import torch

    from sfumato import Camera, Gaussians

    camera = Camera(torch.eye(4), (40.0, 40.0), (16.0, 12.0), (32, 24))
    count, wide = 6, torch.full((6, 3), 5.0)
    means = torch.tensor([[0.0, 0.0, 4.0 + i] for i in range(count)])
    quats, sh = torch.tensor([[1.0, 0.0, 0.0, 0.0]]).expand(count, 4), torch.zeros(count, 1, 3)
    for opacity, expected in ((0.5, 6), (0.999, 1)):
        logits = torch.logit(torch.full((count,), opacity))
        scene = Gaussians(means, wide, quats, logits, sh)
        assert sharpness.pairs_per_pixel(scene, camera) == pytest.approx(expected, abs=0.05)


def test_simulated_blocks_wait_for_workers_and_go_on_from_checkpoints():
    from cluster_simulation import Outcome, never, simulated

    assert simulated([10.0, 20.0, 30.0], [1.0], never) == Outcome(60.0, 0, 0.0)
    assert simulated([10.0, 20.0, 30.0], [1.0, 1.0], never).wall_s == 40.0
    assert simulated([30.0], [1.0, 0.5], never).wall_s == 30.0

    def ends_once(worker, now_s):
        return 5.0 if worker == 0 and now_s < 5.0 else float("inf")

    # Of 5 seconds, 4 are in a checkpoint; the worker is back after a second, for the remaining 6.
    assert simulated([10.0], [1.0], ends_once, 2.0, replaced_s=1.0) == Outcome(12.0, 1, 1.0)
    # The other worker, which is idle, takes it at once.
    assert simulated([10.0, 1.0], [1.0, 1.0], ends_once, 2.0, replaced_s=100.0) == Outcome(11.0, 1, 1.0)
