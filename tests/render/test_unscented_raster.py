"""The rasterizer of distorted lenses and rolling shutters against the tracer and the reference."""

import math
from dataclasses import replace

import pytest
import torch

import sfumato
from sfumato.errors import ConfigError
from sfumato.maths.rigid import rigid_from_twist
from sfumato.render.settings import RasterSettings, TraceSettings
from sfumato.scene.lenses import PINHOLE, Lens
from sfumato.scene.shutter import Shutter

WIDTH, HEIGHT = 64, 48
OPENCV = Lens("opencv", (-0.2, 0.05, 0.003, -0.002))
FISHEYE = Lens("opencv_fisheye", (0.05, -0.02, 0.01, -0.002))
EQUIDISTANT = Lens("opencv_fisheye", (0.0, 0.0, 0.0, 0.0))
PANORAMA = Lens("equirectangular")
START = rigid_from_twist(torch.tensor([0.05, -0.1, 0.02, 0.1, -0.05, 0.1]))
END = rigid_from_twist(torch.tensor([0.02, 0.03, -0.02, 0.06, 0.02, 0.05])) @ START


def camera(lens=PINHOLE, half_angle=35.0, shutter=None):
    """A camera with a horizontal half field of view of ``half_angle`` degrees, ignoring distortion."""
    focal = WIDTH / 2 / math.tan(math.radians(half_angle))
    if lens.model.endswith("fisheye"):
        focal = WIDTH / 2 / math.radians(half_angle)
    focal_px, size_px = (focal, focal), (WIDTH, HEIGHT)
    if lens is PANORAMA:
        focal_px = WIDTH / (2 * math.pi), HEIGHT / math.pi
    if lens.model == "ortho":
        focal_px = (12.0, 12.0)
    return sfumato.Camera(START, focal_px, (WIDTH / 2, HEIGHT / 2), size_px, lens, shutter)


def scene(n=60, half_angle=35.0, size=0.03, dtype=torch.float32):
    """Gaussians of relative size ``size`` over a spherical cap of ``half_angle`` in front of the camera."""
    random = torch.Generator().manual_seed(5)
    cosines = torch.linspace(1.0, math.cos(math.radians(half_angle)), n)
    turns = 2.39996 * torch.arange(n)
    sines = (1 - cosines**2).sqrt()
    rays = torch.stack([sines * turns.cos(), sines * turns.sin(), cosines], -1)
    distance = 2.0 + 2.0 * torch.rand(n, 1, generator=random)
    means = (rays * distance - START[:3, 3]) @ START[:3, :3]
    log_scales = (size * distance).log() + 0.4 * torch.randn(n, 3, generator=random)
    quats, sh = torch.randn(n, 4, generator=random), torch.randn(n, 4, 3, generator=random) * 0.5
    return sfumato.Gaussians(means, log_scales, quats, torch.full((n,), 1.5), sh).to(dtype)


def psnr(image, wanted):
    return -10 * math.log10(float((image.double() - wanted.double()).square().mean().clamp_min(1e-20)))


