"""Adaptive density control: which and how many Gaussians it clones, splits and removes."""

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.maths.quaternions import rotation_from_quats
from sfumato.render.output import RasterizedGaussians
from sfumato.scene.cameras import Camera
from sfumato.training.config import AdcConfig, Schedule, TrainConfig
from sfumato.training.densify import make_densifier
from sfumato.training.densify.adc import AdaptiveDensityControl
from sfumato.training.densify.mcmc import MarkovChain
from support.crowd import NAMES, crowd, moments_come_from, numbers, population, same
from support.steps import AWAY, clearance, context, screen_gradients, shot

SCHEDULE = Schedule(refine_every=10, refine_share=0.0, refine_from=0.1, refine_until=0.5)
# With the progress of 0.3 of ``context`` a step of a run of 6,000, in which old Gaussians keep their moments.
IN_LONG_RUN = 1810
CONFIG = AdcConfig(threshold=1.0, split_scale=0.05 / AWAY, prune_opacity=0.1, prune_scale=0.5 / AWAY)
SMALL, LARGE = 0.01, 0.2


def control(**changes):
    return AdaptiveDensityControl(replace(CONFIG, **changes), SCHEDULE)


def seen(lengths, size=(4, 8), absolute=True):
    """A view after its backward pass, with screen-space gradients in units of half its width."""
    lengths = torch.as_tensor(lengths, dtype=torch.float32)
    grad = torch.stack([lengths / (0.5 * size[1]), torch.zeros_like(lengths)], dim=1)
    mean_px, probe = torch.zeros_like(grad), torch.zeros_like(grad) if absolute else None
    (probe if absolute else mean_px).grad = grad
    box = torch.ones(len(lengths), 2, dtype=torch.int32)
    return RasterizedGaussians(box[:, 0] > 0, box, mean_px, probe, size[::-1])


def viewer():
    """A camera at the origin."""
    return Camera(torch.eye(4), (8.0, 8.0), (4.0, 2.0), (8, 4))


def refined(now_many, pull, now=None, **changes):
    """Refine once after one view; returns what changed."""
    densifier = control(**changes)
    densifier.observe(screen_gradients(pull))
    return densifier.refine(now_many, now or context())


def test_the_configuration_names_the_strategy():
    assert isinstance(make_densifier(TrainConfig(strategy="adc")), AdaptiveDensityControl)
    assert isinstance(make_densifier(TrainConfig(strategy="mcmc")), MarkovChain)


def test_small_gaussians_are_cloned_and_large_ones_split():
    crowded = population([0.5, 0.5, 0.5], [SMALL, LARGE, SMALL])
    before = crowded.gaussians.detach()
    change = refined(crowded, [2.0, 2.0, 0.5])
    after = crowded.gaussians.detach()
    assert (change.added, change.removed) == (2, 0)
    assert numbers(after) == [0, 2, 0, 1, 1]
    assert same(after.select(torch.tensor([0, 1, 2])), before.select(torch.tensor([0, 2, 0])))


def test_sizes_are_relative_to_the_distance_of_the_nearest_camera():
    # At x = 10 and 13, with the nearest cameras at distances 4 and 3.
    seen = context(clearance=clearance((10.0, 4.0, 0.0), (13.0, 3.0, 0.0), (0.0, AWAY, 0.0)))
    crowded = population([0.5, 0.5, 0.5, 0.5], [2.1, 0.01, 0.01, 1.4])
    refined(crowded, [0.0] * 4, seen, prune_scale=0.5)
    assert numbers(crowded.gaussians) == [1, 2, 3]
    crowded = population([0.5, 0.5, 0.5, 0.5], [0.19, 0.01, 0.01, 0.16])
    refined(crowded, [2.0, 0.0, 0.0, 2.0], seen, prune_scale=0.5, split_scale=0.05)
    assert numbers(crowded.gaussians) == [0, 1, 2, 0, 3, 3], "one is cloned, the other split"


def test_a_distant_wall_is_kept_with_a_short_baseline():
    cameras = [(x, 0.0, 0.0) for x in (-1.0, 0.0, 1.0)]
    wall = population([0.5] * 3, 20.0)
    wall.gaussians.means.data[:, 1] = 41.0
    assert refined(wall, [0.0] * 3, context(clearance=clearance(*cameras)), prune_scale=1.0).removed == 0


def test_children_lie_along_the_longest_axis_of_their_parent():
    shapes = torch.tensor([[0.3, 0.1, 0.01], [0.1, 0.01, 0.3], [0.01, 0.3, 0.1]])
    crowded = population([0.5] * 3, shapes)
    before = crowded.gaussians.detach()
    refined(crowded, [2.0] * 3)
    after = crowded.gaussians.detach()
    assert numbers(after) == [0, 1, 2, 0, 1, 2]
    first, second = after.means[:3], after.means[3:]
    torch.testing.assert_close(0.5 * (first + second), before.means)
    world_from_local = rotation_from_quats(before.quats)
    local = (world_from_local.transpose(1, 2) @ (first - before.means)[..., None]).squeeze(-1)
    is_longest = shapes == 0.3
    torch.testing.assert_close(local, torch.where(is_longest, 0.75 * shapes, 0.0))
    torch.testing.assert_close(after.scales[:3], torch.where(is_longest, 0.6 * shapes, 0.85 * shapes))
    torch.testing.assert_close(after.scales[3:], after.scales[:3])
    torch.testing.assert_close(after.opacities, torch.full((6,), 0.3))
    copies = before.select(torch.arange(3).repeat(2))
    for name in ("quats", "sh"):
        assert torch.equal(getattr(after, name), getattr(copies, name))


