"""Control nodes moved so that the photographs of two steps agree: Gauss-Newton, coarse to fine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from sfumato import ops
from sfumato.maths.quaternions import conjugate, normalised, quat_product, rotation_from_quats
from sfumato.ops.constants import ALIGNMENT_ENTRIES
from sfumato.render.rasterize import rasterize
from sfumato.scene.cameras import Camera
from sfumato.tracking.cut_photographs import Photographs
from sfumato.tracking.nodes import Nodes
from sfumato.tracking.track_state import MovingPoses, TrackState, together

# Photographs are reduced so many times, one after the other, and so often the equations are solved with each.
_REDUCTIONS, _ITERATIONS = (8, 4, 2), 8
# Gaussians of lower opacity show no colour of their own; the others are seen if they lie within this share of
# the rendered depth.
_LEAST_OPACITY, _DEPTH_TOLERANCE = 0.1, 0.03
# A Gaussian speaks for so many of the nodes that carry it, the nearest.
_NODES_OF_A_GAUSSIAN = 2
# Of the diagonal: of each node's own equations, and of those of the median node, so that a node of which
# little is seen stays as it was expected.
_DAMPING, _LEAST_DAMPING = 0.01, 0.001
_UPPER = torch.triu_indices(6, 6)


@dataclass(frozen=True)
class _Sighting:
    """Gaussians that a camera sees in the step before, once for each node that they speak for; by node.

    Attributes:
        camera: whose photographs are compared.
        now: its photograph of the step, by the reduction: [h, w, 3].
        colours: of the Gaussians in its photograph of the step before, by the reduction: [s, 3].
        arms: [s, 3] from the nodes, world frame.
        weights: [s] of the nodes.
        first: [k + 1] where those of each node begin.
    """

    camera: Camera
    now: dict[int, Tensor]
    colours: dict[int, Tensor]
    arms: Tensor
    weights: Tensor
    first: Tensor


@torch.no_grad()
def aligned(state: TrackState, photographs: Photographs, nodes: Nodes, expected: MovingPoses) -> MovingPoses:
    """Where nodes carry the Gaussians so that what cameras saw of them before is what they see now.

    Each node moves as a rigid body, on its own. The photographs are compared with each other, not with
    renders: that holds where Gaussians are blurred, but errors add up from step to step.

    Args:
        state: with the poses of the steps done.
        photographs: of the next step.
        nodes: of the moving Gaussians.
        expected: poses to begin with.
    """
    last = state.poses
    seen = list(_seen(state, nodes, photographs, last))
    rest = last.means[nodes.rows]
    shifts = expected.means[nodes.rows] - rest
    turns = quat_product(expected.quats[nodes.rows], conjugate(last.quats[nodes.rows]))
    if not any(len(view.arms) for view in seen):
        return expected
    reach = torch.cat([view.arms for view in seen]).norm(dim=1).mean().clamp_min(state.pixel_size)
    for reduction in _REDUCTIONS:
        for _ in range(_ITERATIONS):
            sums = torch.zeros(len(nodes), ALIGNMENT_ENTRIES)
            rotations = rotation_from_quats(turns)
            for view in seen:
                sums += ops.alignment(
                    view.arms,
                    view.colours[reduction],
                    view.weights,
                    view.first,
                    rest + shifts,
                    rotations,
                    view.now[reduction],
                    view.camera.camera_from_world.float(),
                    _reduced_intrinsics(view.camera, reduction),
                )
            move = _solved(sums.double(), float(reach)).float()
            shifts = shifts + move[:, :3]
            half = torch.cat([torch.ones(len(nodes), 1), 0.5 * move[:, 3:]], dim=1)
            turns = normalised(quat_product(normalised(half), turns))
    return MovingPoses(*nodes.carry(shifts, turns, last.means, last.quats))


def _seen(
    state: TrackState, nodes: Nodes, photographs: Photographs, last: MovingPoses
) -> Iterator[_Sighting]:
    """What each camera that has both photographs saw in the step before."""
    settings, moving = replace(state.settings, depth=True), state.moved(last)
    solid = state.moving_gaussians.opacities >= _LEAST_OPACITY
    for index, number in enumerate(photographs.numbers):
        camera, step = state.cameras[number].camera, photographs.step
        before, now = state.cameras[number].views[step - 1], state.cameras[number].views[step]
        if before is None or now is None:
            continue
        pose = camera.camera_from_world.to(last.means)
        points = last.means @ pose[:3, :3].T + pose[:3, 3]
        depth = points[:, 2].clamp_min(torch.finfo(points.dtype).tiny)
        mean_px = points[:, :2] / depth[:, None] * torch.tensor(camera.focal_px) + torch.tensor(
            camera.centre_px
        )
        visible = torch.zeros(len(points), dtype=torch.bool)
        for region, part in zip(photographs.regions(index), photographs.parts(index, 2), strict=True):
            image = rasterize(together(part.still, moving), part.camera, settings)
            assert image.depth is not None
            size = torch.tensor([region.width, region.height])
            place = mean_px - torch.tensor([region.left, region.top])
            inside = solid & (points[:, 2] > 0) & ((place >= 0) & (place < size)).all(1)
            rows = torch.nonzero(inside)[:, 0]
            pixel = (place[rows] / size * torch.tensor(part.camera.size_px)).long()
            rendered = image.depth[pixel[:, 1], pixel[:, 0]]
            visible[rows] |= (rendered - depth[rows]).abs() < _DEPTH_TOLERANCE * rendered
        rows = torch.nonzero(visible)[:, 0]
        order, node, weights = _by_node(nodes, rows)
        row = rows[order]
        colours = {
            reduction: _colours(image, mean_px[row] / reduction)
            for reduction, image in _pyramid(before.load().rgb).items()
        }
        arms = last.means[row] - last.means[nodes.rows[node]]
        first = torch.searchsorted(node, torch.arange(len(nodes) + 1))
        yield _Sighting(camera, _pyramid(now.load().rgb), colours, arms, weights, first)


def _by_node(nodes: Nodes, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gaussians of some rows, once for each node that they speak for, in the order of the nodes.

    Returns:
        Where each stands in ``rows``, the nodes, and their weights.
    """
    influences = nodes.influences[rows, :_NODES_OF_A_GAUSSIAN]
    weights = nodes.weights[rows, :_NODES_OF_A_GAUSSIAN].flatten()
    order = influences.flatten().argsort(stable=True)
    return order // influences.shape[1], influences.flatten()[order], weights[order]


