"""Rigidity, rotation and isometry of neighbours, and the gradient."""

import torch

from sfumato.ops.gpu.kernels.neighbour_motion import (
    EDGE,
    STATE,
    motion_gradients,
    motion_states,
    priors_backward,
    priors_forward,
)
from sfumato.ops.gpu.kernels.splat_records import add_pairs
from sfumato.ops.gpu.launch import programs_over, start, start_elementwise

# Rows of edges added at a time by one program.
ROWS_AT_ONCE = 16


def forward(means, quats, previous_means, previous_quats, neighbours, weights, rest_distances):
    """See sfumato.ops.motion_priors."""
    states, edges = _prepared(
        means, quats, previous_means, previous_quats, neighbours, weights, rest_distances
    )
    n, columns = neighbours.shape
    shares = means.new_empty(programs_over(n), 3)
    start_elementwise(priors_forward, n, states, *edges, shares, columns)
    return (shares.sum(0, dtype=torch.float64) / max(n, 1)).to(means.dtype)


def backward(grad, means, quats, previous_means, previous_quats, neighbours, weights, rest_distances):
    """Gradients to the means and the quaternions."""
    states, edges = _prepared(
        means, quats, previous_means, previous_quats, neighbours, weights, rest_distances
    )
    n, columns = neighbours.shape
    # Edges sorted by neighbour; missing ones (-1) come first and are ignored.
    receiver, order = torch.sort(neighbours.flatten(), stable=True)
    places = torch.empty_like(order, dtype=torch.int32)
    places[order] = torch.arange(len(order), device=order.device, dtype=torch.int32)
    all_rows = torch.arange(n + 1, device=order.device, dtype=torch.int32)
    starts = torch.searchsorted(receiver, all_rows, out_int32=True)
    rows = means.new_empty(n * columns, EDGE.value)
    totals, received = means.new_empty(n, EDGE.value), means.new_zeros(n, EDGE.value)
    factors = grad / max(n, 1)
    start_elementwise(priors_backward, n, states, *edges, factors, places, rows, totals, columns)
    start(
        add_pairs, n, 1, rows, starts, all_rows, received,
        COLUMNS=EDGE.value, PADDED=EDGE.value, CHUNK=ROWS_AT_ONCE,
    )  # fmt: skip
    quats, previous_quats = quats.contiguous(), previous_quats.contiguous()
    to_means, to_quats = means.new_empty(n, 3), means.new_empty(n, 4)
    given = totals, received, quats, previous_quats, edges[-1]
    start_elementwise(motion_gradients, n, *given, to_means, to_quats)
    return to_means, to_quats


def _prepared(means, quats, previous_means, previous_quats, neighbours, weights, rest_distances):
    """States [n, 10]; and neighbours, weights, rest distances and 1 over their mean, on the device."""
    states = means.new_empty(len(means), STATE.value)
    poses = [tensor.contiguous() for tensor in (means, quats, previous_means, previous_quats)]
    start_elementwise(motion_states, len(means), *poses, states)
    is_edge = neighbours >= 0
    total = torch.where(is_edge, rest_distances, 0.0).sum(dtype=torch.float64)
    scale = torch.where(total > 0, is_edge.sum() / total, 1.0).to(means.dtype)
    return states, (neighbours.contiguous(), weights.contiguous(), rest_distances.contiguous(), scale)
