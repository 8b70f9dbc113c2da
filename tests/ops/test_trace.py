"""Tracing against the reference: scenes that break approximations, rays of any lens, invalid input."""

import numba
import pytest
import torch
from torch.library import opcheck

from sfumato import ops
from sfumato.errors import ShapeError
from sfumato.ops import reference
from sfumato.ops.cpu.image_trace.hits import PART
from support.op_scenes import assert_gradients_close, converted, gradients
from support.trace_scenes import HEIGHT, SCENES, WIDTH, behind, inside, needles, pinhole, scene, sphere

pytestmark = pytest.mark.kernels

FORWARD, BACKWARD = 1e-4, 1e-3
LIMITS = {"near": 0.01, "far": 1e10}


def outputs_of(inputs, **options):
    return ops.trace(**inputs, **LIMITS, **options)[:3]


def assert_agrees(inputs, forward=FORWARD, backward=BACKWARD):
    """Values and gradients in float32 against the reference in float64."""
    found, wanted = outputs_of(inputs), outputs_of(converted(inputs, torch.float64))
    for name, got, target in zip(("image", "alpha", "distance"), found, wanted, strict=True):
        error = ((got.double() - target).norm() / target.norm()).item()
        assert error < forward, f"{name}: relative error {error:.1e}"
    assert_gradients_close(
        gradients(lambda **leaves: outputs_of(leaves), inputs),
        gradients(lambda **leaves: outputs_of(leaves), converted(inputs, torch.float64)),
        backward,
    )


@pytest.mark.parametrize("name", SCENES)
def test_agrees_with_the_definition(name):
    assert_agrees(scene(SCENES[name]))


def test_the_whole_sphere_and_pixels_without_a_ray():
    inputs = scene(behind, directions=sphere())
    assert_agrees(inputs)
    image, alpha, distance = outputs_of(inputs)
    assert torch.equal(image[:7, :9], inputs["background"].expand(7, 9, 3))
    assert not alpha[:7, :9].any() and not distance[:7, :9].any()


def test_rays_with_different_origins():
    offsets = 0.2 * torch.randn(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(2))
    for change in (None, inside, needles):
        assert_agrees({**scene(change), "offsets": offsets})


def test_hundreds_of_overlapping_gaussians_are_blended_in_order():
    n = 500
    inputs = scene(n=n)
    inputs["means"] = torch.tensor([0.0, 0.0, 3.0]) + 0.02 * inputs["means"]
    inputs["opacities"] = torch.full((n,), 0.02)
    found, wanted = outputs_of(inputs), outputs_of(converted(inputs, torch.float64))
    # Two Gaussians with equal rounded distances may swap, which changes colours by the square of the opacity.
    torch.testing.assert_close(found[0].double(), wanted[0], rtol=0, atol=1e-3)


@pytest.mark.parametrize("opacity", [0.008, 0.5])
def test_lists_of_many_parts_are_blended_in_order(opacity):
    """Large intersecting plates: Gaussians of later parts of a list are hit before those of earlier parts."""
    n = 3 * PART
    inputs = scene(n=n)
    random = torch.Generator().manual_seed(2)
    inputs["means"] = torch.randn(n, 3, generator=random) * torch.tensor([0.3, 0.3, 1.0]) + torch.tensor(
        [0, 0, 4]
    )
    inputs["scales"] = torch.tensor([1.5, 1.0, 0.05]).expand(n, 3).clone()
    inputs["opacities"] = torch.full((n,), opacity)
    inputs["directions"] = pinhole()[::6, ::6].contiguous()
    found, wanted = outputs_of(inputs), outputs_of(converted(inputs, torch.float64))
    # Hits with equal rounded distances may be in either order.
    for got, target in zip(found[:2], wanted[:2], strict=True):
        assert ((got.double() - target).abs() > 1e-4).double().mean() < 0.05


