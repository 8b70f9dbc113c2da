"""Noise moves faint Gaussians and leaves opaque ones in place."""

import pytest
import torch

from sfumato.maths.quaternions import rotation_from_quats
from sfumato.training.densify.noise import shake
from support.crowd import NAMES, crowd


def moved(gaussians, strength=1.0, seed=0):
    """[n, 3] displacement of each mean, world frame."""
    before = gaussians.means.detach().clone()
    shake(gaussians, strength, torch.Generator().manual_seed(seed))
    return gaussians.means.detach() - before


def spread(opacity, n=2000):
    """Standard deviation of the displacement of round Gaussians of scale 1."""
    return float(moved(crowd([opacity] * n, 1.0, dtype=torch.float64)).std())


def test_faint_gaussians_move_and_opaque_ones_stay():
    assert spread(0.001) > 0.55
    assert spread(0.005) == pytest.approx(0.5, abs=0.03)
    assert spread(0.1) < 1e-4
    assert spread(0.9) < 1e-30


def test_noise_has_the_covariance_of_each_gaussian():
    n, shape = 4000, torch.tensor([0.5, 0.2, 0.01], dtype=torch.float64)
    gaussians = crowd([0.005] * n, shape.expand(n, 3), dtype=torch.float64)
    local_from_world = rotation_from_quats(gaussians.quats).transpose(1, 2)
    local = (local_from_world @ moved(gaussians, strength=3.0)[..., None]).squeeze(-1)
    torch.testing.assert_close(local.std(dim=0), 3.0 * 0.5 * shape**2, rtol=0.06, atol=0)
    assert (local.mean(dim=0).abs() < 0.06 * 3.0 * 0.5 * shape**2).all()


def test_noise_is_proportional_to_its_strength():
    first, second = (moved(crowd([0.001] * 5), strength) for strength in (1e3, 3e3))
    torch.testing.assert_close(second, 3 * first, rtol=1e-2, atol=1e-4)
    assert first.abs().max() > 1e-2
    assert not moved(crowd([0.001] * 5), 0.0).any()


def test_only_means_change_and_remain_the_same_tensor():
    gaussians = crowd([0.001] * 5).map(lambda t: t.requires_grad_())
    before = gaussians.map(lambda t: t.detach().clone())
    assert moved(gaussians, 1e3).any()
    for name in set(NAMES) - {"means"}:
        assert torch.equal(getattr(gaussians, name), getattr(before, name))
    assert gaussians.means.is_leaf and gaussians.means.requires_grad and gaussians.means.grad is None


def test_noise_depends_on_the_seed():
    first, second, third = (moved(crowd([0.001] * 5), 1e3, seed) for seed in (1, 1, 2))
    assert torch.equal(first, second) and not torch.equal(first, third)
