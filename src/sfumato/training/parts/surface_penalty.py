"""A penalty that keeps Gaussians flat and along one surface, for meshes."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sfumato.maths.quaternions import rotation_from_quats
from sfumato.maths.sh import SH_C0
from sfumato.render.draw import draw
from sfumato.render.settings import Settings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.pixel_directions import pixel_directions
from sfumato.training.part import Part, Shot

# The penalty begins at this progress: before, Gaussians are still far from any surface. It costs another
# render, so only every second step has it.
_BEGIN, _EVERY = 0.3, 2
# Blended normals are rendered as colours (1 + normal) / 2, over the colour of no normal.
_NO_NORMAL = (0.5, 0.5, 0.5)


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
            settings, depth=True, colour="sh", sh_degree=0, background=_NO_NORMAL, absolute_gradient=False
        )

    def penalty(self, gaussians: Gaussians, shot: Shot) -> Tensor | None:
        if shot.context.progress < _BEGIN or shot.context.step % _EVERY:
            return None
        normals = facing_normals(gaussians, shot.camera)
        render = draw(replace(gaussians, sh=(normals / (2.0 * SH_C0))[:, None]), shot.camera, self.settings)
        blended = 2.0 * render.image - 1.0
        assert render.depth is not None
        inner = normals_of_depth(render.depth, shot.camera)
        there = render.alpha[1:-1, 1:-1].detach()
        # Normals that the depth does not show, at the border and where nothing is, count as agreement.
        unlike = (render.alpha[1:-1, 1:-1] - (blended[1:-1, 1:-1] * inner).sum(-1)) * (there > 0.5)
        shortest, middle, _ = gaussians.log_scales.sort(dim=1).values[render.seen.visible].unbind(1)
        flatness = (shortest - middle).exp()
        return _EVERY * self.weight * (unlike.mean() + flatness.mean())


def facing_normals(gaussians: Gaussians, camera: Camera) -> Tensor:
    """[n, 3] unit vectors along the shortest axes, in the camera's frame, on the side of the camera.

    Gradients: gaussians.quats.
    """
    pose = camera.camera_from_world.to(gaussians.means)
    shortest = gaussians.log_scales.detach().argmin(dim=1)
    rotations = rotation_from_quats(gaussians.quats)
    axes = rotations.gather(2, shortest[:, None, None].expand(-1, 3, 1))[..., 0]
    normals = axes @ pose[:3, :3].T
    with torch.no_grad():
        centres = gaussians.means @ pose[:3, :3].T + pose[:3, 3]
        away = ((normals * centres).sum(1, keepdim=True) > 0).to(normals)
    return normals * (1.0 - 2.0 * away)


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
