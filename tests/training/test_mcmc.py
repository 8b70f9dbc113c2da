"""MCMC densification: dead Gaussians are relocated, live ones split, the number grows up to its cap."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.scene.cameras import Camera
from sfumato.training.config import McmcConfig, Schedule
from sfumato.training.densify.mcmc import MarkovChain, share_opacity
from support.crowd import NAMES, crowd, moments_come_from, numbers, population, same
from support.steps import clearance, context, shot

SCHEDULE = Schedule(refine_every=10, refine_share=0.0, refine_from=0.1, refine_until=0.5)
# With the progress of 0.3 of ``context`` a step of a run of 6,000, in which old Gaussians keep their moments.
IN_LONG_RUN = 1810
CONFIG = McmcConfig(noise=0.0, dead_opacity=0.05, growth=1.5)


def chain(**changes):
    return MarkovChain(replace(CONFIG, **changes), SCHEDULE)


def shared(opacity, copies, scales=(0.3, 0.2, 0.1)):
    """Opacity and scales of each of ``copies`` that replace one Gaussian, float64."""
    opacities, scales = share_opacity(
        torch.tensor([opacity], dtype=torch.float64),
        torch.tensor([scales], dtype=torch.float64),
        torch.tensor([copies]),
    )
    return float(opacities), scales[0].numpy()


@settings(max_examples=40)
@given(opacity=st.floats(0.3, 0.999), copies=st.integers(1, 51))
@pytest.mark.slow
def test_copies_together_have_the_original_opacity(opacity, copies):
    each, _ = shared(opacity, copies)
    assert 1 - (1 - each) ** copies == pytest.approx(opacity, rel=1e-5)


@settings(max_examples=30)
@given(opacity=st.floats(0.3, 0.999), copies=st.integers(1, 51))
def test_copies_together_have_the_original_coverage(opacity, copies):
    each, scales = shared(opacity, copies, scales=(1.0, 2.0, 0.5))
    x = np.linspace(-60, 60, 40_001)
    profile = 1 - (1 - each * np.exp(-0.5 * (x / scales[0]) ** 2)) ** copies
    assert profile.sum() * (x[1] - x[0]) == pytest.approx(opacity * np.sqrt(2 * np.pi), rel=1e-4)
    np.testing.assert_allclose(scales / scales[0], [1.0, 2.0, 0.5])


def test_a_single_copy_is_unchanged():
    each, scales = shared(0.37, 1)
    assert each == pytest.approx(0.37)
    np.testing.assert_allclose(scales, (0.3, 0.2, 0.1))


def test_fully_opaque_gaussians_can_be_split():
    each, _ = shared(1.0, 51)
    assert 0.1 < each < 0.3


def test_rows_of_a_batch_are_independent():
    opacities, copies = torch.tensor([0.9, 0.5, 0.7]), torch.tensor([2, 9, 1])
    scales = torch.tensor([[0.3, 0.2, 0.1]]).repeat(3, 1)
    each, new_scales = share_opacity(opacities, scales, copies)
    assert each.dtype == new_scales.dtype == torch.float32
    for i in range(3):
        alone = shared(float(opacities[i]), int(copies[i]))
        assert float(each[i]) == pytest.approx(alone[0], rel=1e-5)
        np.testing.assert_allclose(new_scales[i], alone[1], rtol=1e-5)


@pytest.mark.parametrize("opacity, copies", [(1.0, 2), (1.0, 1), (0.01, 51), (0.9, 10_000)])
def test_split_opacities_are_within_limits(opacity, copies):
    each, scales = shared(opacity, copies)
    assert 0.005 <= each < 1
    assert np.isfinite(scales).all() and (scales > 0).all()
    assert np.isfinite(float(torch.logit(torch.tensor(each, dtype=torch.float32))))


def test_dead_gaussians_are_relocated_to_live_ones():
    crowded = population([0.9, 0.01, 0.6, 0.05, 0.02], [0.3, 0.01, 0.2, 0.01, 0.01])
    before = crowded.gaussians.detach()
    change = chain(growth=1.0).refine(crowded, context())
    after = crowded.gaussians.detach()
    assert (change.added, change.removed) == (0, 0)
    sources = torch.tensor(numbers(after))
    assert len(sources) == 5 and set(sources.tolist()) <= {0, 2}
    assert sources[0] == 0 and sources[2] == 2, "live Gaussians keep their rows"
    for name in ("means", "quats", "sh"):
        assert torch.equal(getattr(after, name), getattr(before, name)[sources])
    for one in (0, 2):
        mine = sources == one
        each, scales = shared(float(before.opacities[one]), int(mine.sum()), before.scales[one].tolist())
        torch.testing.assert_close(after.opacities[mine], torch.full((int(mine.sum()),), each))
        expected = torch.tensor(scales, dtype=torch.float32).expand(mine.sum(), 3)
        torch.testing.assert_close(after.scales[mine], expected, rtol=1e-5, atol=0)


def test_gaussians_too_near_to_a_camera_are_relocated():
    crowded = population([0.9, 0.5, 0.5])
    chain(growth=1.0).refine(crowded, context(clearance=clearance((10.0, 0.1, 0.0), radius=0.2)))
    assert numbers(crowded.gaussians)[0] in (1, 2)
    assert numbers(crowded.gaussians)[1:] == [1, 2]


def test_opaque_gaussians_are_sampled_more_often():
    crowded = population([0.01] * 2000 + [0.8, 0.2])
    chain(growth=1.0).refine(crowded, context())
    first = sum(number == 2000 for number in numbers(crowded.gaussians)[:2000])
    assert first == pytest.approx(1600, abs=80)


@pytest.mark.parametrize("name", NAMES)
def test_split_gaussians_have_zero_moments(name):
    crowded = population([0.6, 0.01, 0.9, 0.8, 0.7])
    before = crowded.gaussians.detach()
    chain(growth=1.0).refine(crowded, context(step=IN_LONG_RUN))
    sources = numbers(crowded.gaussians)
    place = sources[1]
    expected = [-1 if i in (1, place) else i for i in range(5)]
    assert moments_come_from(crowded, name) == expected
    others = torch.tensor([i for i in (0, 2, 3, 4) if i != place])
    assert same(crowded.gaussians.detach().select(others), before.select(others))


@pytest.mark.parametrize("name", NAMES)
def test_in_short_runs_all_moments_restart(name):
    crowded = population([0.6, 0.01, 0.9, 0.8, 0.7])
    chain(growth=1.0).refine(crowded, context(step=1010))
    assert moments_come_from(crowded, name) == [-1] * 5


@pytest.mark.parametrize("allowed, expected", [(100, 15), (12, 12), (10, 10), (4, 10)])
def test_the_number_grows_by_a_factor_up_to_the_cap(allowed, expected):
    crowded = population([0.5] * 10)
    change = chain().refine(crowded, context(max_gaussians=allowed))
    assert len(crowded) == expected
    assert (change.added if change else 0) == expected - 10
    assert numbers(crowded.gaussians)[:10] == list(range(10))


@settings(max_examples=40)
@given(
    alive=st.lists(st.booleans(), min_size=1, max_size=15),
    allowed=st.integers(0, 40),
    seed=st.integers(0, 99),
)
def test_splitting_preserves_the_combined_opacity(alive, allowed, seed):
    crowded = population([0.9 if live else 0.01 for live in alive])
    generator = torch.Generator().manual_seed(seed)
    change = chain().refine(crowded, context(max_gaussians=allowed, generator=generator))
    assert len(alive) <= len(crowded) <= max(allowed, len(alive))
    if not any(alive):
        assert change is None and len(crowded) == len(alive)
        return
    sources, opacities = torch.tensor(numbers(crowded.gaussians)), crowded.gaussians.opacities.detach()
    assert set(sources.tolist()) == {i for i, live in enumerate(alive) if live}
    for one in set(sources.tolist()):
        together = 1 - (1 - opacities[sources == one].double()).prod()
        assert float(together) == pytest.approx(0.9, abs=1e-4)


@pytest.mark.parametrize(
    "step, progress, grows",
    [(10, 0.05, False), (10, 0.1, True), (10, 0.49, True), (10, 0.5, False), (11, 0.3, False)],
)
def test_relocation_and_growth_are_limited_to_a_period(step, progress, grows):
    crowded = population([0.5, 0.01])
    before = crowded.gaussians.detach()
    change = chain().refine(crowded, context(step=step, progress=progress))
    assert (change is not None) == grows
    assert same(crowded.gaussians.detach(), before) != grows


@pytest.mark.parametrize("step, progress", [(11, 0.3), (10, 0.0), (10, 0.9)])
def test_noise_is_added_in_every_step(step, progress):
    crowded = population([0.001, 0.9])
    before = crowded.gaussians.means.detach().clone()
    chain(noise=1e3).refine(crowded, context(step=step, progress=progress, means_rate=1.0))
    moved = (crowded.gaussians.means.detach() - before).norm(dim=1)
    assert moved[0] > 1e-3 > 1e-6 > moved[1]


def test_noise_follows_the_rate_of_the_means():
    moved = []
    for rate in (1.0, 0.25):
        crowded = population([0.001])
        crowded.gaussians.means.data.zero_()
        chain(noise=1e3).refine(crowded, context(step=1, means_rate=rate))
        moved.append(crowded.gaussians.means.detach())
    torch.testing.assert_close(moved[0], 4 * moved[1], rtol=1e-5, atol=0)


def test_relocation_depends_on_the_seed():
    ends = []
    for seed in (1, 1, 2):
        crowded = population([0.5] * 10 + [0.01] * 10)
        chain(noise=1e3).refine(
            crowded, context(means_rate=1.0, generator=torch.Generator().manual_seed(seed))
        )
        ends.append(crowded.gaussians)
    assert same(ends[0], ends[1])
    assert numbers(ends[0]) != numbers(ends[2])


def test_it_has_no_state():
    densifier = chain()
    assert densifier.state_dict() == {} and densifier.screen_gradient is None
    densifier.load_state_dict({})


def test_the_penalty_has_the_weights_of_the_configuration():
    camera = Camera(torch.eye(4), (8.0, 8.0), (4.0, 2.0), (8, 4))
    gaussians, seen = crowd([0.2, 0.6], 0.3), shot(camera=camera)
    opacity, scale = chain(opacity_weight=2.0, scale_weight=0.0), chain(opacity_weight=0.0, scale_weight=2.0)
    assert float(opacity.penalty(gaussians, seen)) == pytest.approx(0.8)
    assert float(scale.penalty(gaussians, seen)) == pytest.approx(0.3 / 10 + 0.3 / 11)
