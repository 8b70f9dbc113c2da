"""Default near and far planes: the same render in any unit of length."""

from dataclasses import replace

import pytest
import torch

from sfumato import Camera, Gaussians, RasterSettings, TraceSettings, rasterize, raytrace
from sfumato.errors import ConfigError
from sfumato.scene.lenses import Lens

DRAWN = {"raster": (rasterize, RasterSettings), "trace": (raytrace, TraceSettings)}
BENT = Lens("opencv", (0.1, 0.0, 0.0, 0.0))


def scene(n=40):
    generator = torch.Generator().manual_seed(3)
    means = torch.rand(n, 3, generator=generator) * 2 + torch.tensor([-1.0, -1.0, 1.5])
    quats = torch.randn(n, 4, generator=generator)
    log_scales = torch.rand(n, 3, generator=generator) - 2.5
    sh = torch.randn(n, 4, 3, generator=generator)
    return Gaussians(means, log_scales, quats, torch.randn(n, generator=generator), sh)


def in_units(gaussians, factor):
    return replace(gaussians, means=gaussians.means * factor, log_scales=(gaussians.scales * factor).log())


def camera(factor=1.0, **more):
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, 3] = torch.tensor([0.1, -0.2, 0.3]) * factor
    return Camera(pose, (30.0, 30.0), (16.0, 12.0), (32, 24), **more)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e6])
@pytest.mark.parametrize("renderer", DRAWN)
@pytest.mark.parametrize("lens", [None, BENT])
def test_the_picture_is_the_same_in_all_units(renderer, factor, lens):
    draw, _ = DRAWN[renderer]
    more = {"lens": lens} if lens else {}
    one = draw(scene(), camera(**more))
    other = draw(in_units(scene(), factor), camera(factor, **more))
    assert one.alpha.amax() > 0.5
    torch.testing.assert_close(other.image, one.image, atol=2e-4, rtol=0)
    torch.testing.assert_close(other.depth / factor, one.depth, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("renderer", DRAWN)
def test_gaussians_directly_in_front_of_the_lens_are_skipped(renderer):
    draw, settings = DRAWN[renderer]
    far = scene()
    speck = far.map(lambda t: t[:1].clone())
    centre = camera().centre_world.float()
    speck = replace(
        speck, means=(centre + torch.tensor([0.0, 0.0, 1e-3]))[None], log_scales=torch.full((1, 3), -9.0)
    )
    both = Gaussians(*(torch.cat([getattr(far, f), getattr(speck, f)]) for f in vars(far)))
    torch.testing.assert_close(draw(both, camera()).image, draw(far, camera()).image)
    nearer = draw(both, camera(), settings(near=1e-6))
    assert (nearer.image - draw(far, camera()).image).abs().amax() > 0.05, "unless it is asked for"


@pytest.mark.parametrize("settings", [RasterSettings, TraceSettings])
def test_given_limits_are_used(settings):
    draw = rasterize if settings is RasterSettings else raytrace
    assert draw(scene(), camera(), settings(near=50.0)).alpha.amax() == 0
    assert draw(scene(), camera(), settings(far=0.5)).alpha.amax() == 0
    with pytest.raises(ConfigError, match="near is 0; give more than 0"):
        settings(near=0)
    with pytest.raises(ConfigError, match="near 2 and far 1 must be in this order"):
        settings(near=2, far=1)


def test_a_scene_without_gaussians_is_its_background():
    empty = scene().map(lambda t: t[:0])
    for draw, settings in DRAWN.values():
        assert (draw(empty, camera(), settings(background=(0.2, 0.2, 0.2))).image == 0.2).all()
