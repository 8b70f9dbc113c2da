import math

import pytest
import torch

from sfumato.errors import SfumatoError
from sfumato.maths.neighbours import near_neighbours


def test_points_on_a_line():
    points = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [3.0, 0, 0]], dtype=torch.float64)
    rows, weights, distances = near_neighbours(points, 2)
    assert rows.tolist() == [[1, 2], [0, 2], [1, 0]]
    assert rows.dtype == torch.int32
    assert distances.tolist() == [[1, 3], [1, 2], [2, 3]]
    # Squared distances are 1, 1, 4, 4, 9, 9, and the lower of the two middle ones is their median.
    first, second = math.exp(-1 / 8), math.exp(-9 / 8)
    expected = torch.tensor([first, second], dtype=torch.float64) / (first + second)
    torch.testing.assert_close(weights[0], expected)


def test_all_neighbours_agree_with_every_distance():
    points = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    rows, weights, distances = near_neighbours(points, 7)
    every = torch.cdist(points.double(), points.double()).fill_diagonal_(torch.inf)
    wanted = every.topk(7, largest=False)
    assert torch.equal(rows.long(), wanted.indices)
    torch.testing.assert_close(distances.double(), wanted.values, rtol=1e-6, atol=0)
    torch.testing.assert_close(weights.sum(1), torch.ones(60))
    assert (weights[:, :-1] >= weights[:, 1:]).all()


def test_the_unit_of_length_does_not_change_weights():
    points = torch.randn(30, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(near_neighbours(points * 1e4, 5).weights, near_neighbours(points, 5).weights)


def test_equally_near_points_are_in_order_of_their_rows():
    axes = torch.eye(3)
    rows = near_neighbours(torch.cat([-axes, axes, torch.zeros(1, 3)]), 6).rows
    assert rows[6].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_far_point_has_weights_too():
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(2))
    points[7] = 1e6
    weights = near_neighbours(points, 4).weights
    torch.testing.assert_close(weights.sum(1), torch.ones(20))


def test_coincident_points():
    rows, weights, distances = near_neighbours(torch.ones(9, 3), 3)
    assert not (rows == torch.arange(9)[:, None]).any()
    assert not distances.any()
    torch.testing.assert_close(weights, torch.full((9, 3), 1 / 3))


@pytest.mark.parametrize("n", [0, 1, 3])
def test_fewer_points_than_neighbours(n):
    rows, weights, distances = near_neighbours(torch.randn(n, 3), 4)
    assert rows.shape == weights.shape == distances.shape == (n, 4)
    missing = torch.arange(4) >= max(n - 1, 0)
    assert (rows[:, missing] == -1).all()
    assert not weights[:, missing].any()
    assert (rows[:, ~missing] >= 0).all()


@pytest.mark.parametrize("points", [torch.zeros(3, 2), torch.full((3, 3), torch.nan)])
def test_bad_points_are_refused(points):
    with pytest.raises(SfumatoError):
        near_neighbours(points, 2)
