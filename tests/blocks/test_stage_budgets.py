"""How many blocks, and what each stage may spend."""

from dataclasses import replace

import pytest

from sfumato.blocks.stage_budgets import StageBudgets, blocks_needed, gaussians_wanted
from sfumato.capture.dataset import load_capture
from sfumato.errors import ConfigError
from sfumato.training.config import TrainConfig
from sfumato.training.plan import BASE_BYTES, BYTES_PER_GAUSSIAN, estimate_memory

BY_STEPS, BY_TIME = TrainConfig(steps=1000), TrainConfig(minutes=60.0)


@pytest.mark.parametrize("blocks", [2, 3, 7])
def test_all_stages_together_take_the_steps_of_the_whole(blocks):
    shares = StageBudgets(80_000, 5, blocks)
    coarse, block = shares.coarse(BY_STEPS), shares.block(BY_STEPS, 1.2 / blocks, 5)
    assert 1000 - blocks < coarse.steps + blocks * block.steps <= 1000
    assert coarse.max_gaussians == 20_000 and block.max_gaussians == round(80_000 * 1.2 / blocks)


@pytest.mark.parametrize(("starting", "cap"), [(5, 20_000), (50_000, 50_000), (90_000, 80_000)])
def test_the_coarse_model_leaves_out_no_point_that_the_whole_would_start_from(starting, cap):
    assert StageBudgets(80_000, starting, 4).coarse(BY_STEPS).max_gaussians == cap


def test_a_block_keeps_all_that_it_starts_from():
    assert StageBudgets(80_000, 5, 4).block(BY_STEPS, 0.1, 9_000).max_gaussians == 9_000


def test_all_stages_together_take_the_minutes_of_the_whole():
    shares = StageBudgets(80_000, 5, 4, at_once=2)
    total = shares.coarse(BY_TIME).minutes + 4 / 2 * shares.block(BY_TIME, 0.3, 5).minutes
    assert total == pytest.approx(60.0)
    idle = StageBudgets(80_000, 5, 2, at_once=8)
    assert idle.coarse(BY_TIME).minutes + idle.block(BY_TIME, 0.3, 5).minutes == pytest.approx(60.0)


def test_blocks_begin_with_all_degrees_and_above_a_quarter_of_the_size():
    schedule = StageBudgets(100, 5, 2).block(BY_STEPS, 0.5, 5).schedule
    assert schedule.sh_raises == (0.0, 0.0, 0.0) and schedule.quarter_resolution_until == 0.0
    assert schedule.half_resolution_until == BY_STEPS.schedule.half_resolution_until / 2


def test_blocks_follow_from_the_memory(data):
    capture = load_capture(data)
    config = replace(BY_STEPS, max_gaussians=1_000_000)
    whole = estimate_memory(1_000_000, pixels=32 * 24, photographs_bytes=0)
    assert blocks_needed(capture, config, 5, 2 * whole) == 1
    counts = [blocks_needed(capture, config, 5, round(share * whole)) for share in (0.95, 0.8, 0.75)]
    assert counts[0] >= 2 and counts == sorted(counts)
    for count, share in zip(counts, (0.95, 0.8, 0.75), strict=True):
        in_one = BYTES_PER_GAUSSIAN * (1_000_000 * 1.2 / count + 250_000)
        assert BASE_BYTES + in_one < 0.95 * share * whole
    with pytest.raises(ConfigError, match="even in blocks"):
        blocks_needed(capture, config, 5, BASE_BYTES + (250_000 * BYTES_PER_GAUSSIAN))


def test_more_points_than_the_cap_are_wanted(data):
    capture = load_capture(data)
    assert gaussians_wanted(capture, BY_STEPS, 5) == max(5, 2 * 32 * 24 // 36)
    assert gaussians_wanted(capture, replace(BY_STEPS, max_gaussians=77), 5) == 77