def test_a_round_parent_has_children_along_one_axis():
    crowded = population([0.5], LARGE)
    refined(crowded, [2.0])
    assert len(crowded) == 2 and not torch.equal(*crowded.gaussians.means.detach())


@pytest.mark.parametrize("name", NAMES)
def test_new_gaussians_have_zero_moments_and_old_ones_keep_theirs(name):
    crowded = population([0.5, 0.5, 0.01, 0.5], [SMALL, LARGE, SMALL, SMALL])
    refined(crowded, [2.0, 2.0, 2.0, 0.0], context(step=IN_LONG_RUN))
    assert numbers(crowded.gaussians) == [0, 3, 0, 1, 1]
    assert moments_come_from(crowded, name) == [0, 3, -1, -1, -1]


@pytest.mark.parametrize("name", NAMES)
def test_in_short_runs_all_moments_restart(name):
    crowded = population([0.5, 0.5, 0.01, 0.5], [SMALL, LARGE, SMALL, SMALL])
    refined(crowded, [2.0, 2.0, 2.0, 0.0], context(step=1010))
    assert numbers(crowded.gaussians) == [0, 3, 0, 1, 1]
    assert moments_come_from(crowded, name) == [-1] * 5


@settings(max_examples=60)
@given(
    scores=st.lists(st.integers(0, 50), min_size=1, max_size=20, unique=True),
    faint=st.sets(st.integers(0, 19)),
    allowed=st.integers(0, 40),
    scale=st.sampled_from([SMALL, LARGE]),
)
def test_the_largest_gradients_are_chosen_within_the_budget(scores, faint, allowed, scale):
    n = len(scores)
    crowded = population([0.01 if i in faint else 0.5 for i in range(n)], scale)
    change = refined(
        crowded, [float(score) for score in scores], context(max_gaussians=allowed), threshold=10.0
    )
    kept = [i for i in range(n) if i not in faint]
    ranked = sorted((i for i in kept if scores[i] > 10), key=lambda i: -scores[i])
    winners = ranked[: max(allowed - len(kept), 0)]
    assert sorted(numbers(crowded.gaussians)) == sorted(kept + winners)
    assert len(crowded) <= max(allowed, len(kept))
    assert (change.added, change.removed) == (len(winners), n - len(kept))


@pytest.mark.parametrize("progress", [0.0, 0.3, 0.9])
def test_faint_huge_and_too_near_gaussians_are_removed(progress):
    crowded = population([0.5, 0.09, 0.5, 0.5, 0.11], [SMALL, SMALL, 0.6, SMALL, 0.4])
    before = crowded.gaussians.detach()
    before_a_lens = clearance((13.0, 0.2, 0.0), radius=0.3)
    now = context(step=6010, progress=progress, clearance=before_a_lens)
    change = refined(crowded, [0.0] * 5, now, prune_scale=0.5)
    stay = torch.tensor([0, 4])
    assert same(crowded.gaussians.detach(), before.select(stay))
    assert moments_come_from(crowded, "means") == stay.tolist()
    assert (change.added, change.removed) == (0, 3)


def test_one_long_axis_makes_a_gaussian_huge():
    crowded = population([0.5, 0.5], [[0.01, 0.01, 0.9], [0.01, 0.01, 0.4]])
    refined(crowded, [0.0, 0.0])
    assert numbers(crowded.gaussians) == [1]


@pytest.mark.parametrize(
    "progress, grows", [(0.05, False), (0.1, True), (0.49, True), (0.5, False), (0.9, False)]
)
def test_growth_is_limited_to_a_period_but_pruning_is_not(progress, grows):
    crowded = population([0.5, 0.01])
    change = refined(crowded, [9.0, 9.0], context(progress=progress))
    assert (change.added, change.removed) == (int(grows), 1)
    assert numbers(crowded.gaussians) == ([0, 0] if grows else [0])


def test_views_are_accumulated_between_refinements():
    densifier, crowded = control(), population([0.5, 0.5])
    for step in range(1, 10):
        densifier.observe(screen_gradients([1.5 if step > 4 else 0.0, 1.5 if step > 1 else 0.0]))
        assert densifier.refine(crowded, context(step=step)) is None
    assert len(crowded) == 2
    assert densifier.refine(crowded, context(step=10)).added == 1
    assert numbers(crowded.gaussians) == [0, 1, 1]


def test_faint_gaussians_are_removed_without_observed_views():
    densifier, crowded = control(), population([0.5, 1e-4])
    assert densifier.refine(crowded, context()).removed == 1
    assert numbers(crowded.gaussians) == [0]


