"""The rasterizer: a scene, a camera, a picture."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato import ops
from sfumato.errors import ConfigError
from sfumato.render.output import Render, SeenGaussians
from sfumato.render.settings import RasterSettings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians

IDEAL_LENSES = ("pinhole", "ortho", "fisheye")
# Keeps 0 / 0 at 0 where nothing is seen.
_LEAST_ALPHA = 1e-10


def rasterize(gaussians: Gaussians, camera: Camera, settings: RasterSettings = RasterSettings()) -> Render:
    """Render a scene by projecting each Gaussian to an ellipse and blending them front to back.

    Args:
        gaussians: the scene; float32 uses the kernels, float64 the definitions.
        camera: pinhole, orthographic or ideal fisheye; camera_from_world is converted to the
            scene's dtype and device.
        settings: what to vary.

    Returns:
        Render.

    Raises:
        ConfigError: the lens is distorted or a panorama's, or the shutter is a rolling one.
        ShapeError: dtype or device have no implementation.

    Gradients: every field of ``gaussians``, and camera.camera_from_world.

    Source: Kerbl et al. 2023; Zwicker et al. 2002.
    """
    if camera.lens.model not in IDEAL_LENSES:
        raise ConfigError(
            f"the rasterizer takes {', '.join(IDEAL_LENSES)} lenses, "
            f"not {camera.lens.model!r}: trace rays instead, or undistort the pictures first"
        )
    if camera.shutter is not None:
        raise ConfigError("the rasterizer takes a global shutter: trace rays instead, or set shutter=None")
    like = gaussians.means
    camera_from_world = camera.camera_from_world.to(like)
    size = {"width": camera.width, "height": camera.height}
    opacities = gaussians.opacities
    projected = ops.project(
        gaussians.means,
        ops.covariance(gaussians.quats, gaussians.scales),
        camera_from_world,
        camera.intrinsics.to(like),
        **size,
        near=settings.near,
        far=settings.far,
        blur_px2=settings.blur_px2,
        model=camera.lens.model,
        opacities=opacities,
        antialiased=settings.antialiased,
    )
    visible = projected.radius_px[:, 0] > 0
    degree = gaussians.sh_degree if settings.sh_degree is None else settings.sh_degree
    centre = -camera_from_world[:3, :3].T @ camera_from_world[:3, 3]
    channels = ops.colour(gaussians.sh, gaussians.means, centre, min(degree, gaussians.sh_degree), visible)
    background = like.new_tensor(settings.background)
    if settings.depth:
        channels = torch.cat([channels, projected.depth[:, None]], dim=1)
        background = torch.cat([background, background.new_zeros(1)])
    if settings.antialiased:
        opacities = opacities * projected.compensation
    probe = torch.zeros_like(projected.mean_px, requires_grad=True) if settings.absolute_gradient else None
    image, alpha = ops.composite(
        projected.mean_px,
        projected.conic,
        opacities,
        channels,
        projected.depth,
        projected.radius_px,
        background,
        **size,
        absgrad_probe=probe,
    )
    seen = SeenGaussians(visible, projected.radius_px, projected.mean_px, probe, camera.size_px)
    return Render(image[..., :3], alpha, _expected_depth(image, alpha, settings), seen)


def _expected_depth(image: Tensor, alpha: Tensor, settings: RasterSettings) -> Tensor | None:
    return image[..., 3] / alpha.clamp_min(_LEAST_ALPHA) if settings.depth else None
