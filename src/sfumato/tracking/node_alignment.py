"""Alignment of control nodes between the photographs of two steps: Gauss-Newton, coarse to fine."""

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

# Reduction factors of the photographs, coarse to fine, and Gauss-Newton iterations with each.
_REDUCTIONS, _ITERATIONS = (8, 4, 2), 8
# Least opacity of Gaussians whose colours are used, and relative tolerance of their depth against the
# rendered depth by which they count as visible.
_LEAST_OPACITY, _DEPTH_TOLERANCE = 0.1, 0.03
# Each Gaussian contributes to the equations of this many of its nearest nodes.
_NODES_OF_A_GAUSSIAN = 2
# Damping as shares of the trace of each node's own equations and of the median node's, so that a node with
# few visible Gaussians stays at its predicted pose.
_DAMPING, _LEAST_DAMPING = 0.01, 0.001
_UPPER = torch.triu_indices(6, 6)


@dataclass(frozen=True)
class _Sighting:
    """Gaussians visible to a camera in the previous step, once for each node they contribute to, by node.

    Attributes:
        camera: whose photographs are compared.
        now: its photograph of the current step, by reduction factor: [h, w, 3].
        colours: of the Gaussians in its photograph of the previous step, by reduction factor: [s, 3].
        offsets: [s, 3] from the nodes, world frame.
        weights: [s] of the nodes.
        first: [k + 1] index of the first row of each node.
    """

    camera: Camera
    now: dict[int, Tensor]
    colours: dict[int, Tensor]
    offsets: Tensor
    weights: Tensor
    first: Tensor


@torch.no_grad()
def aligned(state: TrackState, photographs: Photographs, nodes: Nodes, expected: MovingPoses) -> MovingPoses:
    """Poses of the Gaussians, carried by nodes that are aligned between the photographs of two steps.

    Each node moves independently as a rigid body. The photographs are compared with each other, not with
    renders: this also works where Gaussians are blurred, but errors accumulate over the steps.

    Args:
        state: with the poses of the completed steps.
        photographs: of the next step.
        nodes: of the moving Gaussians.
        expected: initial poses.
    """
    last = state.poses
    seen = list(_seen(state, nodes, photographs, last))
    rest = last.means[nodes.rows]
    shifts = expected.means[nodes.rows] - rest
    quats = quat_product(expected.quats[nodes.rows], conjugate(last.quats[nodes.rows]))
    if not any(len(view.offsets) for view in seen):
        return expected
    reach = torch.cat([view.offsets for view in seen]).norm(dim=1).mean().clamp_min(state.pixel_size)
    for reduction in _REDUCTIONS:
        for _ in range(_ITERATIONS):
            sums = torch.zeros(len(nodes), ALIGNMENT_ENTRIES)
            rotations = rotation_from_quats(quats)
            for view in seen:
                sums += ops.alignment(
                    view.offsets,
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
            quats = normalised(quat_product(normalised(half), quats))
    return MovingPoses(*nodes.carry(shifts, quats, last.means, last.quats))


def _seen(
    state: TrackState, nodes: Nodes, photographs: Photographs, last: MovingPoses
) -> Iterator[_Sighting]:
    """The Gaussians visible in the previous step, for each camera that has both photographs."""
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
        offsets = last.means[row] - last.means[nodes.rows[node]]
        first = torch.searchsorted(node, torch.arange(len(nodes) + 1))
        yield _Sighting(camera, _pyramid(now.load().rgb), colours, offsets, weights, first)


def _by_node(nodes: Nodes, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gaussians of some rows, once for each node they contribute to, in the order of the nodes.

    Returns:
        Indices into ``rows``, the nodes, and their weights.
    """
    influences = nodes.influences[rows, :_NODES_OF_A_GAUSSIAN]
    weights = nodes.weights[rows, :_NODES_OF_A_GAUSSIAN].flatten()
    order = influences.flatten().argsort(stable=True)
    return order // influences.shape[1], influences.flatten()[order], weights[order]


def _pyramid(rgb: np.ndarray) -> dict[int, Tensor]:
    """[h, w, 3] float32 in [0, 1] by reduction factor: means over blocks; partial blocks are cut off."""
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
    """[s, 3] colours of an image, bilinearly interpolated."""
    height, width = image.shape[:2]
    place = 2 * pixel / torch.tensor([width, height]) - 1
    found = grid_sample(
        image.permute(2, 0, 1)[None], place[None, None], padding_mode="border", align_corners=False
    )
    return found[0, :, 0].T.contiguous()


def _solved(sums: Tensor, reach: float) -> Tensor:
    """[k, 6] shifts and small rotations: the damped solutions of the normal equations [k, 27].

    Args:
        sums: [k, 27] of ``ops.alignment``.
        reach: length that makes shifts comparable with rotations, scene units.
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
