"""The unscented transform against samples of a Gaussian's image."""

from functools import partial

import pytest
import torch

from sfumato import ops
from sfumato.errors import ShapeError
from sfumato.maths.quaternions import rotation_from_quats
from sfumato.ops import reference
from sfumato.scene.cameras import Camera
from sfumato.scene.image_points import image_points
from sfumato.scene.lenses import Lens
from sfumato.scene.shutter import Shutter
from support.op_scenes import camera, gaussians

SIZE = {"width": 24, "height": 18}
LENSES = {
    "opencv": Lens("opencv", (-0.11, 0.04, 0.003, -0.002)),
    "fisheye": Lens("opencv_fisheye", (0.05, -0.02, 0.01, -0.002)),
    "ortho": Lens("ortho"),
}


def view(lens, rolling=False, focal_px=20.0):
    pose, _ = camera()
    end = pose.clone()
    end[:3, 3] += torch.tensor([0.2, -0.1, 0.05])
    shutter = Shutter(end) if rolling else None
    return Camera(pose, (focal_px, 1.1 * focal_px), (11.3, 9.4), (24, 18), lens, shutter)


def inputs(n=12, shrink=1.0, dtype=torch.float64):
    scene = gaussians(n, dtype=dtype)
    shape = {name: scene[name] for name in ("means", "quats", "scales", "opacities")}
    return {**shape, "scales": shape["scales"] * shrink}


@pytest.mark.parametrize("rolling", [False, True], ids=["global", "rolling"])
@pytest.mark.parametrize("name", LENSES)
@pytest.mark.slow
def test_mean_and_covariance_are_those_of_samples(name, rolling):
    image_of = partial(image_points, view(LENSES[name], rolling))
    shape = inputs(n=5, shrink=0.15)
    found = ops.unscented(**shape, image_of=image_of, width=4000, height=4000)
    random = torch.Generator().manual_seed(1)
    for i in range(5):
        normal = torch.randn(50_000, 3, generator=random, dtype=torch.float64)
        normal = torch.cat([normal, -normal])
        axes = rotation_from_quats(shape["quats"][i : i + 1])[0] * shape["scales"][i]
        pixels, _ = image_of(shape["means"][i] + normal @ axes.T)
        covariance = pixels.T.cov()
        wanted = torch.stack([covariance[0, 0], covariance[0, 1], covariance[1, 1]])
        spread = covariance.diagonal().sum().sqrt()
        # Sampling errors: spread / sqrt(100000) for the mean, 1 % for the covariance.
        assert (found.mean_px[i] - pixels.mean(0)).norm() < 0.01 * spread
        assert (found.covariance_px2[i] - wanted).norm() < 0.02 * wanted.norm()


def test_a_bending_lens_moves_the_mean():
    """To second order: the mean of x^2 over a Gaussian is mean^2 + sigma^2."""

    def bent(points):
        return torch.stack([points[:, 0] ** 2, points[:, 1]], -1), points[:, 2]

    mean, scales = torch.tensor([[3.0, 2.0, 5.0]]).double(), torch.tensor([[0.5, 0.2, 0.1]]).double()
    one = {"quats": torch.tensor([[1.0, 0, 0, 0]]).double(), "opacities": torch.tensor([0.5]).double()}
    found = ops.unscented(mean, one["quats"], scales, one["opacities"], bent, **SIZE)
    torch.testing.assert_close(found.mean_px, torch.tensor([[9.25, 2.0]]).double())
    # The variance of x^2 is 4 mean^2 sigma^2 + 2 sigma^4; seven points give twice the last term.
    torch.testing.assert_close(found.covariance_px2, torch.tensor([[9.25, 0.0, 0.04]]).double())


def test_it_is_exact_for_a_linear_lens():
    shape, one = inputs(), view(Lens("ortho"), focal_px=7.0)
    found = ops.unscented(**shape, image_of=partial(image_points, one), **SIZE)
    ellipses = reference.project(
        shape["means"], ops.covariance(shape["quats"], shape["scales"]), one.camera_from_world,
        one.intrinsics, **SIZE, near=0.01, far=1e10, blur_px2=0.0, model="ortho",
        opacities=shape["opacities"],
    )  # fmt: skip
    mean_px, conic, depth, _, radius_px = ellipses
    assert (radius_px > 0).any()
    torch.testing.assert_close(found.mean_px, mean_px)
    torch.testing.assert_close(found.depth, depth)
    assert torch.equal(found.radius_px, radius_px)
    a, b, c = conic[radius_px[:, 0] > 0].unbind(-1)
    inverse = torch.stack([c, -b, a], -1) / (a * c - b * b)[:, None]
    torch.testing.assert_close(found.covariance_px2[radius_px[:, 0] > 0], inverse)


def test_single_precision_is_the_same():
    image_of = partial(image_points, view(LENSES["opencv"]))
    exact = ops.unscented(**inputs(), image_of=image_of, **SIZE)
    found = ops.unscented(**inputs(dtype=torch.float32), image_of=image_of, **SIZE)
    assert found.mean_px.dtype == torch.float32
    torch.testing.assert_close(found.mean_px.double(), exact.mean_px, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(found.covariance_px2.double(), exact.covariance_px2, rtol=1e-3, atol=1e-3)


def test_invisible_gaussians_are_zero():
    shape = {name: value[:1].repeat(7, *[1] * (value.ndim - 1)) for name, value in inputs(1).items()}
    shape["means"][:] = torch.tensor([0.0, 0.0, 3.0])
    shape["opacities"][:] = 0.9
    shape["means"][1, 2] = -3.0
    shape["means"][2, 0] = 90.0
    shape["opacities"][3] = 0.003
    shape["scales"][4, 1] = 0.0
    shape["quats"][5] = 0.0
    shape["means"][6, 0] = torch.nan
    found = ops.unscented(**shape, image_of=partial(image_points, view(LENSES["opencv"])), **SIZE)
    assert (found.radius_px[0] > 0).all()
    for values in found:
        assert not values[1:].any()
    near = ops.unscented(**shape, image_of=partial(image_points, view(LENSES["opencv"])), **SIZE, near=4.0)
    assert not near.radius_px.any()


def test_a_gaussian_that_reaches_behind_the_camera_may_touch_every_pixel():
    shape = inputs(1)
    shape["means"][:] = torch.tensor([0.0, 0.0, 0.4])
    shape["scales"][:] = 2.0
    found = ops.unscented(**shape, image_of=partial(image_points, view(LENSES["opencv"])), **SIZE)
    low, high = found.mean_px - found.radius_px, found.mean_px + found.radius_px
    assert (low <= 0).all() and (high >= torch.tensor([24, 18])).all()


def test_no_gaussians_and_wrong_shapes():
    image_of = partial(image_points, view(LENSES["opencv"]))
    empty = {name: value[:0] for name, value in inputs().items()}
    assert ops.unscented(**empty, image_of=image_of, **SIZE).mean_px.shape == (0, 2)
    with pytest.raises(ShapeError, match="scales"):
        ops.unscented(**{**inputs(), "scales": torch.ones(12)}, image_of=image_of, **SIZE)
    with pytest.raises(ShapeError, match="float16"):
        ops.unscented(**{k: v.half() for k, v in inputs().items()}, image_of=image_of, **SIZE)
