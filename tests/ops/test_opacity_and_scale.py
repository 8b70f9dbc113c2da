"""The penalty on opacities and scales."""

import math

import pytest
import torch

from sfumato import ops
from sfumato.errors import ConfigError
from sfumato.ops.reference import opacity_and_scale
from support.op_scenes import assert_finite_differences

AT_ORIGIN = torch.zeros(3, dtype=torch.float64)


def inputs(opacities=(0.2, 0.6), scales=((0.1, 0.2, 0.3), (0.4, 0.5, 0.9)), distances=(2.0, 3.0)):
    """Log scales, logits and means along the x axis."""
    made = torch.tensor(opacities, dtype=torch.float64), torch.tensor(scales, dtype=torch.float64)
    means = torch.zeros(len(opacities), 3, dtype=torch.float64)
    means[:, 0] = torch.tensor(distances)
    return made[1].log(), made[0].logit(), means


@pytest.mark.parametrize("weights, price", [((1, 0), 0.4), ((0, 1), 0.15), ((3, 5), 1.95), ((0, 0), 0.0)])
def test_it_is_the_mean_opacity_and_the_mean_scale_by_distance(weights, price):
    penalty = opacity_and_scale(*inputs(), AT_ORIGIN, 0.1, *weights)
    assert penalty.shape == ()
    # 0.2 / 2 and 0.6 / 3 on average.
    assert float(penalty) == pytest.approx(price)


def test_those_close_to_the_camera_count_as_at_the_least_distance():
    near, far = (opacity_and_scale(*inputs(distances=(d, d)), AT_ORIGIN, 2.0, 0.0, 1.0) for d in (0.0, 2.0))
    torch.testing.assert_close(near, far)


def test_it_does_not_depend_on_the_units_of_the_scene():
    log_scales, logits, means = inputs()
    larger = log_scales + math.log(100), logits, 100 * means
    ours = opacity_and_scale(log_scales, logits, means, AT_ORIGIN, 0.5, 1.0, 1.0)
    torch.testing.assert_close(opacity_and_scale(*larger, AT_ORIGIN, 50.0, 1.0, 1.0), ours)


def test_gradients():
    log_scales, logits, means = inputs()
    of = {"log_scales": log_scales, "logit_opacities": logits}
    assert_finite_differences(
        lambda log_scales, logit_opacities: opacity_and_scale(
            log_scales, logit_opacities, means, AT_ORIGIN, 2.5, 3.0, 5.0
        ),
        of,
    )


def test_gradients_reduce_opacities_and_scales_and_leave_the_means():
    log_scales, logits, means = (tensor.requires_grad_() for tensor in inputs(distances=(2.0, 2.0)))
    ops.opacity_and_scale(
        log_scales, logits, means, AT_ORIGIN, least_distance=0.1, opacity_weight=3.0, scale_weight=5.0
    ).backward()
    opacities, scales = logits.detach().sigmoid(), log_scales.detach().exp()
    torch.testing.assert_close(logits.grad, 3 * opacities * (1 - opacities) / 2)
    torch.testing.assert_close(log_scales.grad, 5 / 2.0 * scales / 6)
    assert means.grad is None


@pytest.mark.kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_values(dtype):
    # Logits whose exponential overflows; a mean at the camera; no Gaussians at all.
    logits = torch.tensor([-1e3, 1e3], dtype=dtype, requires_grad=True)
    zeros = torch.zeros(2, 3, dtype=dtype, requires_grad=True)
    settings = {"least_distance": 0.5, "opacity_weight": 1.0, "scale_weight": 1.0}
    centre = AT_ORIGIN.to(dtype)
    penalty = ops.opacity_and_scale(zeros, logits, zeros, centre, **settings)
    assert penalty.item() == pytest.approx(0.5 + 2.0)
    penalty.backward()
    assert not logits.grad.any() and torch.allclose(zeros.grad, torch.full_like(zeros, 1 / 3))
    nothing = torch.zeros(0, 3, dtype=dtype)
    assert float(ops.opacity_and_scale(nothing, nothing[:, 0], nothing, centre, **settings)) == 0.0


@pytest.mark.kernels
def test_not_a_number_stays_one():
    values = [tensor.float() for tensor in inputs()]
    values[2][0, 0] = math.nan
    settings = {"least_distance": 0.5, "opacity_weight": 1.0, "scale_weight": 1.0}
    assert ops.opacity_and_scale(*values, AT_ORIGIN.float(), **settings).isnan()


def test_no_least_distance():
    with pytest.raises(ConfigError, match=r"least_distance is 0\.0"):
        ops.opacity_and_scale(*inputs(), AT_ORIGIN, least_distance=0.0, opacity_weight=1.0, scale_weight=1.0)
