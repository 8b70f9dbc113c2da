"""A penalty that keeps Gaussians flat and along one surface, for meshes."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sfumato.render.draw import draw
from sfumato.render.settings import Settings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussian_normals import NO_NORMAL, coloured_by_normals, facing_normals
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.pixel_directions import pixel_directions
from sfumato.training.part import Part, Shot

# The penalty begins at this progress: before, Gaussians are still far from any surface. It costs another
# render, so only every second step has it.
_BEGIN, _EVERY = 0.3, 2
_LEAST_ALPHA = 0.5


class SurfacePenalty(Part):
    """Penalises Gaussians that are not flat, or not parallel to the surface that their depth shows.

    To the loss of a view it adds ``weight`` times the mean over pixels of sum_i w_i (1 - n_i . N), with the
    blending weight w_i and the normal n_i of each Gaussian, along its shortest axis and towards the camera,
    and the normal N of the expected depth; and ``weight`` times the mean over visible Gaussians of the ratio
    of their shortest axis to their next longer one. Both on average over steps.

    Args:
        weight: of the penalty.
        settings: of the run's renderer.

    Source: Huang et al. 2024 (2D Gaussian splatting), eq. 14.
    """

    name = "surface"

    def __init__(self, weight: float, settings: Settings) -> None:
        self.weight = weight
        self.settings = replace(
            settings, depth=True, colour="sh", sh_degree=0, background=NO_NORMAL, absolute_gradient=False
        )

    def penalty(self, gaussians: Gaussians, shot: Shot) -> Tensor | None:
        if shot.context.progress < _BEGIN or shot.context.step % _EVERY:
            return None
        camera = shot.camera
        normals = facing_normals(gaussians, camera.centre_world)
        render = draw(coloured_by_normals(gaussians, normals), camera, self.settings)
        assert render.depth is not None
        blended, alpha = 2.0 * render.image[1:-1, 1:-1] - 1.0, render.alpha[1:-1, 1:-1]
        # To the world frame.
        shown = normals_of_depth(render.depth, camera) @ camera.camera_from_world[:3, :3].to(blended)
        # Where little is drawn, depth shows no surface.
        unlike = (alpha - (blended * shown).sum(-1)) * (alpha.detach() > _LEAST_ALPHA)
        visible = render.seen.visible.to(alpha)
        shortest, middle, _ = gaussians.log_scales.sort(dim=1).values.unbind(1)
        flatness = ((shortest - middle).exp() * visible).sum() / visible.sum().clamp_min(1.0)
        return _EVERY * self.weight * (unlike.mean() + flatness)


def normals_of_depth(depth: Tensor, camera: Camera) -> Tensor:
    """[h - 2, w - 2, 3] unit normals towards the camera, in its frame, of the surface of a depth image.

    Args:
        depth: [h, w] camera z, scene units.
        camera: of the image.

    Gradients: depth.
    """
    directions = pixel_directions(camera, like=depth)
    points = directions / directions[..., 2:].clamp_min(1e-6) * depth[..., None]
    along = points[1:-1, 2:] - points[1:-1, :-2]
    down = points[2:, 1:-1] - points[:-2, 1:-1]
    return torch.nn.functional.normalize(torch.linalg.cross(down, along), dim=-1)
