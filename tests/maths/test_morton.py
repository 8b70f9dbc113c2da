"""Codes on any device, against the order of NumPy arrays."""

import torch

from sfumato.maths.morton import morton_codes, morton_order


def test_codes_sort_points_as_the_order_does():
    points = torch.randn(500, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points[7] = points[3]
    codes = morton_codes(points)
    assert torch.equal(torch.argsort(codes, stable=True), torch.from_numpy(morton_order(points.numpy())))
    assert len(morton_codes(points[:0])) == 0
