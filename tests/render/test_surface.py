"""Surface splatting: the EWA filter by numerical convolution, and normalised blending by its definition."""

import math

import pytest
import torch

import sfumato
from sfumato.maths.quaternions import rotation_from_quats

SIZE = (14, 11)


def camera(model="pinhole", focal=16.0):
    return sfumato.Camera(
        torch.eye(4, dtype=torch.float64),
        (focal, focal),
        (SIZE[0] / 2, SIZE[1] / 2),
        SIZE,
        lens=sfumato.Lens(model),
    )


def splats(means, scales, *, quats=None, opacities=0.9, colours=None):
    means = torch.tensor(means, dtype=torch.float64)
    count = len(means)
    quats = [[1.0, 0, 0, 0]] * count if quats is None else quats
    colours = torch.rand(count, 3, generator=torch.Generator().manual_seed(1)) if colours is None else colours
    return sfumato.Gaussians(
        means,
        torch.tensor(scales, dtype=torch.float64).log().expand(count, 3).clone(),
        torch.tensor(quats, dtype=torch.float64),
        torch.full((count,), math.log(opacities / (1 - opacities)), dtype=torch.float64),
        ((torch.as_tensor(colours, dtype=torch.float64) - 0.5) / 0.28209479177387814)[:, None],
    )


def cloud():
    """Splats of two parallel rough walls, unsorted."""
    g = torch.Generator().manual_seed(0)
    means = torch.rand(24, 3, generator=g, dtype=torch.float64) * torch.tensor([1.6, 1.2, 0.2])
    means += torch.tensor([-0.8, -0.6, 2.0])
    means[::2, 2] += 1.0
    quats = torch.randn(24, 4, generator=g, dtype=torch.float64) * 0.1
    quats[:, 0] = 1
    return splats(means.tolist(), [0.14, 0.1, 0.01], quats=quats.tolist())


@pytest.mark.parametrize("blur_px2", [0.3, 1.0])
@pytest.mark.parametrize("scale", [0.03, 0.15])
def test_the_alpha_of_a_flat_splat_is_its_kernel_convolved_with_the_low_pass(scale, blur_px2):
    quat = [0.9, 0.35, -0.2, 0.1]
    shape = (scale, 0.6 * scale)
    scene = splats([[0.03, -0.05, 2.0]], [*shape, 1e-9], quats=[quat], opacities=0.95)
    settings = sfumato.RasterSettings(antialiased=True, blur_px2=blur_px2)
    alpha = sfumato.rasterize(scene, camera("ortho"), settings).alpha
    # The map from plane to screen, which is linear in parallel projection.
    axes = rotation_from_quats(torch.tensor(quat, dtype=torch.float64))
    plane_from_screen = torch.linalg.inv(16.0 * axes[:2, :2])
    centre = torch.tensor([SIZE[0] / 2 + 0.03 * 16, SIZE[1] / 2 - 0.05 * 16], dtype=torch.float64)
    # The reconstruction kernel at fine steps, times the low-pass at the same distance from the pixel.
    step = 0.1
    fine = torch.arange(-60, 61, dtype=torch.float64) * step
    shift = torch.stack(torch.meshgrid(fine, fine, indexing="xy"), dim=-1)
    low_pass = torch.exp(-shift.square().sum(-1) / (2 * blur_px2)) / (2 * math.pi * blur_px2)
    checked = 0
    for y in range(SIZE[1]):
        for x in range(SIZE[0]):
            if alpha[y, x] == 0:
                continue
            at = torch.tensor([x + 0.5, y + 0.5], dtype=torch.float64) - centre
            plane = (at - shift) @ plane_from_screen.T / torch.tensor(shape, dtype=torch.float64)
            kernel = 0.95 * torch.exp(-plane.square().sum(-1) / 2)
            assert alpha[y, x].item() == pytest.approx((kernel * low_pass).sum().item() * step**2, rel=1e-5)
            checked += 1
    assert checked >= 4


