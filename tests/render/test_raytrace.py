"""The public interface of the ray tracer: any camera, any rays, compared with the rasterizer."""

from dataclasses import replace

import pytest
import torch

import sfumato
from sfumato.errors import ConfigError
from sfumato.scene.lenses import PINHOLE, Lens
from sfumato.scene.rays import camera_rays
from sfumato.scene.shutter import Shutter

SIZE = (64, 48)


def gaussians(n=300, dtype=torch.float32, scale=0.012, degree=3, distance=3.0):
    random = torch.Generator().manual_seed(4)

    def normal(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    means = torch.rand(n, 3, generator=random, dtype=torch.float64) - 0.5
    return sfumato.Gaussians(
        means + torch.tensor([0.0, 0.0, distance]),
        (torch.tensor(scale).log() + 0.3 * normal(n, 3)),
        normal(n, 4),
        normal(n) + 1.0,
        0.4 * normal(n, (degree + 1) ** 2, 3),
    ).to(dtype)


def camera(lens=PINHOLE, focal=150.0, shutter=None):
    pose = torch.eye(4, dtype=torch.float64)
    pose[0, 3] = 0.05
    return sfumato.Camera(pose, (focal, focal), (SIZE[0] / 2, SIZE[1] / 2), SIZE, lens, shutter)


def psnr(a, b):
    return -10 * torch.log10(((a.double() - b.double()) ** 2).mean()).item()


LENSES = [
    Lens(),
    Lens("opencv", (-0.2, 0.05, 0.001, -0.002)),
    Lens("opencv_fisheye", (0.02, -0.01, 0.0, 0.0)),
    Lens("equirectangular"),
    Lens("ortho"),
]


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: lens.model)
def test_any_lens_agrees_with_the_definition(lens):
    focal = {"equirectangular": 60.0, "ortho": 40.0}.get(lens.model, 60.0)
    scene, seen = gaussians(40, scale=0.08), camera(lens, focal)
    render, exact = sfumato.raytrace(scene, seen), sfumato.raytrace(scene.to(torch.float64), seen)
    for name in ("image", "alpha", "depth"):
        got, wanted = getattr(render, name).double(), getattr(exact, name)
        assert ((got - wanted).norm() / wanted.norm()) < 1e-4, name
    assert render.alpha.max() > 0.5


def test_small_gaussians_in_a_narrow_view_look_as_rasterized():
    scene, narrow = gaussians(distance=20.0), camera(focal=1200.0)
    traced = sfumato.raytrace(scene, narrow)
    sharp = sfumato.rasterize(scene, narrow, sfumato.RasterSettings(blur_px2=1e-9))
    assert psnr(traced.image, sharp.image) > 40
    assert traced.alpha.max() > 0.5
    where = (traced.alpha > 0.5) & (sharp.alpha > 0.5)
    torch.testing.assert_close(traced.depth[where], sharp.depth[where], rtol=2e-3, atol=0)


def test_a_rolling_shutter_that_does_not_move_changes_nothing():
    scene, still = gaussians(), camera()
    rolling = replace(still, shutter=Shutter(still.camera_from_world.clone(), "down"))
    torch.testing.assert_close(
        sfumato.raytrace(scene, rolling).image, sfumato.raytrace(scene, still).image, rtol=0, atol=1e-4
    )


def test_a_rolling_shutter_agrees_with_the_definition():
    scene, end = gaussians(40, scale=0.08), torch.eye(4, dtype=torch.float64)
    end[0, 3] = 0.3
    seen = camera(focal=60.0, shutter=Shutter(end, "down"))
    got, wanted = sfumato.raytrace(scene, seen).image, sfumato.raytrace(scene.to(torch.float64), seen).image
    assert ((got.double() - wanted).norm() / wanted.norm()) < 1e-4