@pytest.mark.parametrize(
    "one",
    [
        camera(OPENCV),
        camera(FISHEYE, 60.0),
        camera(PANORAMA),
        camera(shutter=Shutter(END)),
        camera(OPENCV, shutter=Shutter(END, "left")),
        camera(Lens("ortho"), shutter=Shutter(END)),
    ],
    ids=["opencv", "fisheye", "panorama", "rolling", "rolling opencv", "rolling ortho"],
)
def test_it_agrees_with_the_definition_of_tracing(one):
    gaussians = scene(half_angle=170.0 if one.lens is PANORAMA else 50.0)
    found = sfumato.rasterize(gaussians, one)
    exact = sfumato.raytrace(gaussians.to(torch.float64), one)
    assert exact.alpha.max() > 0.5 and found.seen.visible.sum() > 20
    assert psnr(found.image, exact.image) > 40
    torch.testing.assert_close(found.depth.double(), exact.depth, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("lens", [OPENCV, FISHEYE], ids=["opencv", "fisheye"])
@pytest.mark.parametrize("shutter", [None, Shutter(END, "up")], ids=["global", "rolling"])
def test_it_agrees_with_the_tracer_on_small_separate_gaussians(lens, shutter):
    gaussians, one = scene(), camera(lens, shutter=shutter)
    found, traced = sfumato.rasterize(gaussians, one), sfumato.raytrace(gaussians, one)
    assert psnr(found.image, traced.image) > 40
    assert torch.equal(found.seen.visible, traced.seen.visible)


def test_on_a_narrow_pinhole_ellipses_rays_and_the_unscented_picture_agree():
    gaussians, one = scene(half_angle=8.0, size=0.012), camera(half_angle=10.0)
    # A distorted model without distortion gives the same picture by the other code path.
    bent = replace(one, lens=Lens("opencv", (0.0, 0.0, 0.0, 0.0)))
    ellipses = sfumato.rasterize(gaussians, one, RasterSettings(blur_px2=0.0)).image
    found, traced = sfumato.rasterize(gaussians, bent).image, sfumato.raytrace(gaussians, one).image
    assert min(psnr(found, traced), psnr(found, ellipses), psnr(ellipses, traced)) > 40


def test_on_a_wide_fisheye_rays_are_right_and_ellipses_are_not():
    gaussians, one = scene(n=30, half_angle=80.0, size=0.1), camera(Lens("fisheye"), 75.0)
    exact = sfumato.raytrace(gaussians.to(torch.float64), one).image
    traced = psnr(sfumato.raytrace(gaussians, one).image, exact)
    unscented = psnr(sfumato.rasterize(gaussians, replace(one, lens=EQUIDISTANT)).image, exact)
    ellipses = psnr(sfumato.rasterize(gaussians, one, RasterSettings(blur_px2=0.0)).image, exact)
    assert traced > 70 and unscented > 50 and ellipses < 35


def test_ellipses_of_the_unscented_transform_lie_where_the_picture_is():
    gaussians, one = scene(n=1, half_angle=1.0), camera(OPENCV, shutter=Shutter(END))
    found = sfumato.rasterize(gaussians, one)
    ellipses = found.seen.ellipses
    weights = found.alpha / found.alpha.sum()
    x = (weights.sum(0) * (torch.arange(WIDTH) + 0.5)).sum()
    y = (weights.sum(1) * (torch.arange(HEIGHT) + 0.5)).sum()
    torch.testing.assert_close(ellipses.mean_px[0], torch.stack([x, y]), rtol=0, atol=0.2)
    rows, columns = (found.alpha > 0).nonzero().T + 0.5
    off = torch.stack([columns, rows], -1) - ellipses.mean_px[0]
    assert (off.abs().amax(0) <= ellipses.radius_px[0]).all() and (
        off.abs().amax(0) > 0.5 * ellipses.radius_px[0]
    ).all()


@pytest.mark.parametrize("one", [camera(OPENCV), camera(FISHEYE, 60.0), camera(PANORAMA)])
def test_a_gaussian_around_the_camera_is_rendered(one):
    gaussians = scene(n=3)
    gaussians.means[0] = one.centre_world + 0.2 * START[2, :3]
    gaussians.log_scales[0] = 0.0
    found = sfumato.rasterize(gaussians, one)
    exact = sfumato.raytrace(gaussians.to(torch.float64), one)
    assert found.seen.visible[0]
    assert psnr(found.alpha, exact.alpha) > 50


@pytest.mark.slow
@pytest.mark.parametrize("lens", [OPENCV, FISHEYE], ids=["opencv", "fisheye"])
@pytest.mark.parametrize("rolling", [False, True], ids=["global", "rolling"])
def test_gradients_are_finite_differences(lens, rolling):
    one = sfumato.Camera(START.double(), (5.0, 5.0), (2.5, 2.0), (5, 4), lens)
    wide = scene(n=3, half_angle=20.0, size=0.3, dtype=torch.float64)
    # Spherical harmonics of degree 1; higher degrees only add entries.
    fields = [wide.means, wide.log_scales, wide.quats, wide.logit_opacities - 1.5, wide.sh[:, :4]]

    def picture(start, end, *fields):
        shutter = Shutter(end @ END.double()) if rolling else None
        moved = replace(one, camera_from_world=start @ START.double(), shutter=shutter)
        found = sfumato.rasterize(sfumato.Gaussians(*fields), moved)
        return found.image, found.alpha

    def turned(start, end, *fields):
        return picture(rigid_from_twist(start), rigid_from_twist(end), *fields)

    twists = torch.zeros(2, 6, dtype=torch.float64).unbind()
    inputs = [tensor.clone().requires_grad_() for tensor in (*twists, *fields)]
    # Entry by entry with a shutter, which has one more pose; along one direction of all entries without.
    assert torch.autograd.gradcheck(turned, inputs, eps=1e-6, atol=1e-6, rtol=1e-4, fast_mode=not rolling)
    found = torch.autograd.grad(turned(*inputs)[0].square().sum(), inputs, materialize_grads=True)
    assert all(grad.abs().max() > 1e-3 for i, grad in enumerate(found) if rolling or i != 1)


def test_densification_gets_the_same_gradients_as_from_the_tracer():
    gaussians, one = scene(), camera(OPENCV)
    pulls = []
    for draw, settings in (
        (sfumato.rasterize, RasterSettings(absolute_gradient=True)),
        (sfumato.raytrace, TraceSettings(absolute_gradient=True)),
    ):
        leaf = gaussians.map(lambda tensor: tensor.clone().requires_grad_())
        found = draw(leaf, one, settings)
        found.seen.retain_gradients()
        found.image.square().sum().backward()
        assert leaf.means.grad.abs().max() > 0
        pulls.append(found.seen.screen_gradient())
    torch.testing.assert_close(pulls[0], pulls[1], rtol=0.05, atol=1e-3 * float(pulls[1].max()))


@pytest.mark.parametrize(
    ("one", "what"), [(camera(OPENCV), "opencv lens"), (camera(shutter=Shutter(END)), "rolling shutter")]
)
def test_filters_of_ellipses_are_refused_where_there_are_none(one, what):
    for name, value in (("antialiased", True), ("blur_px2", 0.1)):
        with pytest.raises(ConfigError, match=rf"^{name}.*{what}"):
            sfumato.rasterize(scene(), one, RasterSettings(**{name: value}))


def test_an_empty_scene_is_the_background():
    found = sfumato.rasterize(scene().select(slice(0)), camera(OPENCV), RasterSettings((0.1, 0.2, 0.3)))
    torch.testing.assert_close(found.image, torch.tensor([0.1, 0.2, 0.3]).expand(HEIGHT, WIDTH, 3))
    assert found.seen.ellipses.mean_px.shape == (0, 2)
