"""Colour through a sigmoid of spherical harmonics or of logits: reference and kernel."""

import pytest
import torch

from sfumato import ops
from sfumato.errors import ConfigError
from sfumato.ops import reference
from sfumato.ops.colour import FORMS
from support.op_scenes import assert_finite_differences, assert_gradients_close, gaussians, gradients

FORMS_AND_DEGREES = [("sh-sigmoid", 0), ("sh-sigmoid", 2), ("sh-sigmoid", 3), ("logit", 0)]
every_form = pytest.mark.parametrize(("form", "degree"), FORMS_AND_DEGREES)
CENTRE = torch.tensor([0.2, -0.4, -1.0], dtype=torch.float64)


def inputs(n=30, dtype=torch.float64):
    scene = gaussians(n)
    # Sums of both signs: the default form is clamped at zero, these are not.
    return {
        name: value.to(dtype)
        for name, value in {"sh": scene["sh"] * 5, "means": scene["means"], "camera_centre": CENTRE}.items()
    }


@every_form
def test_gradients_of_the_definition(form, degree):
    assert_finite_differences(
        lambda **moved: reference.colour(**moved, degree=degree, form=form), inputs(3), share=1e-5
    )


@every_form
def test_the_kernel_agrees_with_the_definition(form, degree):
    rounded = inputs(dtype=torch.float32)
    exact = {name: value.double() for name, value in rounded.items()}
    visible = torch.arange(30) % 3 > 0
    for seen in (None, visible):
        found = ops.colour(**rounded, degree=degree, visible=seen, form=form)
        wanted = reference.colour(**exact, degree=degree, visible=seen, form=form)
        assert (found - wanted).abs().max() < 1e-4
        assert seen is None or not found[~seen].any()

        def coloured(module, seen=seen, **moved):
            return module.colour(**moved, degree=degree, visible=seen, form=form)

        grads = gradients(lambda **moved: coloured(ops, **moved), rounded)
        assert_gradients_close(grads, gradients(lambda **moved: coloured(reference, **moved), exact), 1e-3)
        assert seen is None or not grads["sh"][~seen].any()
    doubled = ops.colour(**exact, degree=degree, form=form)
    assert torch.equal(doubled, reference.colour(**exact, degree=degree, form=form))


def test_negative_sums_have_a_gradient_through_a_sigmoid():
    for dtype in (torch.float32, torch.float64):
        sh = torch.full((1, 1, 3), -9.0, dtype=dtype, requires_grad=True)
        where = torch.ones(1, 3, dtype=dtype), torch.zeros(3, dtype=dtype)
        for form in FORMS:
            (grad,) = torch.autograd.grad(ops.colour(sh, *where, 0, form=form).sum(), sh)
            assert grad.any() == (form != "sh")


def test_invisible_rows_may_have_any_value():
    for dtype in (torch.float32, torch.float64):
        for form, degree in FORMS_AND_DEGREES:
            moved = {name: value.requires_grad_() for name, value in inputs(4, dtype).items()}
            with torch.no_grad():
                moved["sh"][1], moved["means"][1] = torch.nan, torch.nan
            visible = torch.tensor([True, False, True, True])
            seen = ops.colour(**moved, degree=degree, visible=visible, form=form)
            assert seen.isfinite().all() and not seen[1].any()
            grads = torch.autograd.grad(seen.sum(), list(moved.values()), materialize_grads=True)
            assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("form", "degree"), [("rgb", 0), ("logit", 1)])
def test_wrong_forms_are_named(dtype, form, degree):
    with pytest.raises(ConfigError, match=form):
        ops.colour(**inputs(3, dtype), degree=degree, form=form)


def test_no_gaussians():
    for form in FORMS:
        assert ops.colour(torch.zeros(0, 1, 3), torch.zeros(0, 3), torch.zeros(3), 0, form=form).shape == (
            0,
            3,
        )
