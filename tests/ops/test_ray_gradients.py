"""Analytic gradients of ray tracing, against autograd of the reference and finite differences."""

import pytest
import torch

from sfumato.ops.reference import trace
from sfumato.ops.reference.ray_gradients import trace_backward
from support.equation_scenes import WHOLE, agree, differences, traced
from support.op_scenes import weighted_sum

OUTPUTS = ("image", "alpha", "distance")


def opaque():
    scene = traced(40, 9, seed=5)
    return {**scene, "opacities": 1 - scene["opacities"] * 1e-3}


def needles():
    scene = traced(30, 9, seed=6)
    return {**scene, "scales": scene["scales"] * torch.tensor([30.0, 1.0, 0.03])}


def nothing():
    scene = traced(1, 3)
    rows = ("means", "quats", "scales", "opacities", "colours")
    return {name: value[:0] if name in rows else value for name, value in scene.items()}


CASES = {
    "smooth": (traced, WHOLE, 1e-10),
    "colours-of-each-ray": (lambda: traced(own_colours=True), WHOLE, 1e-10),
    "skipped-and-stopped": (lambda: traced(60, 12), {"near": 0.5, "far": 4.0}, 1e-10),
    "held-at-the-bound": (opaque, {"near": 0.0, "far": 1e4}, 1e-10),
    # The condition number of the inverse covariance is the square of that of the frame used by ``trace``.
    "needles": (needles, WHOLE, 1e-6),
    "no-gaussians": (nothing, WHOLE, 1e-10),
    "no-rays": (lambda: traced(4, 0), WHOLE, 1e-10),
}


def upstream(outputs):
    random = torch.Generator().manual_seed(1)
    return [torch.randn(output.shape, generator=random, dtype=torch.float64) for output in outputs]


def of_autograd(inputs, options, grads=None):
    leaves = {name: value.clone().requires_grad_() for name, value in inputs.items()}
    outputs = trace(**leaves, **options)
    grads = upstream(outputs) if grads is None else grads
    found = torch.autograd.grad(outputs, list(leaves.values()), grads, materialize_grads=True)
    return grads, dict(zip(leaves, found, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_equal_to_autograd_of_the_definition(case):
    make, options, tolerance = CASES[case]
    inputs = make()
    grads, wanted = of_autograd(inputs, options)
    found = trace_backward(*grads, **inputs, **options)._asdict()
    assert set(found) == set(wanted)
    for name, target in wanted.items():
        assert found[name].shape == target.shape
        if target.numel():
            error = (found[name] - target).abs().max() / target.abs().max().clamp_min(1e-3)
            assert error < tolerance, f"gradient of {name}: {error:.1e}"


def test_the_cases_have_the_intended_properties():
    make, options, _ = CASES["skipped-and-stopped"]
    cut, whole = (trace(**make(), **each)[1] for each in (options, WHOLE))
    assert ((cut - whole).abs() > 1e-3).any()
    inputs = opaque()
    _, alone = of_autograd({**inputs, "opacities": inputs["opacities"] * 0.9}, CASES["held-at-the-bound"][1])
    _, held = of_autograd(inputs, CASES["held-at-the-bound"][1])
    assert (held["opacities"] == 0).sum() > (alone["opacities"] == 0).sum()


@pytest.mark.parametrize("output", range(3), ids=OUTPUTS)
def test_equal_to_differences(output):
    inputs = traced(4, 3)
    outputs = trace(**inputs, **WHOLE)
    only = [torch.zeros_like(each) for each in outputs]
    leaf = outputs[output].clone().requires_grad_()
    (only[output],) = torch.autograd.grad(weighted_sum(leaf), leaf)
    found = trace_backward(*only, **inputs, **WHOLE)._asdict()
    for name, value in inputs.items():

        def moved(changed, name=name):
            return weighted_sum(trace(**{**inputs, name: changed}, **WHOLE)[output])

        agree(found[name], differences(moved, value, step=2e-4), 1e-7)


@pytest.mark.parametrize(
    ("name", "row", "value"),
    [
        ("means", 2, torch.nan),
        ("scales", 2, 0.0),
        ("quats", 2, 0.0),
        ("opacities", 2, torch.nan),
        ("directions", 1, 0.0),
        ("directions", 1, torch.nan),
        ("origins", 1, torch.inf),
    ],
)
def test_an_invalid_row_has_no_gradient_and_does_not_affect_others(name, row, value):
    inputs, options = traced(), {"near": 0.0, "far": 1e4}
    broken = {**inputs, name: inputs[name].clone()}
    broken[name][row] = value
    grads = upstream(trace(**inputs, **options))
    found = trace_backward(*grads, **broken, **options)._asdict()
    assert all(gradient.isfinite().all() for gradient in found.values())
    assert not found[name][row].any()
    rays, rows = ("origins", "directions"), ("means", "quats", "scales", "opacities", "colours")
    dropped = rays if name in rays else rows
    keep = torch.arange(len(inputs[name])) != row
    rest = {key: value[keep] if key in dropped else value for key, value in inputs.items()}
    kept_grads = [each[keep] for each in grads] if name in rays else grads
    wanted = of_autograd(rest, options, kept_grads)[1]
    for key in ("means", "origins"):
        agree(found[key][keep] if key in dropped else found[key], wanted[key], 1e-10)
