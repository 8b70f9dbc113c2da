"""Eq. 50 to 62 of the derivation: the optimiser step and the parametrisation."""

import pytest
import torch

from sfumato.maths.colour_logits import MARGIN, logits_from_colours
from sfumato.maths.quaternions import normalised, rotation_from_quats
from sfumato.ops.reference import adam_step, colour, trace
from sfumato.ops.reference.parameter_gradients import grad_log_scales, grad_logits
from sfumato.ops.reference.ray_gradients import trace_backward
from sfumato.scene.gaussians import Gaussians
from support.equation_scenes import (
    WHOLE,
    agree,
    by_hand,
    differ,
    differences,
    equations,
    exact,
    image_weights,
    traced,
)
from support.op_scenes import gaussians

RATE = 1e-2


def loss(scene, **changed):
    return (trace(**{**scene, **changed}, **WHOLE)[0] * image_weights(scene)).sum()


def gradients(scene):
    none = torch.zeros(len(scene["origins"]), dtype=torch.float64)
    return trace_backward(image_weights(scene), none, none, **scene, **WHOLE)


def stepped(values, gradient, rate=RATE):
    """``values`` after a step of plain gradient descent, which is Adam without moments."""
    values, large = values.clone(), 1e10
    adam_step(
        values, gradient, torch.zeros_like(values), torch.zeros_like(values),
        torch.ones(len(values), dtype=torch.bool), rate=rate * large, beta1=0.0, beta2=0.0, epsilon=large,
        step=1,
    )  # fmt: skip
    return values


@equations(50, 51, 52)
def test_gradient_descent_is_what_adam_is_without_its_moments():
    scene = traced()
    found = gradients(scene)
    for name in ("means", "quats", "scales", "opacities", "colours"):
        gradient = getattr(found, name)
        after = stepped(scene[name], gradient, 1e-4)
        agree(after - scene[name], -1e-4 * gradient, 1e-6)
        assert loss(scene, **{name: after}) < loss(scene)


@equations(53, 54)
def test_a_quaternion_turns_alike_normalised_after_the_step_or_where_it_is_used():
    scene = traced()
    found = gradients(scene).quats
    after = stepped(scene["quats"], found)
    for quat, unit in zip(after, normalised(after), strict=True):
        agree(unit, quat / quat.dot(quat).sqrt(), 1e-12)
    agree(rotation_from_quats(after), rotation_from_quats(normalised(after)), 1e-12)
    agree(trace(**{**scene, "quats": after}, **WHOLE)[0], by_hand(scene, quats=normalised(after)).image)
    # The gradient has no component along the quaternion, so a step never shortens it.
    assert (after.norm(dim=1) >= scene["quats"].norm(dim=1)).all()


@equations(55, 56)
def test_scales_step_in_their_logarithm():
    scene = traced()
    log_scales, grad_scales = scene["scales"].log(), gradients(scene).scales
    found = grad_log_scales(grad_scales, scene["scales"])
    agree(found, differences(lambda moved: loss(scene, scales=moved.exp()), log_scales))
    differ(grad_scales, found)
    record = Gaussians(
        scene["means"], log_scales, scene["quats"], scene["opacities"].logit(), torch.zeros(7, 1, 3).double()
    )
    agree(record.scales, scene["scales"], 1e-12)
    # A step of the scale itself, as printed, does not keep it positive; one of the logarithm does.
    rate = 2 * (scene["scales"] / grad_scales.abs()).min().item()
    assert (stepped(scene["scales"], grad_scales.abs(), rate) < 0).any()
    assert (stepped(log_scales, found, rate).exp() > 0).all()


@equations(57, 58)
def test_opacities_step_in_their_logit():
    scene = traced()
    logits, grad_opacities = scene["opacities"].logit(), gradients(scene).opacities
    found = grad_logits(grad_opacities, scene["opacities"])
    agree(found, differences(lambda moved: loss(scene, opacities=moved.sigmoid()), logits))
    differ(grad_opacities, found)
    # Here alpha is clamped to 0.999, not the opacity: alphas differ by at most a thousandth.
    opaque = torch.linspace(4, 12, 7, dtype=torch.float64)
    responses = by_hand(scene).response
    here = (opaque.sigmoid() * responses).clamp_max(0.999)
    printed = opaque.sigmoid().clamp(0, 0.999) * responses
    assert 0 < (here - printed).abs().max() < 1e-3
    seen = trace(**{**scene, "opacities": opaque.sigmoid()}, **WHOLE)[0]
    agree(seen, by_hand(scene, opacities=opaque.sigmoid().clamp(0, 0.999)).image, 5e-3)


@equations(59)
def test_colours_step_in_their_logit():
    scene = traced()
    found = grad_logits(gradients(scene).colours, scene["colours"])
    logits = scene["colours"].logit()
    agree(found, differences(lambda moved: loss(scene, colours=moved.sigmoid()), logits))
    differ(gradients(scene).colours, found)
    seen = stepped(logits, found, 100.0).sigmoid()
    assert ((seen > 0) & (seen < 1)).all()
    raw = stepped(scene["colours"], gradients(scene).colours, 100.0)
    assert not ((raw > 0) & (raw < 1)).all()


@equations(60, 61, 62)
def test_logit_colour_and_back():
    colours = exact([[0.2, 0.5, 0.9], [-0.1, 0.0, 1.0], [1.7, 1e-6, 0.003]])
    logits = logits_from_colours(colours)
    inside = colours.clamp(MARGIN, 1 - MARGIN)
    agree(logits, torch.log(inside / (1 - inside)), 1e-12)
    assert logits.isfinite().all()
    # Clamped to [0, 1], as printed, the logit is infinite at the ends.
    assert torch.logit(colours.clamp(0, 1)).isinf().any()
    means, centre = torch.randn(3, 3).double(), torch.zeros(3).double()
    seen = colour(logits[:, None], means, centre, 0, form="logit")
    agree(seen, 1 / (1 + torch.exp(-logits)), 1e-12)
    agree(seen, colours.clamp(0, 1), MARGIN * 1.001)
    # In 8 bits nothing is lost.
    bytes_of = torch.arange(256, dtype=torch.float64)[:, None].expand(-1, 3) / 255
    back = colour(logits_from_colours(bytes_of)[:, None], bytes_of, centre, 0, form="logit")
    assert (back - bytes_of).abs().max() <= MARGIN * 1.001
    found = grad_logits(torch.ones_like(seen), seen)
    agree(found, differences(lambda moved: moved.sigmoid().sum(), logits))


@equations(60, 61)
def test_no_gradient_where_a_colour_is_cut_off():
    colours = torch.tensor([[0.2, -0.5, 1.5]], dtype=torch.float64, requires_grad=True)
    logits_from_colours(colours).sum().backward()
    assert (colours.grad != 0).tolist() == [[True, False, False]]
    assert colours.grad[0, 0].item() == pytest.approx(1 / (0.2 * 0.8))


@equations(2)
def test_both_sigmoids_are_the_same_where_there_is_one_coefficient():
    scene = gaussians(4, degree=0)
    centre = torch.zeros(3, dtype=torch.float64)
    through = colour(scene["sh"], scene["means"], centre, 0, form="sh-sigmoid")
    half_over_root_pi = 0.5 / torch.pi**0.5
    agree(through, colour(scene["sh"] * half_over_root_pi, scene["means"], centre, 0, form="logit"), 1e-12)