def test_one_splat_is_rendered_as_by_the_rasterizer():
    scene = splats([[0.1, 0.0, 2.0]], [0.2, 0.1, 0.01])
    for options in ({"background": (0.2, 0.4, 0.6)}, {"antialiased": True}):
        ours = sfumato.render_surface(scene, camera(), sfumato.SurfaceSettings(**options))
        theirs = sfumato.rasterize(scene, camera(), sfumato.RasterSettings(**options))
        assert torch.allclose(ours.image, theirs.image, atol=1e-12)
        assert torch.allclose(ours.alpha, theirs.alpha, atol=1e-12)
        assert torch.allclose(ours.depth, theirs.depth, atol=1e-12)


def alphas_by_the_rasterizer(scene, settings):
    """[n, h, w] alpha of each splat alone."""
    one = [sfumato.rasterize(scene.select(torch.tensor([i])), camera(), settings) for i in range(len(scene))]
    return torch.stack([render.alpha for render in one])


def test_blending_agrees_with_its_definition():
    scene = cloud()
    settings = sfumato.SurfaceSettings(antialiased=True, background=(0.1, 0.2, 0.3), tolerance=2.0)
    render = sfumato.render_surface(scene, camera(), settings)
    alphas = alphas_by_the_rasterizer(scene, sfumato.RasterSettings(antialiased=True))
    colours = 0.5 + scene.sh[:, 0] * 0.28209479177387814
    order = scene.means[:, 2].argsort().tolist()
    surfaces = 0
    for y in range(SIZE[1]):
        for x in range(SIZE[0]):
            waiting = [i for i in order if alphas[i, y, x] > 0]
            light, expected = 1.0, torch.zeros(3, dtype=torch.float64)
            while waiting:
                end = scene.means[waiting[0], 2] + 2.0 * 0.14
                on = [i for i in waiting if scene.means[i, 2] <= end]
                waiting = [i for i in waiting if i not in on]
                weights = alphas[on, y, x]
                covered = 1 - (1 - weights).prod().item()
                expected += light * covered * (weights[:, None] * colours[on]).sum(0) / weights.sum()
                light *= 1 - covered
                surfaces += 1
            expected += light * torch.tensor([0.1, 0.2, 0.3])
            assert torch.allclose(render.image[y, x], expected, atol=1e-10)
            assert render.alpha[y, x].item() == pytest.approx(1 - light, abs=1e-10)
    # Some pixels show both walls.
    assert surfaces > SIZE[0] * SIZE[1]


def test_the_order_within_a_surface_does_not_matter():
    def rendered(first, second, function):
        colours = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
        scene = splats([[-0.05, 0, first], [0.05, 0, second]], [0.2, 0.2, 0.001], colours=colours)
        return function(scene, camera()).image

    args = (2.0, 2.0 + 1e-6), (2.0 + 1e-6, 2.0)
    surface = [rendered(*one, sfumato.render_surface) for one in args]
    composited = [rendered(*one, sfumato.rasterize) for one in args]
    assert (surface[0] - surface[1]).abs().max() < 1e-4
    assert (composited[0] - composited[1]).abs().max() > 0.5


def test_bands_of_the_picture_change_nothing(monkeypatch):
    whole = sfumato.render_surface(cloud(), camera())
    monkeypatch.setattr("sfumato.render.surface._BAND_SAMPLES", 100)
    banded = sfumato.render_surface(cloud(), camera())
    assert torch.equal(whole.image, banded.image) and torch.equal(whole.alpha, banded.alpha)


def test_unsupported_features_are_named():
    scene = cloud()
    with pytest.raises(sfumato.ConfigError, match="absolute_gradient"):
        sfumato.SurfaceSettings(absolute_gradient=True)
    with pytest.raises(sfumato.ConfigError, match="tolerance"):
        sfumato.SurfaceSettings(tolerance=0)
    with pytest.raises(sfumato.ConfigError, match="settings must be a SurfaceSettings"):
        sfumato.render_surface(scene, camera(), sfumato.RasterSettings())
    empty = sfumato.render_surface(scene.select(torch.zeros(24, dtype=torch.bool)), camera())
    assert empty.alpha.max() == 0
