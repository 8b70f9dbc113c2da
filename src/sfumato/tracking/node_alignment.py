"""Bodies and control nodes are aligned between the photographs of two steps: Gauss-Newton, coarse to fine."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato import ops
from sfumato.maths.quaternions import conjugate, normalised, quat_product, rotation_from_quats
from sfumato.ops.constants import ALIGNMENT_ENTRIES, ALIGNMENT_TOLERANCE
from sfumato.tracking.node_points import REDUCTIONS, TrackedView, node_points, tracked_views
from sfumato.tracking.nodes import Nodes
from sfumato.tracking.photograph_parts import Photographs
from sfumato.tracking.track_state import MovingPoses, TrackState

# Gauss-Newton iterations with each reduction of the photographs. Bodies are aligned with all of them, nodes
# down to the second: a node alone sees too little of the finest detail.
_ITERATIONS = 8
# Reductions at which bodies are aligned with renders; coarser ones mix the body with its surroundings.
_RENDER_REDUCTIONS = REDUCTIONS[2:]
# Damping as shares of the trace of each node's own equations and of the median node's, so that a node with
# few visible Gaussians stays at its predicted pose.
_DAMPING, _LEAST_DAMPING = 0.01, 0.001
# A body bends with its nodes where this reduces the misfit of its colours by at least this share.
_BENDS = 0.2
_UPPER = torch.triu_indices(6, 6)


@torch.no_grad()
def aligned(state: TrackState, photographs: Photographs, expected: MovingPoses) -> MovingPoses:
    """Poses of the Gaussians: bodies, then control nodes, aligned between the photographs of two steps.

    First each body moves rigidly, then each node as a separate rigid body. The photographs of two steps are
    compared, which also works where Gaussians are blurred, but errors accumulate over the steps. A body keeps
    the motions of its nodes only if the colours of its Gaussians then agree clearly better. A body that stays
    rigid is compared without shading, which does not rotate with it, and at last with the render of the step
    before, which does not drift.

    Args:
        state: with nodes and bodies, and with the poses of the completed steps.
        photographs: of the next step.
        expected: initial poses.
    """
    bodies, nodes = state.bodies, state.nodes
    assert bodies is not None and nodes is not None
    seen = tracked_views(state, photographs)
    plain = [images.photographs.among(bodies.members) for images in seen]
    details = [images.details.among(bodies.members) for images in seen]
    renders = [images.render.among(bodies.members) for images in seen]
    rigid = _aligned(state, details, bodies.nodes, expected, REDUCTIONS)
    bent = _aligned(state, [images.photographs for images in seen], nodes, rigid, REDUCTIONS[:-1])
    gain = 1 - _misfit(state, plain, bent) / _misfit(state, plain, rigid).clamp_min(1e-12)
    bends = (gain >= _BENDS)[bodies.of, None]
    rigid = _aligned(state, renders, bodies.nodes, rigid, _RENDER_REDUCTIONS)
    return MovingPoses(
        torch.where(bends, bent.means, rigid.means), torch.where(bends, bent.quats, rigid.quats)
    )


def _misfit(state: TrackState, seen: list[TrackedView], poses: MovingPoses) -> Tensor:
    """[k] misfit of each body's colours in photographs of half size: mean of Cauchy's loss over views."""
    assert state.bodies is not None
    count = len(state.bodies)
    sums, counts = torch.zeros(count, dtype=torch.float64), torch.zeros(count, dtype=torch.float64)
    for view in seen:
        reduction = REDUCTIONS[-2]
        colours, inside = view.seen_now(poses.means, reduction)
        squares = (colours - view.colours[reduction]).double().square().sum(1)
        body = state.bodies.of[view.rows]
        sums.index_add_(0, body, inside * torch.log1p(squares / ALIGNMENT_TOLERANCE**2))
        counts.index_add_(0, body, inside.double())
    return sums / counts.clamp_min(1)


def _aligned(
    state: TrackState, seen: list[TrackedView], nodes: Nodes, start: MovingPoses, reductions: tuple[int, ...]
) -> MovingPoses:
    """Poses of the Gaussians, carried by nodes that are aligned independently, from initial poses."""
    last = state.poses
    points = [node_points(view, nodes, last.means) for view in seen]
    if not any(len(some.offsets) for some in points):
        return start
    rest = last.means[nodes.rows]
    shifts = start.means[nodes.rows] - rest
    quats = quat_product(start.quats[nodes.rows], conjugate(last.quats[nodes.rows]))
    reach = torch.cat([some.offsets for some in points]).norm(dim=1).mean().clamp_min(state.pixel_size)
    for reduction in reductions:
        colours = [view.colours[reduction][some.order] for view, some in zip(seen, points, strict=True)]
        for _ in range(_ITERATIONS):
            sums = torch.zeros(len(nodes), ALIGNMENT_ENTRIES)
            rotations = rotation_from_quats(quats)
            for view, some, colour in zip(seen, points, colours, strict=True):
                sums += ops.alignment(
                    some.offsets,
                    colour,
                    some.weights,
                    some.first,
                    rest + shifts,
                    rotations,
                    view.now[reduction],
                    view.camera.camera_from_world.float(),
                    view.intrinsics(reduction),
                )
            move = _solved(sums.double(), float(reach)).float()
            shifts = shifts + move[:, :3]
            half = torch.cat([torch.ones(len(nodes), 1), 0.5 * move[:, 3:]], dim=1)
            quats = normalised(quat_product(normalised(half), quats))
    return MovingPoses(*nodes.carry(shifts, quats, last.means, last.quats))


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
