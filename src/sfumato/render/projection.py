"""Projection of a scene to the ellipses of one image, for the rasterizer and for surface splatting."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from sfumato import ops
from sfumato.maths.device_copies import moved_like
from sfumato.maths.rigid import centre_of
from sfumato.render.limits import limits_of
from sfumato.render.settings import RasterSettings, is_antialiased
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians


class Ellipses(NamedTuple):
    """The ellipses of n Gaussians in an image.

    Attributes:
        projected: centres, conics, depths and boxes, from ``ops.project``.
        opacities: [n] alpha at their centres, times the compensation in the anti-aliased mode.
        viewpoint: [3] centre of the camera, world frame, in the scene's dtype.
    """

    projected: ops.Projected
    opacities: Tensor
    viewpoint: Tensor


def ellipses_of(gaussians: Gaussians, camera: Camera, settings: RasterSettings) -> Ellipses:
    """Project every Gaussian of a scene.

    Args:
        gaussians: the scene.
        camera: an ideal one: pinhole, orthographic or fisheye, with a global shutter.
        settings: blur, anti-aliasing, near and far.

    Gradients: means, log_scales, quats, logit_opacities, and the camera's pose.
    """
    like, opacities = gaussians.means, gaussians.opacities
    camera_from_world = moved_like(camera.camera_from_world, like)
    viewpoint = centre_of(camera_from_world)
    near, far = limits_of(settings, like, viewpoint)
    antialiased = is_antialiased(settings, gaussians)
    projected = ops.project(
        gaussians.means,
        ops.covariance(gaussians.quats, gaussians.scales),
        camera_from_world,
        moved_like(camera.intrinsics, like),
        width=camera.width,
        height=camera.height,
        near=near,
        far=far,
        blur_px2=settings.blur_px2,
        model=camera.lens.model,
        opacities=opacities,
        antialiased=antialiased,
    )
    if antialiased:
        opacities = opacities * projected.compensation
    return Ellipses(projected, opacities, viewpoint)