def test_accumulated_gradients_are_used_once():
    densifier, crowded = control(), population([0.5])
    assert densifier.refine(crowded, context()).added == 0, "no view was observed yet"
    densifier.observe(screen_gradients([9.0]))
    assert densifier.refine(crowded, context()).added == 1
    assert densifier.refine(crowded, context()).added == 0
    densifier.observe(screen_gradients([0.0, 0.0]))
    assert densifier.refine(crowded, context()).added == 0


def test_views_that_did_not_see_a_gaussian_do_not_count():
    densifier, crowded = control(), population([0.5, 0.5, 0.5])
    densifier.observe(screen_gradients([1.5, 1.5, 0.0], visible=[True, True, False]))
    for _ in range(3):
        densifier.observe(screen_gradients([0.0, 0.0, 0.0], visible=[False, True, False]))
    densifier.refine(crowded, context())
    assert numbers(crowded.gaussians) == [0, 1, 2, 0]


@pytest.mark.parametrize("size", [(4, 8), (8, 4), (400, 30)])
def test_the_threshold_means_the_same_at_every_resolution(size):
    for pull, grows in ((1.01, 1), (0.99, 0)):
        densifier, crowded = control(), population([0.5])
        densifier.observe(screen_gradients(seen([pull], size).screen_gradient()))
        assert densifier.refine(crowded, context()).added == grows


@pytest.mark.parametrize("absolute", [True, False])
def test_both_kinds_of_gradient_are_supported(absolute):
    densifier, crowded = control(absolute_gradient=absolute), population([0.5])
    assert densifier.screen_gradient == ("absolute" if absolute else "signed")
    densifier.observe(screen_gradients(seen([0.9], absolute=absolute).screen_gradient()))
    assert densifier.refine(crowded, context()).added == 0
    densifier.observe(screen_gradients(seen([9.0], absolute=absolute).screen_gradient()))
    assert densifier.refine(crowded, context()).added == 1


def test_opacity_resets_also_reset_moments():
    densifier, crowded = control(reset_opacity_every=7), population([0.9, 0.15, 0.01])
    before = crowded.gaussians.opacities.detach().clone()
    densifier.refine(crowded, context(step=6))
    assert torch.equal(crowded.gaussians.opacities, before)
    densifier.refine(crowded, context(step=7))
    torch.testing.assert_close(crowded.gaussians.opacities.detach(), torch.tensor([0.2, 0.15, 0.01]))
    assert moments_come_from(crowded, "logit_opacities") == [-1, -1, -1]
    for name in set(NAMES) - {"logit_opacities"}:
        assert moments_come_from(crowded, name) == [0, 1, 2]
    assert crowded.gaussians.logit_opacities.requires_grad


def test_noise_is_an_option():
    for noise, still in ((0.0, True), (1e3, False)):
        crowded = population([0.001])
        before = crowded.gaussians.means.detach().clone()
        control(noise=noise).refine(crowded, context(step=1, means_rate=1.0))
        assert torch.equal(crowded.gaussians.means, before) == still


def test_the_penalty_has_the_weights_of_the_configuration():
    gaussians, far = crowd([0.2, 0.6], 0.3), shot(camera=viewer())
    opacity, scale = (
        control(opacity_weight=2.0, scale_weight=0.0, opacity_end_factor=1.0),
        control(scale_weight=2.0, opacity_weight=0.0),
    )
    assert float(opacity.penalty(gaussians, far)) == pytest.approx(0.8)
    for progress, share in ((0.0, 1.0), (0.5, 0.1), (1.0, 0.01)):
        fading = control(opacity_weight=2.0, scale_weight=0.0, opacity_end_factor=0.01)
        view = shot(camera=viewer(), progress=progress)
        assert float(fading.penalty(gaussians, view)) == pytest.approx(0.8 * share)
    # Distances of 10 and 11, or a fifth of the depth where that is more.
    assert float(scale.penalty(gaussians, far)) == pytest.approx(0.3 / 10 + 0.3 / 11)
    assert float(scale.penalty(gaussians, shot(camera=viewer(), depth=100.0))) == pytest.approx(0.6 / 20)


def views():
    generator = torch.Generator().manual_seed(3)
    return [3 * torch.rand(8, generator=generator) for _ in range(6)]


def test_saved_state_is_restored():
    ends = []
    for stops in (False, True):
        densifier, crowded = control(threshold=1.6), population([0.5] * 8, [SMALL, LARGE] * 4)
        for number, pull in enumerate(views()):
            densifier.observe(screen_gradients(pull, visible=pull > 0.5))
            if stops and number == 2:
                saved = copy.deepcopy(densifier.state_dict())
                densifier = control(threshold=1.6)
                densifier.load_state_dict(saved)
        densifier.refine(crowded, context())
        ends.append(crowded)
    assert 8 < len(ends[0]) < 16
    assert same(ends[0].gaussians, ends[1].gaussians)


def test_state_without_views_can_be_saved():
    densifier = control()
    densifier.load_state_dict(copy.deepcopy(control().state_dict()))
    assert densifier.refine(population([0.5]), context()).added == 0
