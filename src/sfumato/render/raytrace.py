"""The ray tracer, for free rays or a camera with any lens."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato import ops
from sfumato.checks import check_type
from sfumato.errors import ConfigError
from sfumato.maths.device_copies import moved_like, numbers_like
from sfumato.render.limits import limits_of
from sfumato.render.output import Render, TracedGaussians, expected_depth
from sfumato.render.settings import TraceSettings
from sfumato.render.view_colours import colours_from, colours_of_rays
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.pixel_directions import pixel_directions
from sfumato.scene.rays import Rays, camera_rays

# Rays whose origins lie within this fraction of the scene's median distance share lists of Gaussians.
_NEAR_ONE_POINT = 0.1


def raytrace(gaussians: Gaussians, rays: Rays | Camera, settings: TraceSettings = TraceSettings()) -> Render:
    """Render a scene along rays, by each Gaussian's maximum response on each ray.

    Nothing is projected, so any lens and any rays are exact, and every ray blends in the exact order of
    its own hits. There is no low-pass filter either: details smaller than a pixel may alias.

    Args:
        gaussians: the scene; float32 uses the kernels, float64 the definitions.
        rays: rays, converted to the scene's dtype and device, or a camera with any lens.
        settings: of the ray tracer.

    Returns:
        Render, of the shape of the rays. Its depth is the expected camera z of a camera's picture, and
        the expected distance along each ray otherwise.

    Raises:
        ShapeError: dtype or device have no implementation.
        ConfigError: a lens or a shutter has no rays, the absolute gradient is requested for rays whose
            origins are far apart, or an argument is of another type.

    Gradients: every field of ``gaussians``; origins and directions of the rays, or the poses of the camera.

    Source: Moenne-Loccoz et al. 2024; Deybach 2025.
    """
    check_type("gaussians", gaussians, Gaussians)
    check_type("rays", rays, Rays, Camera)
    check_type("settings", settings, TraceSettings)
    camera = rays if isinstance(rays, Camera) else None
    like = gaussians.means
    rays = camera_rays(rays, like=like) if isinstance(rays, Camera) else rays.to(like)
    # A separate view of the means collects their gradient without the part from view-dependent colours.
    means = gaussians.means.view_as(gaussians.means)
    probe = like.new_zeros(len(like), requires_grad=True) if settings.absolute_gradient else None
    traced = _trace(gaussians, means, rays, settings, probe)
    depth = None
    if settings.depth and traced.distance is not None:
        depth = expected_depth(traced.distance, traced.alpha)
        if camera is not None:
            depth = depth * pixel_directions(camera, like=like)[..., 2]
    viewpoint, half_image = None, 0.0
    if camera is not None:
        viewpoint, half_image = moved_like(camera.centre_world.detach(), means), camera.half_image
    seen = TracedGaussians(traced.visible, means, probe, viewpoint, half_image)
    return Render(traced.image, traced.alpha, depth, seen)


def _trace(
    gaussians: Gaussians, means: Tensor, rays: Rays, settings: TraceSettings, probe: Tensor | None
) -> ops.Traced:
    shape = (means, gaussians.quats, gaussians.scales, gaussians.opacities)
    near, far = limits_of(settings, means, rays.origins if rays.viewpoint is None else rays.viewpoint)
    background = numbers_like(settings.background, means)
    eye = rays.viewpoint
    if eye is None and rays.origins.ndim == 1:
        eye = rays.origins
    if eye is not None and rays.directions.ndim == 3:
        offsets = None if rays.origins.ndim == 1 else rays.origins - eye
        if offsets is None or _is_near_one_point(offsets, gaussians, eye):
            colours = colours_from(gaussians, eye, settings)
            return ops.trace(
                *shape,
                colours,
                eye,
                rays.directions,
                background,
                near=near,
                far=far,
                offsets=offsets,
                absgrad_probe=probe,
                distances=settings.depth,
            )
    if probe is not None:
        raise ConfigError("absolute_gradient needs an image of rays that begin near one point: leave it out")
    features, degree = colours_of_rays(gaussians, settings, eye)
    dims = rays.directions.shape[:-1]
    image, alpha, distance = ops.trace_rays(
        *shape,
        features,
        rays.origins.expand_as(rays.directions).reshape(-1, 3),
        rays.directions.reshape(-1, 3),
        background,
        degree=degree,
        near=near,
        far=far,
    )
    visible = torch.ones(len(gaussians), dtype=torch.bool, device=means.device)
    return ops.Traced(image.reshape(*dims, 3), alpha.reshape(dims), distance.reshape(dims), visible)


@torch.no_grad()
def _is_near_one_point(offsets: Tensor, gaussians: Gaussians, eye: Tensor) -> bool:
    if len(gaussians) == 0:
        return True
    return bool(offsets.abs().max() <= _NEAR_ONE_POINT * (gaussians.means - eye).norm(dim=1).median())
