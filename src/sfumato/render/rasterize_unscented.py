"""The rasterizer for lenses and rolling shutters without an affine approximation, by unscented transform."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

from torch import Tensor

from sfumato import ops
from sfumato.errors import ConfigError
from sfumato.maths.device_copies import moved_like, numbers_like
from sfumato.ops.constants import BLUR_PX2
from sfumato.render.limits import limits_of
from sfumato.render.output import Render, TracedGaussians, expected_depth
from sfumato.render.settings import RasterSettings
from sfumato.render.view_colours import colours_from
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.image_points import image_points
from sfumato.scene.lenses import ON_TANGENTS
from sfumato.scene.pixel_directions import pixel_directions
from sfumato.scene.rays import camera_rays


@dataclass(frozen=True)
class UnscentedGaussians(TracedGaussians):
    """Per-Gaussian results with a distorted lens or a rolling shutter; see ``RenderedGaussians``.

    Attributes:
        gaussians: the scene.
        camera: of the image.
        limits: near and far, scene units.
    """

    gaussians: Gaussians
    camera: Camera
    limits: tuple[float | Tensor, float | Tensor]

    @cached_property
    def ellipses(self) -> ops.Unscented:
        """Ellipses of the Gaussians by the unscented transform, computed on first access."""
        g = self.gaussians.detach()
        (width, height), (near, far) = self.camera.size_px, self.limits
        return ops.unscented(
            g.means, g.quats, g.scales, g.opacities, partial(_placed, self.camera),
            width=width, height=height, near=near, far=far,
        )  # fmt: skip


def rasterize_unscented(gaussians: Gaussians, camera: Camera, settings: RasterSettings) -> Render:
    """Render a scene by the response of each Gaussian along each pixel's ray, in one order for all pixels.

    The order is that of the centres: by camera z at mid exposure, or by distance for lenses that may see
    behind the camera. There is no low-pass filter, as no ellipse is blended.

    Args:
        gaussians: the scene; float32 uses the kernels, float64 the definitions.
        camera: any lens, with a rolling shutter or without.
        settings: of the rasterizer; near and far are distances along the rays.

    Returns:
        Render, whose ``seen`` is UnscentedGaussians.

    Raises:
        ConfigError: the settings select a filter, or the shutter's poses are 180 degrees apart.
        ShapeError: dtype or device have no implementation.

    Gradients: every field of ``gaussians``, and the poses of the camera.

    Source: Wu et al. 2025 (3DGUT).
    """
    _refuse_filters(camera, settings)
    like = gaussians.means
    rays = camera_rays(camera, like=like)
    eye = rays.viewpoint
    assert eye is not None
    offsets = None if rays.origins.ndim == 1 else rays.origins - eye
    colours = colours_from(gaussians, eye, settings)
    near, far = limits_of(settings, like, eye)
    # A separate view of the means collects their gradient without the part from view-dependent colours.
    means = gaussians.means.view_as(gaussians.means)
    probe = like.new_zeros(len(like), requires_grad=True) if settings.absolute_gradient else None
    traced = ops.trace(
        means,
        gaussians.quats,
        gaussians.scales,
        gaussians.opacities,
        colours,
        eye,
        rays.directions,
        numbers_like(settings.background, like),
        near=near,
        far=far,
        offsets=offsets,
        absgrad_probe=probe,
        distances=settings.depth,
        depths=_order(camera, means.detach(), eye.detach()),
    )
    depth = None
    if settings.depth and traced.distance is not None:
        depth = expected_depth(traced.distance, traced.alpha) * pixel_directions(camera, like=like)[..., 2]
    seen = UnscentedGaussians(
        traced.visible,
        means,
        probe,
        eye.detach(),
        camera.half_image,
        gaussians,
        camera,
        (near, far),
    )
    return Render(traced.image, traced.alpha, depth, seen)


def _refuse_filters(camera: Camera, settings: RasterSettings) -> None:
    what = f"a {camera.lens.model} lens" if camera.shutter is None else "a rolling shutter"
    if settings.antialiased:
        raise ConfigError(f"antialiased filters ellipses, which are not used with {what}: leave it out")
    if settings.blur_px2 != BLUR_PX2:
        raise ConfigError(
            f"blur_px2 filters ellipses, which are not used with {what}: leave it at {BLUR_PX2}"
        )


def _order(camera: Camera, means: Tensor, eye: Tensor) -> Tensor:
    """[n] sort keys of the Gaussians, the nearest first."""
    if camera.lens.model not in (*ON_TANGENTS, "ortho"):
        return (means - eye).norm(dim=1)
    pose = moved_like(camera.camera_from_world.detach(), means)
    forward = pose[2, :3]
    if camera.shutter is not None:
        # The axis at mid exposure, up to its length, which does not affect the order.
        forward = forward + moved_like(camera.shutter.camera_from_world_end.detach(), means)[2, :3]
    return (means - eye) @ forward


def _placed(camera: Camera, points: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels [m, 2] and depths [m] of points; points that a lens images have positive depths."""
    pixels, z = image_points(camera, points)
    if camera.lens.model in (*ON_TANGENTS, "ortho"):
        return pixels, z
    eye = camera_rays(camera, like=points).viewpoint
    assert eye is not None
    return pixels, (points - eye.detach()).norm(dim=1)