def test_colours_of_free_rays_depend_on_their_origins():
    scene = gaussians(30, scale=0.1)
    rays = camera_rays(camera(), like=scene.means)
    origins = rays.origins.expand_as(rays.directions).reshape(-1, 3).clone()
    alone = sfumato.Rays(origins, rays.directions.reshape(-1, 3))
    # All rays have the same origin, so both tracers give the same image.
    image = sfumato.raytrace(scene, alone).image.reshape(SIZE[1], SIZE[0], 3)
    torch.testing.assert_close(image, sfumato.raytrace(scene, rays).image, rtol=1e-3, atol=1e-4)
    depth = sfumato.raytrace(scene, alone).depth.reshape(SIZE[1], SIZE[0])
    torch.testing.assert_close(depth, sfumato.raytrace(scene, rays).depth, rtol=1e-3, atol=1e-3)


def test_gradients_reach_every_field_and_the_pose():
    scene, seen = gaussians(20, torch.float64, scale=0.1), camera(focal=60.0)
    weights = torch.rand(SIZE[1], SIZE[0], 3, generator=torch.Generator().manual_seed(0)) - 0.5

    def gradients(dtype):
        leaves = scene.to(dtype).map(lambda t: t.clone().requires_grad_())
        pose = seen.camera_from_world.clone().requires_grad_()
        render = sfumato.raytrace(leaves, replace(seen, camera_from_world=pose))
        ((render.image * weights.to(dtype)).sum() + 0.1 * render.depth.sum()).backward()
        return [*(getattr(leaves, name).grad for name in vars(leaves)), pose.grad]

    for got, wanted in zip(gradients(torch.float32), gradients(torch.float64), strict=True):
        assert ((got.double() - wanted).norm() / wanted.norm()) < 1e-3


def test_an_empty_scene_is_background():
    settings = sfumato.TraceSettings(background=(0.1, 0.2, 0.3))
    render = sfumato.raytrace(gaussians(distance=-5.0), camera(), settings)
    assert torch.equal(render.image, torch.tensor([0.1, 0.2, 0.3]).expand(SIZE[1], SIZE[0], 3))
    assert not render.alpha.any() and not render.depth.any()


@pytest.mark.parametrize(
    "wrong", [{"near": 0.0}, {"near": 2.0, "far": 1.0}, {"sh_degree": 4}], ids=lambda w: "-".join(w)
)
def test_invalid_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        sfumato.TraceSettings(**wrong)


def test_the_absolute_gradient_needs_an_image_of_rays():
    rays = sfumato.Rays(torch.rand(5, 3), torch.rand(5, 3))
    with pytest.raises(ConfigError, match="absolute_gradient"):
        sfumato.raytrace(gaussians(5), rays, sfumato.TraceSettings(absolute_gradient=True))


@pytest.mark.parametrize("distance", [3.0, 9.0])
def test_screen_gradients_are_those_of_the_rasterizer_for_small_gaussians_near_the_axis(distance):
    """In halves of a square image, at any distance; the two project such Gaussians almost alike."""
    scale = distance / 3
    scene = gaussians(12, torch.float64, scale=0.03 * scale, degree=0, distance=0.0)
    means = 0.3 * scale * scene.means + torch.tensor([0.0, 0.0, distance], dtype=torch.float64)
    leaves = replace(scene, means=means).map(lambda t: t.clone().requires_grad_())
    seen = sfumato.Camera(torch.eye(4, dtype=torch.float64), (80.0, 80.0), (12.0, 12.0), (24, 24))
    weights = torch.rand(24, 24, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = []
    for render in (
        sfumato.raytrace(leaves, seen),
        sfumato.rasterize(leaves, seen, sfumato.RasterSettings(blur_px2=1e-6)),
    ):
        render.seen.retain_gradients()
        (render.image * weights).sum().backward()
        found.append(render.seen.screen_gradient())
    assert found[1].min() > 0
    torch.testing.assert_close(*found, rtol=0.1, atol=0.05 * float(found[1].max()))