def _pyramid(rgb: np.ndarray) -> dict[int, Tensor]:
    """[h, w, 3] float32 from 0 to 1 for each reduction: means over squares of pixels; a rest is cut off."""
    image, found, at = torch.from_numpy(rgb).permute(2, 0, 1).float() / 255, {}, 1
    for reduction in sorted(_REDUCTIONS):
        side = reduction // at
        if min(image.shape[1:]) >= side:
            image, at = avg_pool2d(image, side), reduction
        found[reduction] = image.permute(1, 2, 0).contiguous()
    return found


def _reduced_intrinsics(camera: Camera, reduction: int) -> Tensor:
    """[3, 3] float32 of a photograph of ``_pyramid``."""
    scale = torch.tensor([[1 / reduction], [1 / reduction], [1.0]])
    return camera.intrinsics.float() * scale


def _colours(image: Tensor, pixel: Tensor) -> Tensor:
    """[s, 3] colours of an image between four pixels."""
    height, width = image.shape[:2]
    place = 2 * pixel / torch.tensor([width, height]) - 1
    found = grid_sample(
        image.permute(2, 0, 1)[None], place[None, None], padding_mode="border", align_corners=False
    )
    return found[0, :, 0].T.contiguous()


def _solved(sums: Tensor, reach: float) -> Tensor:
    """[k, 6] shifts and small turns that the normal equations [k, 27] ask for, damped.

    Args:
        sums: [k, 27] of ``ops.alignment``.
        reach: length by which a shift compares with a turn, scene units.
    """
    scale = sums.new_tensor([reach] * 3 + [1.0] * 3)
    squares = sums.new_zeros(len(sums), 6, 6)
    squares[:, _UPPER[0], _UPPER[1]] = sums[:, :21]
    squares[:, _UPPER[1], _UPPER[0]] = sums[:, :21]
    squares = squares * scale * scale[:, None]
    diagonal = squares.diagonal(dim1=1, dim2=2)
    size = diagonal.sum(1)
    least = _LEAST_DAMPING * size.median() + torch.finfo(sums.dtype).tiny
    damped = squares + torch.diag_embed((_DAMPING * size + least)[:, None].expand(-1, 6))
    return -scale * torch.linalg.solve(damped, sums[:, 21:] * scale)
