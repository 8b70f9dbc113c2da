"""Free rays through the hierarchy, against the reference."""

from importlib import import_module

import numba
import pytest
import torch

from sfumato import ops
from sfumato.errors import ConfigError, ShapeError
from support.op_scenes import assert_gradients_close, converted, gaussians, gradients
from support.trace_scenes import SCENES, scene

pytestmark = pytest.mark.kernels

FORWARD, BACKWARD = 1e-4, 1e-3
LIMITS = {"near": 0.01, "far": 1e10}
RAYS = 300


def inputs_of(change=None, n=40, scattered=True):
    """Inputs of ops.trace_rays by name: rays from near a point, or from everywhere."""
    given = scene(change, n)
    random = torch.Generator().manual_seed(5)
    directions = given.pop("directions").reshape(-1, 3)
    eye = given.pop("eye")
    rows = torch.randperm(len(directions), generator=random)[:RAYS]
    begins = 0.3 * torch.randn(RAYS, 3, generator=random) if scattered else torch.zeros(RAYS, 3)
    given["features"] = given.pop("colours")
    given["origins"], given["directions"] = eye + begins, directions[rows].clone()
    return {name: given[name] for name in ("means", "quats", "scales", "opacities", "features", "origins",
                                           "directions", "background")}  # fmt: skip


def outputs_of(inputs, **options):
    return ops.trace_rays(**inputs, **{**LIMITS, **options})


def assert_agrees(inputs, **options):
    found, wanted = outputs_of(inputs, **options), outputs_of(converted(inputs, torch.float64), **options)
    for name, got, target in zip(("image", "alpha", "distance"), found, wanted, strict=True):
        error = ((got.double() - target).norm() / target.norm()).item()
        assert error < FORWARD, f"{name}: relative error {error:.1e}"
    assert_gradients_close(
        gradients(lambda **leaves: outputs_of(leaves, **options), inputs),
        gradients(lambda **leaves: outputs_of(leaves, **options), converted(inputs, torch.float64)),
        BACKWARD,
    )


@pytest.mark.parametrize("name", SCENES)
def test_agrees_with_the_definition(name):
    # Scattered rays would miss tiny Gaussians.
    assert_agrees(inputs_of(SCENES[name], scattered=name != "tiny"))


@pytest.mark.slow
def test_colours_depend_on_the_origin_of_each_ray():
    inputs = inputs_of()
    inputs["features"] = gaussians(40, dtype=torch.float32)["sh"]
    assert_agrees(inputs, degree=3)


def test_more_than_the_nearest_hits_are_blended():
    n = 500
    inputs = inputs_of(n=n)
    inputs["means"] = torch.tensor([0.0, 0.0, 3.0]) + 0.02 * inputs["means"]
    inputs["opacities"] = torch.full((n,), 0.02)
    found, wanted = outputs_of(inputs), outputs_of(converted(inputs, torch.float64))
    torch.testing.assert_close(found[0].double(), wanted[0], rtol=0, atol=1e-4)


def test_rays_from_everywhere_to_everywhere():
    random = torch.Generator().manual_seed(3)
    inputs = inputs_of()
    inputs["origins"] = 4 * torch.randn(RAYS, 3, generator=random)
    inputs["directions"] = torch.randn(RAYS, 3, generator=random)
    assert_agrees(inputs)


@pytest.mark.parametrize(
    ("field", "value"),
    [("means", float("nan")), ("scales", 0.0), ("quats", 0.0), ("opacities", float("nan")), ("scales", -1.0)],
)
def test_an_invalid_gaussian_is_invisible_and_does_not_affect_others(field, value):
    inputs = inputs_of(n=20)
    inputs[field][7] = value
    keep = torch.arange(20) != 7
    others = {name: t[keep] if len(t) == 20 else t for name, t in inputs.items()}
    for got, wanted in zip(outputs_of(inputs), outputs_of(others), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
    grads = gradients(lambda **leaves: outputs_of(leaves), inputs)
    assert all(torch.isfinite(gradient).all() for gradient in grads.values())


def test_rays_without_a_direction_see_the_background():
    inputs = inputs_of()
    inputs["directions"][:9] = 0.0
    image, alpha, distance = outputs_of(inputs)
    assert torch.equal(image[:9], inputs["background"].expand(9, 3))
    assert not alpha[:9].any() and not distance[:9].any() and alpha[9:].any()


def test_a_refitted_hierarchy_gives_the_same_results_as_a_new_one():
    before, after = inputs_of(), inputs_of()
    after["means"] = after["means"] + 0.3 * torch.randn(40, 3, generator=torch.Generator().manual_seed(1))
    shapes = [
        [values[name] for name in ("means", "quats", "scales", "opacities")] for values in (before, after)
    ]
    hierarchy = ops.Hierarchy.build(*shapes[0])
    hierarchy.refit(*shapes[1])
    for got, wanted in zip(outputs_of(after, hierarchy=hierarchy), outputs_of(after), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_results_are_identical_for_any_number_of_threads():
    inputs, before = inputs_of(n=200), numba.get_num_threads()
    found = []
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            grads = gradients(lambda **leaves: outputs_of(leaves), inputs)
            found.append([*outputs_of(inputs), *grads.values()])
    finally:
        numba.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_gaussians_are_checked_once(monkeypatch):
    # The package names the function like its module.
    module, checked = import_module("sfumato.ops.trace_rays"), []
    check = module.check_shapes
    monkeypatch.setattr(module, "check_shapes", lambda **named: checked.append(named) or check(**named))
    outputs_of(inputs_of(n=3))
    assert len(checked) == 1


def test_no_gaussians_and_no_rays():
    empty = inputs_of(n=0)
    assert torch.equal(outputs_of(empty)[0], empty["background"].expand(RAYS, 3))
    none = inputs_of()
    none["origins"], none["directions"] = torch.zeros(0, 3), torch.zeros(0, 3)
    assert outputs_of(none)[0].shape == (0, 3)


def test_wrong_input_is_named():
    inputs = inputs_of(n=5)
    with pytest.raises(ShapeError, match="directions"):
        outputs_of({**inputs, "origins": inputs["origins"][:4]})
    with pytest.raises(ConfigError):
        outputs_of({**inputs, "features": torch.zeros(5, 4, 3)}, degree=3)
