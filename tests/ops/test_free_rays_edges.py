"""Free rays: invalid, empty or wrong input; batches, threads, the checks of torch."""

import numba
import pytest
import torch

from sfumato.errors import SfumatoError
from sfumato.ops.reference.trace_rays import trace_rays as definition
from sfumato.ops.trace_rays import Hierarchy, trace_rays
from support.op_scenes import assert_gradients_close, gradients
from support.ray_scenes import FORWARD, LIMITS, PARTS, exactly, generator, inputs_of

pytestmark = pytest.mark.kernels


def spoilt(field, value):
    inputs = inputs_of("scattered", m=40)
    inputs[field] = inputs[field].clone()
    inputs[field][::5] = value
    return inputs


NAN, INF = float("nan"), float("inf")
BROKEN = [
    *((field, value) for field in PARTS for value in (NAN, INF, -INF)),
    *((field, 0.0) for field in ("quats", "scales", "opacities")),
    ("scales", -0.1),
    ("opacities", 1.0),
    ("opacities", -1.0),
    ("scales", 1e-42),
    ("scales", 1e30),
    ("means", 1e30),
    *(("origins", value) for value in (NAN, INF, 1e25)),
    *(("directions", value) for value in (NAN, INF, 0.0, 1e-30)),
]


@pytest.mark.parametrize(("field", "value"), BROKEN)
@pytest.mark.parametrize("degree", [None, 1])
def test_invalid_gaussians_are_not_hit_and_do_not_affect_others(field, value, degree):
    inputs = spoilt(field, value)
    if degree is not None:
        inputs["features"] = torch.randn(80, 4, 3, generator=generator(1)) * 0.4
    found = trace_rays(**inputs, **LIMITS, degree=degree)
    assert all(output.isfinite().all() for output in found)
    if field in ("origins", "directions"):
        if value != 1e-30:
            assert torch.equal(found[0][::5], inputs["background"].expand(8, 3))
            assert not found[1][::5].any()
    else:
        wanted = definition(**exactly(inputs), **LIMITS, degree=degree)
        assert (found[0] - wanted[0]).abs().max() < FORWARD
    grads = gradients(lambda **leaves: trace_rays(**leaves, **LIMITS, degree=degree), inputs)
    for name, gradient in grads.items():
        # A tiny Gaussian may have a huge gradient.
        assert not gradient.isnan().any(), name


def test_no_gaussians_and_no_rays():
    inputs = inputs_of("scattered", m=4)
    none = {name: inputs[name][:0] for name in ("means", "quats", "scales", "opacities", "features")}
    image, alpha, distance = trace_rays(**{**inputs, **none}, **LIMITS)
    assert torch.equal(image, inputs["background"].expand(4, 3))
    assert not alpha.any()
    assert not distance.any()
    empty = {name: inputs[name][:0] for name in ("origins", "directions")}
    assert trace_rays(**{**inputs, **empty}, **LIMITS)[0].shape == (0, 3)
    grads = gradients(lambda **leaves: trace_rays(**leaves, **LIMITS), {**inputs, **none, **empty})
    assert not any(gradient.any() for gradient in grads.values())


def test_a_hierarchy_can_be_reused_and_refitted():
    inputs = inputs_of("scattered", m=200)
    parts = [inputs[name] for name in PARTS]
    hierarchy = Hierarchy.build(*parts)
    for _ in range(2):
        found = trace_rays(**inputs, **LIMITS, hierarchy=hierarchy)
        for got, target in zip(found, trace_rays(**inputs, **LIMITS), strict=True):
            assert torch.equal(got, target)
        inputs["means"] = inputs["means"].flip(0) * 1.3
        inputs["scales"] = inputs["scales"] * 0.7
        inputs["opacities"] = 1 - inputs["opacities"]
        hierarchy.refit(*(inputs[name] for name in PARTS))


def test_batches_of_records_do_not_change_gradients(monkeypatch):
    from sfumato.ops.cpu.free_trace import batches as kernels

    inputs = inputs_of("huge", m=200)
    wanted = gradients(lambda **leaves: trace_rays(**leaves, **LIMITS), inputs)
    monkeypatch.setattr(kernels, "_RECORDS", 100)
    found = gradients(lambda **leaves: trace_rays(**leaves, **LIMITS), inputs)
    assert_gradients_close(found, wanted, 1e-6)


def test_bits_do_not_depend_on_the_threads():
    inputs = inputs_of("huge", m=500)
    inputs["features"] = torch.randn(60, 4, 3, generator=generator(1))
    before, found = (numba.get_num_threads(), torch.get_num_threads()), []
    try:
        for threads in ((1, 1), (before[0], 2)):
            numba.set_num_threads(threads[0])
            torch.set_num_threads(threads[1])
            grads = gradients(lambda **leaves: trace_rays(**leaves, **LIMITS, degree=1), inputs)
            found.append([*trace_rays(**inputs, **LIMITS, degree=1), *grads.values()])
    finally:
        numba.set_num_threads(before[0])
        torch.set_num_threads(before[1])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_float64_is_the_definition():
    inputs = exactly(inputs_of("scattered", m=10))
    hierarchy = Hierarchy.build(*(inputs[name] for name in PARTS))
    hierarchy.refit(*(inputs[name] for name in PARTS))
    found = trace_rays(**inputs, **LIMITS, hierarchy=hierarchy)
    for got, target in zip(found, definition(**inputs, **LIMITS), strict=True):
        assert torch.equal(got, target)


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({"means": torch.zeros(80, 2)}, {}),
        ({"features": torch.zeros(79, 3)}, {}),
        ({"origins": torch.zeros(7, 3)}, {}),
        ({"directions": torch.zeros(10, 3, dtype=torch.float64)}, {}),
        ({"background": torch.zeros(4)}, {}),
        ({"features": torch.zeros(80, 3, 3)}, {"degree": 1}),
        ({"features": torch.zeros(80, 16, 3)}, {"degree": 4}),
        ({"features": torch.zeros(80, 16, 3)}, {}),
        ({name: torch.ones(79, k) for name, k in (("means", 3), ("quats", 4), ("scales", 3), ("features", 3))}
         | {"opacities": torch.ones(79)}, {"hierarchy": True}),
    ],
)  # fmt: skip
def test_wrong_shapes_are_named(change, options):
    inputs = inputs_of("scattered", m=10)
    if options.get("hierarchy"):
        parts = (inputs[name] for name in PARTS)
        options = {"hierarchy": Hierarchy.build(*parts)}
    with pytest.raises(SfumatoError) as caught:
        trace_rays(**{**inputs, **change}, **LIMITS, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_the_operation_passes_the_checks_of_torch():
    inputs = inputs_of("scattered", m=10)
    compiled = torch.compile(lambda **leaves: trace_rays(**leaves, **LIMITS), backend="aot_eager")
    for got, target in zip(compiled(**inputs), trace_rays(**inputs, **LIMITS), strict=True):
        assert torch.equal(got, target)
    parts = [inputs[name] for name in PARTS]
    torch.library.opcheck(torch.ops.sfumato.hierarchy.default, parts)
    tree, limits = Hierarchy.build(*parts).arrays, torch.tensor([[0.01], [1e10]], dtype=torch.float64)
    leaves = [inputs[name] for name in ("origins", "directions", "background")]
    leaves = [t.clone().requires_grad_() for t in (*parts, inputs["features"][:, None], *leaves)]
    torch.library.opcheck(torch.ops.sfumato.trace_rays.default, (*leaves, tree, limits, -1))
