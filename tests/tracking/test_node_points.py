"""Points of tracked views, by the nodes they contribute to."""

import torch

from sfumato.scene.cameras import Camera
from sfumato.tracking.node_points import TrackedView, details_of, node_points, reduced
from sfumato.tracking.nodes import Nodes


def tracked_view(rows):
    camera = Camera(torch.eye(4, dtype=torch.float64), (20.0, 20.0), (8.0, 8.0), (16, 16))
    # Red grows from left to right, green from top to bottom.
    ramp = (torch.arange(16) + 0.5) / 16
    image = torch.stack([ramp.expand(16, 16), ramp[:, None].expand(16, 16), torch.zeros(16, 16)], 2)
    return TrackedView(camera, {1: image}, {1: torch.rand(len(rows), 3)}, torch.tensor(rows))


def test_points_are_listed_once_for_each_node_in_the_order_of_the_nodes():
    means = torch.arange(12.0).view(4, 3)
    nodes = Nodes(
        torch.tensor([0, 3]),
        torch.tensor([[0, 1], [1, 0], [1, 0], [1, 0]]),
        torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [1.0, 0.0]]),
    )
    points = node_points(tracked_view([1, 2]), nodes, means)
    assert points.first.tolist() == [0, 2, 4]
    assert points.order.tolist() == [0, 1, 0, 1]
    torch.testing.assert_close(points.weights, torch.tensor([0.4, 0.3, 0.6, 0.7]))
    torch.testing.assert_close(points.offsets[0], means[1] - means[0])
    torch.testing.assert_close(points.offsets[3], means[2] - means[3])


def test_colours_of_the_photograph_are_found_where_gaussians_project():
    view = tracked_view([0, 1, 2])
    means = torch.tensor([[0.0, 0, 1], [0.2, -0.1, 2], [5.0, 0, 1]])
    colours, inside = view.seen_now(means, 1)
    assert inside.tolist() == [True, True, False]
    torch.testing.assert_close(colours[:2, 0], torch.tensor([8.0, 10.0]) / 16)
    torch.testing.assert_close(colours[:2, 1], torch.tensor([8.0, 7.0]) / 16)
    assert not view.seen_now(-means, 1)[1].any()


def test_some_gaussians_of_a_tracked_view():
    view = tracked_view([0, 2, 3])
    chosen = view.among(torch.tensor([True, True, False, True]))
    assert chosen.rows.tolist() == [0, 3]
    assert torch.equal(chosen.colours[1], view.colours[1][[0, 2]])


def test_shading_is_not_compared():
    """Details of an image are the same after light that varies slowly was added, except at the border."""
    image = torch.rand(40, 56, 3, generator=torch.Generator().manual_seed(0))
    light = 0.1 + 0.02 * torch.arange(56.0)[None, :, None] + 0.01 * torch.arange(40.0)[:, None, None]
    plain, lit = details_of(reduced(image)), details_of(reduced(image + light))
    for reduction, border in ((1, 4), (2, 4), (4, 4)):
        inside = (slice(border, -border), slice(border, -border))
        torch.testing.assert_close(plain[reduction][inside], lit[reduction][inside], atol=1e-5, rtol=0)
    assert plain[1].shape == (40, 56, 3) and plain[8].shape == (5, 7, 3)
    assert plain[1].std() > 0.2
