"""Tracing of free rays: float32 kernels against the float64 reference, with the same inputs."""

import pytest
import torch

from sfumato.ops.trace_rays import trace_rays
from support.ray_scenes import (
    LIMITS,
    PARTS,
    SCENES,
    aimed_rays,
    assert_agrees,
    gaussians,
    generator,
    inputs_of,
)

pytestmark = pytest.mark.kernels


@pytest.mark.parametrize("name", SCENES)
def test_agrees_with_the_definition(name):
    _, alpha, _ = assert_agrees(inputs_of(name))
    assert (alpha > 0.01).float().mean() > 0.5


@pytest.mark.parametrize("degree", range(4))
def test_colours_depend_on_the_origin_of_each_ray(degree):
    inputs = inputs_of("scattered", m=40)
    inputs["features"] = torch.randn(80, (degree + 1) ** 2, 3, generator=generator(1)) * 0.4
    assert_agrees(inputs, degree=degree)


def test_coefficients_above_the_degree_are_not_read():
    inputs = inputs_of("scattered", m=20)
    inputs["features"] = torch.randn(80, 16, 3, generator=generator(1))
    found = trace_rays(**inputs, **LIMITS, degree=1)
    inputs["features"][:, 4:] = torch.nan
    for got, target in zip(trace_rays(**inputs, **LIMITS, degree=1), found, strict=True):
        assert torch.equal(got, target)


@pytest.mark.parametrize("channels", [1, 2, 7])
def test_any_number_of_channels(channels):
    random = generator(4)
    scene = gaussians(40, random, channels=channels)
    assert_agrees({**scene, **aimed_rays(scene, 30, random)})


def test_rays_from_inside():
    """Origins among the Gaussians, in all directions."""
    inputs = inputs_of("scattered", distance=0.3)
    assert_agrees(inputs)
    assert_agrees(inputs, near=-2.0, far=0.8)


@pytest.mark.parametrize("name", ["scattered", "tiny", "needles"])
def test_grazing_rays(name):
    """Rays just inside and just outside the edge of a hull."""
    assert_agrees(inputs_of(name, reach=3.4))


def test_far_from_the_worlds_origin():
    """Coordinates whose last float32 digit is as large as the Gaussians."""
    inputs = inputs_of("scattered")
    inputs["scales"] *= 0.05
    shift = torch.tensor([3e4, -1e4, 2e4])
    inputs["means"], inputs["origins"] = inputs["means"] + shift, inputs["origins"] + shift
    inputs["directions"] = inputs["means"][:60] - inputs["origins"]
    assert_agrees(inputs)


def test_axis_parallel_rays():
    inputs = inputs_of("scattered", m=60)
    inputs["directions"] = torch.eye(3).repeat(20, 1) * torch.tensor([1.0, -1.0]).repeat(30)[:, None]
    inputs["origins"] = inputs["means"][:60] - 4 * inputs["directions"]
    assert_agrees(inputs)


def test_equal_distances_are_ordered_by_index():
    inputs = inputs_of("scattered", m=30)
    for field in PARTS:
        inputs[field] = inputs[field][:4].repeat(20, *[1] * (inputs[field].ndim - 1))
    inputs |= aimed_rays(inputs, 30, generator(5))
    assert_agrees(inputs)


def test_gradients_against_finite_differences_of_the_kernel():
    """Finite differences in float32: large Gaussians in a row, so that the list of hits does not change."""
    random = generator(6)
    scene = gaussians(6, random, size=0.8, spread=0.1)
    scene["means"][:, 2] = torch.linspace(-8.0, 8.0, 6)
    scene["opacities"] = torch.full((6,), 0.4)
    sides = torch.randn(2, 20, 2, generator=random) * 0.1
    ends = torch.cat([sides, torch.tensor([-15.0, 15.0])[:, None, None].expand(2, 20, 1)], -1)
    inputs = {**scene, "origins": ends[0], "directions": ends[1] - ends[0]}
    weights = torch.rand(20, 3, generator=random)

    def value(**changed):
        image, alpha, distance = trace_rays(**{**inputs, **changed}, **LIMITS)
        return (image * weights).double().sum() + alpha.double().sum() + 0.2 * distance.double().sum()

    leaves = {name: tensor.clone().requires_grad_() for name, tensor in inputs.items()}
    grads = torch.autograd.grad(value(**leaves), list(leaves.values()))
    for (name, tensor), gradient in zip(inputs.items(), grads, strict=True):
        along = gradient / gradient.norm() * tensor.norm() * 2e-3
        plus, minus = value(**{name: tensor + along}), value(**{name: tensor - along})
        slope = (gradient * along).sum() * 2
        assert abs(plus - minus - slope) < 0.02 * slope, name


def test_every_ray_may_have_its_own_limits():
    inputs = inputs_of("scattered", m=40)
    near = torch.linspace(0.0, 6.0, 40)
    far = near + torch.linspace(1.0, 4.0, 40).flip(0)
    assert_agrees(inputs, near=near, far=far)
