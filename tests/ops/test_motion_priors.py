import math

import pytest
import torch

from sfumato import ops
from sfumato.errors import ShapeError
from sfumato.maths.quaternions import quat_product, rotation_from_quats
from sfumato.ops.constants import MOTION_TOLERANCE
from sfumato.ops.reference import motion_priors
from support.op_scenes import assert_finite_differences, gradients, moving_neighbours

both_dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32])


def charbonnier(misfit):
    return math.hypot(misfit, MOTION_TOLERANCE) - MOTION_TOLERANCE


def pair(means, quats=None):
    """Two neighbouring Gaussians at distance 1 along x, and their current means."""
    still = torch.tensor([[1.0, 0, 0, 0], [1.0, 0, 0, 0]])
    inputs = {
        "means": torch.tensor(means),
        "quats": still if quats is None else torch.tensor(quats),
        "previous_means": torch.tensor([[0.0, 0, 0], [1.0, 0, 0]]),
        "previous_quats": still,
        "neighbours": torch.tensor([[1], [0]], dtype=torch.int32),
        "weights": torch.ones(2, 1),
        "rest_distances": torch.ones(2, 1),
    }
    return {name: value if name == "neighbours" else value.double() for name, value in inputs.items()}


def test_a_stretched_pair():
    values = motion_priors(**pair([[0.0, 0, 0], [1.5, 0, 0]]))
    expected = [charbonnier(0.5), 0.0, charbonnier(0.5)]
    torch.testing.assert_close(values, torch.tensor(expected, dtype=torch.float64))


def test_a_pair_with_one_rotating_gaussian():
    half = 0.5**0.5
    values = motion_priors(**pair([[0.0, 0, 0], [1.0, 0, 0]], [[half, 0, 0, half], [1.0, 0, 0, 0]]))
    # In the frame of the one that rotated by 90 degrees, the other has moved by the diagonal of a unit
    # square; the quaternions differ by 2 sin(90 degrees / 4).
    expected = [charbonnier(2**0.5) / 2, charbonnier(2 * math.sin(math.pi / 8)), 0.0]
    torch.testing.assert_close(values, torch.tensor(expected, dtype=torch.float64))


@both_dtypes
def test_a_rigid_motion_costs_nothing(dtype):
    inputs = moving_neighbours(dtype=torch.float64)
    turn = torch.tensor([0.4, -0.3, 0.7, 0.5], dtype=torch.float64)
    before = inputs["previous_means"]
    inputs["means"] = before @ rotation_from_quats(turn[None])[0].T + torch.tensor([3.0, -1.0, 2.0])
    # Half of the rotated quaternions have the opposite sign.
    signs = torch.tensor([1.0, -1.0] * 6)[:, None]
    inputs["quats"] = signs * quat_product(turn, inputs["previous_quats"])
    others = before[inputs["neighbours"].clamp(min=0).long()]
    inputs["rest_distances"] = (others - before[:, None]).norm(dim=-1)
    cast = {name: value if name == "neighbours" else value.to(dtype) for name, value in inputs.items()}
    assert (ops.motion_priors(**cast).abs() < 100 * torch.finfo(dtype).eps).all()


@both_dtypes
def test_the_unit_of_length_does_not_matter(dtype):
    inputs = moving_neighbours(dtype=dtype)
    scaled = dict(inputs)
    for name in ("means", "previous_means", "rest_distances"):
        scaled[name] = inputs[name] * 1000
    torch.testing.assert_close(ops.motion_priors(**scaled), ops.motion_priors(**inputs), rtol=1e-5, atol=0)


def test_two_copies_of_a_scene_have_the_same_value():
    inputs = moving_neighbours()
    twice = {name: torch.cat([value, value]) for name, value in inputs.items()}
    torch.testing.assert_close(motion_priors(**twice), motion_priors(**inputs))


def test_gradients():
    inputs = moving_neighbours(n=6, k=3)
    fixed = {name: value for name, value in inputs.items() if name not in ("means", "quats")}
    moving = {name: inputs[name] for name in ("means", "quats")}
    # The tolerance is the length scale of the function's curvature.
    assert_finite_differences(lambda **leaves: motion_priors(**leaves, **fixed), moving, share=1e-5)


@both_dtypes
@pytest.mark.parametrize("edges", ["no Gaussians", "no columns", "no edges"])
def test_no_neighbours(dtype, edges):
    inputs = moving_neighbours(n=0 if edges == "no Gaussians" else 5, k=0 if edges == "no columns" else 3)
    inputs = {name: value if name == "neighbours" else value.to(dtype) for name, value in inputs.items()}
    inputs["neighbours"] = torch.full_like(inputs["neighbours"], -1)
    # Values of missing edges may be anything.
    inputs["rest_distances"] = torch.full_like(inputs["rest_distances"], torch.nan)
    moving = {name: inputs.pop(name) for name in ("means", "quats")}
    assert torch.equal(ops.motion_priors(**moving, **inputs), torch.zeros(3, dtype=dtype))
    found = gradients(lambda **leaves: ops.motion_priors(**leaves, **inputs), moving)
    assert not any(gradient.any() for gradient in found.values())


@both_dtypes
def test_gradients_are_finite_for_coincident_static_gaussians(dtype):
    inputs = moving_neighbours(dtype=dtype)
    inputs["means"] = inputs["previous_means"] = torch.ones_like(inputs["means"])
    inputs["quats"] = inputs["previous_quats"]
    inputs["rest_distances"] = torch.zeros_like(inputs["rest_distances"])
    moving = {name: inputs.pop(name) for name in ("means", "quats")}
    found = gradients(lambda **leaves: ops.motion_priors(**leaves, **inputs), moving)
    assert all(torch.isfinite(gradient).all() for gradient in found.values())


def test_any_number_of_threads_gives_the_same_bits():
    numba = pytest.importorskip("numba")
    inputs = moving_neighbours(n=100, k=9, dtype=torch.float32)
    moving = {name: inputs.pop(name) for name in ("means", "quats")}
    threads, found = numba.get_num_threads(), []
    try:
        for count in (1, threads):
            numba.set_num_threads(count)
            found.append(gradients(lambda **leaves: ops.motion_priors(**leaves, **inputs), moving))
    finally:
        numba.set_num_threads(threads)
    assert all(torch.equal(found[0][name], found[1][name]) for name in moving)


@pytest.mark.parametrize(
    ("neighbours", "text"),
    [
        (lambda rows: rows.long(), "neighbours are torch.int64"),
        (lambda rows: torch.full_like(rows, 12), "outside 0 to 11"),
        (lambda rows: torch.full_like(rows, -2), "outside 0 to 11"),
        (lambda rows: rows[:, :2], "neighbours has shape"),
    ],
)
@both_dtypes
def test_neighbours_are_checked(dtype, neighbours, text):
    inputs = moving_neighbours(dtype=dtype)
    with pytest.raises(ShapeError, match=text):
        ops.motion_priors(**{**inputs, "neighbours": neighbours(inputs["neighbours"])})
