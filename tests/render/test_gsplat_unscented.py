"""``rasterization`` with rays: the same images as the tracer, and clear errors for unsupported options."""

import math

import pytest
import torch

import sfumato
from sfumato.errors import ConfigError, ShapeError
from sfumato.render.gsplat_api import RollingShutterType, rasterization
from sfumato.scene.lenses import PINHOLE, Lens
from sfumato.scene.shutter import Shutter
from support.gsplat_calls import HEIGHT, WIDTH, scene

RAYS = {"with_ut": True, "with_eval3d": True, "packed": False}
RADIAL, TANGENTIAL = (0.1, -0.05, 0.02, 0.15, -0.03, 0.01), (0.003, -0.002)
FISHEYE = (0.05, -0.02, 0.01, -0.002)


def ends(viewmats):
    moved = viewmats.clone()
    moved[..., :3, 3] += torch.tensor([0.1, -0.05, 0.08])
    return moved


def coefficients(values):
    return torch.tensor(values, dtype=torch.float64).repeat(2, 1)


CALLS = {
    "pinhole": ("pinhole", {}, PINHOLE, None),
    "opencv": (
        "pinhole",
        {"radial_coeffs": coefficients(RADIAL), "tangential_coeffs": coefficients(TANGENTIAL)},
        Lens("full_opencv", (*RADIAL[:2], *TANGENTIAL, *RADIAL[2:])),
        None,
    ),
    "fisheye": (
        "fisheye",
        {"radial_coeffs": coefficients(FISHEYE)},
        Lens("opencv_fisheye", FISHEYE),
        None,
    ),
    "rolling": ("pinhole", {"rolling_shutter": RollingShutterType.ROLLING_BOTTOM_TO_TOP}, PINHOLE, "up"),
}


@pytest.mark.parametrize("name", CALLS)
def test_pictures_are_those_of_the_tracer(name):
    model, extra, lens, read_out = CALLS[name]
    given = scene(model=model, sh=True)
    # Without the two Gaussians culled by their centres in only one renderer, and small enough not to overlap.
    for key in ("means", "quats", "scales", "opacities", "colors"):
        given[key] = given[key][3:]
    given["scales"] = given["scales"] * 0.2
    if read_out:
        extra = {**extra, "viewmats_rs": ends(given["viewmats"])}
    sizes = {"width": WIDTH, "height": HEIGHT, "sh_degree": 3}
    images, alphas, meta = rasterization(
        **given, **extra, **sizes, **RAYS, camera_model=model, render_mode="RGB+ED"
    )
    gaussians = sfumato.Gaussians(
        given["means"], given["scales"].log(), given["quats"], given["opacities"].logit(), given["colors"]
    )
    for i, (pose, K) in enumerate(zip(given["viewmats"], given["Ks"].tolist(), strict=True)):
        shutter = Shutter(extra["viewmats_rs"][i], read_out) if read_out else None
        focal_px, centre_px = (K[0][0], K[1][1]), (K[0][2], K[1][2])
        one = sfumato.Camera(pose, focal_px, centre_px, (WIDTH, HEIGHT), lens, shutter)
        traced = sfumato.raytrace(gaussians, one)
        error = (images[i, ..., :3] - traced.image).square().mean().item()
        assert traced.alpha.max() > 0.3 and -10 * math.log10(error + 1e-20) > 40
        torch.testing.assert_close(alphas[i, ..., 0], traced.alpha, rtol=0, atol=0.02)
        seen = traced.alpha > 0.2
        torch.testing.assert_close(images[i, ..., 3][seen], traced.depth[seen], rtol=0.1, atol=0.05)
    assert meta["means2d"].shape == (2, len(gaussians), 2) and meta["radii"].shape == (2, len(gaussians), 2)
    assert torch.isfinite(meta["conics"]).all() and (meta["depths"] > 0).any()


def test_gradients_reach_all_visible_parameters():
    given = scene()
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in given.items() if name != "Ks"}
    end = ends(given["viewmats"]).requires_grad_()
    shutter = {"rolling_shutter": RollingShutterType.ROLLING_TOP_TO_BOTTOM, "viewmats_rs": end}
    images, _, _ = rasterization(
        **leaves, Ks=given["Ks"], width=WIDTH, height=HEIGHT, **shutter, **RAYS, render_mode="RGB+D"
    )
    images.square().sum().backward()
    for name, leaf in {**leaves, "viewmats_rs": end}.items():
        assert torch.isfinite(leaf.grad).all() and leaf.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"with_eval3d": False}, "together"),
        ({"packed": True}, "packed"),
        ({"absgrad": True}, "absgrad"),
        ({"rasterize_mode": "antialiased"}, "rasterize_mode"),
        ({"viewmats_rs": torch.eye(4).double().repeat(2, 1, 1)}, "rolling_shutter"),
        ({"rolling_shutter": RollingShutterType.ROLLING_TOP_TO_BOTTOM}, "viewmats_rs"),
        ({"camera_model": "ortho", "radial_coeffs": coefficients(RADIAL)}, "radial_coeffs"),
        ({"camera_model": "fisheye", "tangential_coeffs": coefficients(TANGENTIAL)}, "tangential_coeffs"),
        ({"thin_prism_coeffs": torch.zeros(2, 4)}, "thin_prism_coeffs"),
    ],
)
def test_unsupported_options_are_named(changes, word):
    with pytest.raises(ConfigError, match=word):
        rasterization(**scene(), width=WIDTH, height=HEIGHT, **{**RAYS, **changes})


def test_wrong_numbers_of_coefficients_are_refused():
    with pytest.raises(ShapeError, match="radial_coeffs"):
        rasterization(**scene(), width=WIDTH, height=HEIGHT, **RAYS, radial_coeffs=coefficients(FISHEYE))
