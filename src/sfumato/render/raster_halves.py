"""The two halves of rasterization: Gaussians to splats, and splats to an image.

Between them lies all that a view needs of each Gaussian, so that they may run in different processes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sfumato import ops
from sfumato.maths.device_copies import numbers_like
from sfumato.ops.project import IDEAL_LENSES
from sfumato.render.output import RasterizedGaussians, Render, expected_depth
from sfumato.render.projection import ellipses_of
from sfumato.render.settings import RasterSettings
from sfumato.render.view_colours import colours_from
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians


class ProjectedGaussians(NamedTuple):
    """The projections of n Gaussians in an image.

    Attributes:
        mean_px: [n, 2] centres.
        conic: [n, 3] inverse covariances, upper triangle.
        opacities: [n] alpha at the centres.
        channels: [n, c] colours, and depth if it is rendered.
        depth: [n] camera z of the centres, which orders them.
        radius_px: [n, 2] int32 half sizes of the boxes in which alpha reaches 1/255; 0 if not.
    """

    mean_px: Tensor
    conic: Tensor
    opacities: Tensor
    channels: Tensor
    depth: Tensor
    radius_px: Tensor

    @property
    def visible(self) -> Tensor:
        """[n] bool, whether each may touch the image."""
        return self.radius_px[:, 0] > 0


def has_ellipses(camera: Camera) -> bool:
    """Whether projections are ellipses: an ideal lens and a global shutter."""
    return camera.shutter is None and camera.lens.model in IDEAL_LENSES


def projected_scene(gaussians: Gaussians, camera: Camera, settings: RasterSettings) -> ProjectedGaussians:
    """Project every Gaussian of a scene.

    Args:
        gaussians: the scene.
        camera: one with ``has_ellipses``.
        settings: of the rasterizer.

    Gradients: every field of ``gaussians``, and the camera's pose.
    """
    projected, opacities, viewpoint = ellipses_of(gaussians, camera, settings)
    channels = colours_from(gaussians, viewpoint, settings, projected.radius_px[:, 0] > 0)
    if settings.depth:
        channels = torch.cat([channels, projected.depth[:, None]], dim=1)
    return ProjectedGaussians(
        projected.mean_px, projected.conic, opacities, channels, projected.depth, projected.radius_px
    )


def blended(splats: ProjectedGaussians, camera: Camera, settings: RasterSettings) -> Render:
    """Blend splats front to back.

    Args:
        splats: of the camera, with the same settings.
        camera: its size is that of the image.
        settings: of the rasterizer.

    Gradients: mean_px, conic, opacities and channels of ``splats``.
    """
    background = numbers_like(settings.background, splats.channels)
    if settings.depth:
        background = torch.cat([background, background.new_zeros(1)])
    probe = torch.zeros_like(splats.mean_px, requires_grad=True) if settings.absolute_gradient else None
    image, alpha = ops.composite(
        splats.mean_px,
        splats.conic,
        splats.opacities,
        splats.channels,
        splats.depth,
        splats.radius_px,
        background,
        width=camera.width,
        height=camera.height,
        absgrad_probe=probe,
    )
    seen = RasterizedGaussians(splats.visible, splats.radius_px, splats.mean_px, probe, camera.size_px)
    depth = expected_depth(image[..., 3], alpha) if settings.depth else None
    return Render(image[..., :3], alpha, depth, seen)
