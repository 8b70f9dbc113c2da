"""The plan of a run fits the machine and is reported."""

import math
from dataclasses import replace

import pytest

from sfumato import machine
from sfumato.capture.dataset import load_capture
from sfumato.errors import ConfigError
from sfumato.machine import Memory
from sfumato.training import plan as module
from sfumato.training.config import TrainConfig
from sfumato.training.plan import (
    BYTES_PER_GAUSSIAN,
    DEFAULT_MINUTES,
    GIB,
    downscale_for,
    estimate_memory,
    make_plan,
    with_budget,
)
from support.capture_folders import colmap_folder

CONFIG = TrainConfig(steps=10)


@pytest.fixture
def capture(tmp_path):
    return load_capture(colmap_folder(tmp_path))


def free(monkeypatch, available_bytes):
    monkeypatch.setattr(machine, "memory", lambda: Memory(64 * GIB, available_bytes, False))


def test_a_default_length_is_chosen():
    assert with_budget(TrainConfig()).minutes == DEFAULT_MINUTES
    assert with_budget(CONFIG) == CONFIG


def test_a_million_gaussians_at_a_megapixel_stay_under_six_gib():
    assert estimate_memory(10**6, pixels=10**6, photographs_bytes=0) < 6 * GIB


def test_the_plan_is_reported(capture, monkeypatch):
    free(monkeypatch, 8 * GIB)
    plan = make_plan(capture, CONFIG, start_count=5)
    assert (plan.photographs, plan.size_px, plan.points) == (2, (32, 24), 5)
    assert plan.cap >= 5
    words = plan.describe(CONFIG)
    assert "2 photographs of 32x24, 5 points" in words and "10 steps" in words and "GiB" in words


def test_held_out_views_are_rendered_at_native_size(tmp_path, monkeypatch):
    free(monkeypatch, 8 * GIB)
    config, root = replace(CONFIG, max_gaussians=10), colmap_folder(tmp_path)
    split, unsplit = (
        make_plan(load_capture(root, downscale=2, test_every=every), config, start_count=5)
        for every in (8, 0)
    )
    assert split.size_px == unsplit.size_px == (16, 12)
    assert split.memory_bytes == estimate_memory(10, pixels=32 * 24, photographs_bytes=2 * 3 * 16 * 12)
    assert unsplit.memory_bytes == estimate_memory(10, pixels=16 * 12, photographs_bytes=3 * 3 * 16 * 12)


def test_memory_bounds_the_cap(capture, monkeypatch, caplog):
    free(monkeypatch, 8 * GIB)
    start = 20_000_000
    plan = make_plan(capture, CONFIG, start_count=start)
    assert 0 < plan.cap < start and plan.points == plan.cap
    assert plan.memory_bytes <= plan.available_bytes
    assert plan.cap * BYTES_PER_GAUSSIAN > 0.5 * 8 * GIB, "most free memory is used"
    given = make_plan(capture, replace(CONFIG, max_gaussians=start), start_count=5)
    assert given.cap == start and "--max-gaussians 20000000 may need more than the free memory" in caplog.text


def test_too_little_memory_gives_a_warning(capture, monkeypatch):
    free(monkeypatch, 2**20)
    monkeypatch.setattr(machine, "peak_memory_bytes", lambda: 0)
    with pytest.raises(
        ConfigError, match=r"training needs at least 0\.6 GiB of memory and 0\.0 GiB are free"
    ):
        make_plan(capture, CONFIG, start_count=5)


def test_decoded_photographs_count_up_to_the_cache_size(monkeypatch):
    monkeypatch.setattr(module, "default_cache_bytes", lambda: 1000)
    assert module.photographs_memory(100) == 300
    assert module.photographs_memory(10**6) == 1000


@pytest.mark.parametrize(
    ("size_px", "minutes", "factor"),
    [((1080, 1920), 5.0, 3), ((1080, 1920), 10.0, 2), ((480, 360), 2.0, 1), ((720, 1280), 4.4, 2)],
)
def test_photographs_are_as_large_as_the_time_allows(monkeypatch, size_px, minutes, factor):
    monkeypatch.setattr(machine, "cores", lambda: 2)
    assert downscale_for(size_px, minutes) == factor
    assert downscale_for(size_px, math.inf) == 1
    assert math.prod(size_px) / downscale_for(size_px, 1e-6) ** 2 > 190**2
