import math

import torch

from sfumato.maths.neighbours import near_neighbours
from sfumato.tracking.edges import EdgeStrain, softened, strained


def two_bodies():
    """Points of two touching clouds, their edges, and a mask of the edges between the two."""
    points = torch.rand(80, 3, generator=torch.Generator().manual_seed(0))
    is_right = points[:, 0] > 0.5
    edges = near_neighbours(points, 6)
    return points, is_right, edges, is_right[edges.rows.long()] != is_right[:, None]


def test_a_strain_of_half_the_mean_distance_leaves_one_over_e():
    edges = torch.tensor([[1], [0]], dtype=torch.int32)
    rest, weights = torch.ones(2, 1), torch.ones(2, 1)
    strain = EdgeStrain.none(weights)
    for _ in range(60):
        strain = strained(strain, torch.tensor([[0.0, 0, 0], [1.5, 0, 0]]), edges, rest)
    torch.testing.assert_close(softened(weights, strain), weights / math.e)


def test_edges_between_separating_bodies_are_cut_and_others_keep_their_weight():
    points, is_right, edges, joins = two_bodies()
    assert joins.any()
    strain = EdgeStrain.none(edges.weights)
    for step in range(1, 9):
        moved = points + is_right[:, None] * torch.tensor([0.2 * step, 0.0, 0.0])
        strain = strained(strain, moved, edges.rows, edges.distances)
    weights = softened(edges.weights, strain)
    assert not weights[joins].any()
    torch.testing.assert_close(weights[~joins], edges.weights[~joins])
    # After separation, contact does not restore the edges.
    for _ in range(30):
        strain = strained(strain, points, edges.rows, edges.distances)
    assert not softened(edges.weights, strain)[joins].any()


def test_edges_recover_from_short_strain():
    points, is_right, edges, _ = two_bodies()
    strain = EdgeStrain.none(edges.weights)
    for _ in range(4):
        strain = strained(strain, points + 3 * is_right[:, None], edges.rows, edges.distances)
    assert (softened(edges.weights, strain) < 0.01 * edges.weights).any()
    for _ in range(60):
        strain = strained(strain, points, edges.rows, edges.distances)
    torch.testing.assert_close(softened(edges.weights, strain), edges.weights)


def test_missing_edges_are_never_strained():
    weights = torch.zeros(1, 3)
    rows = torch.full((1, 3), -1, dtype=torch.int32)
    strain = strained(EdgeStrain.none(weights), torch.ones(1, 3), rows, weights)
    assert not strain.mean.any()
    assert not strain.failures.any()