def test_each_ray_has_its_own_order():
    """Two crossing plates: neither is in front everywhere, which a common order cannot represent."""
    half = 0.5**0.5
    inputs = {
        "means": torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, 2.0001]]),
        "quats": torch.tensor([[0.924, 0.0, 0.383, 0.0], [0.924, 0.0, -0.383, 0.0]]),
        "scales": torch.tensor([[half, half, 1e-3]] * 2),
        "opacities": torch.full((2,), 0.99),
        "colours": torch.eye(3)[:2],
        "eye": torch.zeros(3),
        "directions": pinhole(),
        "background": torch.zeros(3),
    }
    image = outputs_of(inputs)[0][HEIGHT // 2]
    left, right = image[WIDTH // 4], image[3 * WIDTH // 4]
    assert (left[0] > left[1]) != (right[0] > right[1])
    depths = torch.tensor([2.0, 2.0001])
    one_order = outputs_of(inputs, depths=depths)[0][HEIGHT // 2]
    same = [torch.allclose(image[x], one_order[x], atol=1e-4) for x in (WIDTH // 4, 3 * WIDTH // 4)]
    assert sorted(same) == [False, True]


@pytest.mark.parametrize("apart", [False, True], ids=["one point", "many points"])
@pytest.mark.parametrize("name", SCENES)
def test_one_order_for_all_rays_agrees_with_the_definition(name, apart):
    inputs = scene(SCENES[name])
    depths = inputs["means"][:, 0].clone() + 5.0
    if apart:
        inputs["offsets"] = 0.1 * torch.randn(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(2))

    def ordered(**values):
        return ops.trace(**values, **LIMITS, depths=depths.to(values["means"]))[:3]

    exact = converted(inputs, torch.float64)
    # With a common order, accuracy is limited for Gaussians of a thousandth of a pixel.
    forward, backward = (3e-4, 3e-3) if name == "tiny" else (FORWARD, BACKWARD)
    for got, target in zip(ordered(**inputs), ordered(**exact), strict=True):
        assert (got.double() - target).norm() <= forward * target.norm()
    assert_gradients_close(gradients(ordered, inputs), gradients(ordered, exact), backward)


@pytest.mark.parametrize("one_order", [False, True])
def test_results_do_not_depend_on_whether_distances_are_computed(one_order):
    inputs = scene(inside)
    depths = inputs["means"][:, 2].clone() if one_order else None

    def image_of(distances, **values):
        found = ops.trace(**values, **LIMITS, depths=depths, distances=distances)
        assert (found.distance is None) == (not distances)
        return found.image, found.alpha

    found, wanted = image_of(False, **inputs), image_of(True, **inputs)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    found, wanted = (gradients(lambda want=want, **v: image_of(want, **v), inputs) for want in (False, True))
    assert all(torch.equal(found[name], wanted[name]) for name in found)


@pytest.mark.parametrize("near", [2.5, 4.0])
@pytest.mark.parametrize("one_order", [False, True])
def test_hits_too_near_or_too_far_are_left_out(one_order, near):
    """Limits that run through the Gaussians: some rays hit one within them, others do not."""
    inputs = scene(lambda s: s["scales"].mul_(3))
    limits = {"near": near, "far": near + 1.0}
    depths = inputs["means"][:, 2].clone() if one_order else None
    exact = converted(inputs, torch.float64)
    found = ops.trace(**inputs, **limits, depths=depths)
    wanted = ops.trace(**exact, **limits, depths=None if depths is None else depths.double())
    torch.testing.assert_close(found.image.double(), wanted.image, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.distance.double(), wanted.distance, rtol=0, atol=1e-4)
    unlimited = ops.trace(**inputs, **LIMITS, depths=depths)
    assert (found.alpha < unlimited.alpha - 0.01).any() and (found.alpha > 0.01).any()


def test_the_absolute_gradient_is_that_of_every_ray():
    inputs = scene(n=6, directions=pinhole(9, 7))
    weights = torch.rand(7, 9, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    probe = torch.zeros(6, requires_grad=True)
    traced = ops.trace(**inputs, **LIMITS, absgrad_probe=probe)
    (traced.image * weights).sum().backward()
    exact = converted(inputs, torch.float64)
    wanted = torch.zeros(6, dtype=torch.float64)
    for row in range(7):
        for column in range(9):
            means = exact["means"].clone().requires_grad_()
            one = {**exact, "means": means, "directions": exact["directions"][row, column][None, None]}
            (outputs_of(one)[0] * weights[row, column]).sum().backward()
            wanted += means.grad.norm(dim=1)
    torch.testing.assert_close(probe.grad.double(), wanted, rtol=1e-3, atol=1e-5)


BROKEN = [
    *[(field, float("nan")) for field in ("means", "quats", "scales", "opacities")],
    *[(field, float("inf")) for field in ("means", "quats", "scales")],
    *[("scales", 0.0), ("scales", -0.1), ("quats", 0.0), ("opacities", 0.0)],
]


@pytest.mark.parametrize(("field", "value"), BROKEN)
def test_an_invalid_gaussian_is_invisible_and_does_not_affect_others(field, value):
    inputs = scene(n=20)
    inputs[field][7] = value
    keep = torch.arange(20) != 7
    others = {name: t[keep] if len(t) == 20 and t.ndim < 3 else t for name, t in inputs.items()}
    for got, wanted in zip(outputs_of(inputs), outputs_of(others), strict=True):
        assert torch.isfinite(got).all()
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
    assert not ops.trace(**inputs, **LIMITS).visible[7]
    for values in (inputs, converted(inputs, torch.float64)):
        grads = gradients(lambda **leaves: outputs_of(leaves), values)
        assert all(torch.isfinite(gradient).all() for gradient in grads.values())


def test_an_empty_scene():
    for inputs in (scene(n=0), scene(lambda s: s["means"][:, 2].neg_())):
        image, alpha, distance = outputs_of(inputs)
        assert torch.equal(image, inputs["background"].expand(HEIGHT, WIDTH, 3))
        assert not alpha.any() and not distance.any()
        grads = gradients(lambda **leaves: outputs_of(leaves), inputs)
        assert grads["background"].any() and not grads["means"].any()


def test_one_pixel_and_many_channels():
    inputs = scene(n=20, directions=pinhole(1, 1))
    inputs["colours"], inputs["background"] = torch.rand(20, 7), torch.rand(7)
    for got, wanted in zip(outputs_of(inputs), outputs_of(converted(inputs, torch.float64)), strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=1e-4, atol=1e-5)


def test_the_length_of_directions_does_not_matter():
    inputs = scene()
    longer = {**inputs, "directions": inputs["directions"] * 3.7}
    for got, wanted in zip(outputs_of(longer), outputs_of(inputs), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_results_are_identical_for_any_number_of_threads():
    inputs, before = scene(n=200), numba.get_num_threads()
    found = []
    try:
        for threads in (1, min(2, before), before):
            numba.set_num_threads(threads)
            grads = gradients(lambda **leaves: outputs_of(leaves), inputs)
            found.append([*outputs_of(inputs), *grads.values()])
    finally:
        numba.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.slow
def test_the_operation_passes_the_checks_of_torch():
    inputs = scene(n=8, directions=torch.nn.functional.normalize(pinhole(9, 7), dim=-1))
    none = torch.empty(0)
    tensors = [
        inputs[name] for name in ("means", "quats", "scales", "opacities", "colours", "eye", "directions")
    ]
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    operation, limits = torch.ops.sfumato.trace.default, torch.tensor([0.01, 1e10], dtype=torch.float64)
    opcheck(operation, (*leaves, none, inputs["background"], none, none, limits, True))


@pytest.mark.parametrize(
    ("field", "spoil"),
    [
        ("means", lambda t: t[0]),
        ("quats", lambda t: t[:, :3]),
        ("scales", lambda t: t[1:]),
        ("opacities", lambda t: t[:, None]),
        ("colours", lambda t: t[1:]),
        ("eye", lambda t: t[None]),
        ("directions", lambda t: t[0]),
        ("background", lambda t: t[1:]),
        ("directions", lambda t: t.double()),
    ],
)
def test_wrong_shapes_and_types_are_named(field, spoil):
    inputs = scene(n=5)
    with pytest.raises(ShapeError, match=field) as caught:
        outputs_of({**inputs, field: spoil(inputs[field])})
    assert "\n" not in str(caught.value)


def test_the_definition_serves_float64():
    inputs = converted(scene(n=9, directions=pinhole(5, 4)), torch.float64)
    origins = inputs["eye"].expand(20, 3)
    wanted = reference.trace(
        *(inputs[name] for name in ("means", "quats", "scales", "opacities", "colours")),
        origins, inputs["directions"].reshape(-1, 3), inputs["background"], **LIMITS,
    )  # fmt: skip
    assert torch.equal(outputs_of(inputs)[0].reshape(-1, 3), wanted[0])
