"""The penalty on opacities and scales."""

from dataclasses import replace

import pytest
import torch

from sfumato.training.densify.penalty import opacity_and_scale
from support.crowd import NAMES, crowd


def gaussians():
    return crowd([0.2, 0.6], [[0.1, 0.2, 0.3], [0.4, 0.5, 0.9]], dtype=torch.float64)


def away(*distances):
    return torch.tensor(distances, dtype=torch.float64)


def test_it_is_the_mean_opacity_and_the_mean_scale():
    price = opacity_and_scale(gaussians(), away(2.0, 3.0), opacity_weight=3.0, scale_weight=5.0)
    assert price.shape == ()
    assert float(price) == pytest.approx(3 * 0.4 + 5 * (0.2 / 2 + 0.6 / 3) / 2)


@pytest.mark.parametrize("weights, price", [((1.0, 0.0), 0.4), ((0.0, 1.0), 0.2)])
def test_each_term_can_be_disabled(weights, price):
    one = opacity_and_scale(gaussians(), away(2.0, 2.0), opacity_weight=weights[0], scale_weight=weights[1])
    assert float(one) == pytest.approx(price)


def test_without_weights_there_is_no_term():
    assert opacity_and_scale(gaussians(), away(2.0, 2.0), opacity_weight=0.0, scale_weight=0.0) is None


def test_it_does_not_depend_on_the_units_of_the_scene():
    scene = gaussians()
    larger = replace(scene, means=scene.means * 100, log_scales=(scene.scales * 100).log())
    prices = [
        opacity_and_scale(made, away(unit, 3 * unit), opacity_weight=1.0, scale_weight=1.0)
        for made, unit in ((scene, 2.0), (larger, 200.0))
    ]
    torch.testing.assert_close(*prices)


def test_gradients_reduce_opacities_and_scales():
    leaves = gaussians().map(lambda t: t.requires_grad_())
    opacity_and_scale(leaves, away(2.0, 2.0), opacity_weight=3.0, scale_weight=5.0).backward()
    opacities, scales = leaves.opacities.detach(), leaves.scales.detach()
    torch.testing.assert_close(leaves.logit_opacities.grad, 3 * opacities * (1 - opacities) / 2)
    torch.testing.assert_close(leaves.log_scales.grad, 5 / 2.0 * scales / 6)
    assert all(getattr(leaves, name).grad is None for name in set(NAMES) - {"logit_opacities", "log_scales"})
