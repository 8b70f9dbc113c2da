"""Bodies are connected groups of Gaussians, and repeat their rigid motion."""

import torch

from sfumato.maths.neighbours import near_neighbours
from sfumato.maths.quaternions import quat_product, rotation_from_quats
from sfumato.tracking.bodies import extrapolated, find_bodies

TURN = torch.tensor([[0.96, 0.1, -0.2, 0.15]], dtype=torch.float64)
TURN = TURN / TURN.norm()


def two_clouds():
    """200 Gaussians in a cube and 100 in another, and then 40 transparent ones between them."""
    torch.manual_seed(0)
    between = torch.stack([torch.linspace(1, 9, 40), *torch.full((2, 40), 0.5)], 1)
    means = torch.cat([torch.rand(200, 3), torch.rand(100, 3) + torch.tensor([10.0, 0, 0]), between])
    opacities = torch.where(torch.arange(340) < 300, 0.8, 0.05)
    return means, opacities


def bodies_of(means, opacities):
    return find_bodies(means, opacities, near_neighbours(means, 20))


def test_transparent_gaussians_do_not_connect_bodies_and_have_no_say():
    means, opacities = two_clouds()
    bodies = bodies_of(means, opacities)
    assert len(bodies) == 2
    assert torch.equal(bodies.members, opacities > 0.1)
    assert len(set(bodies.of[:200].tolist())) == len(set(bodies.of[200:300].tolist())) == 1
    # The others are carried by the nearer body.
    assert (bodies.of[means[:, 0] < 5] == bodies.of[0]).all()
    assert (bodies.of[means[:, 0] > 6] == bodies.of[200]).all()
    centre = means[:200].mean(0)
    nearest = (means[:200] - centre).norm(dim=1).argmin()
    assert bodies.nodes.rows[bodies.of[0]] == nearest


def test_small_groups_are_carried_by_the_nearest_body():
    means, opacities = two_clouds()
    speck = means[:10] * 0.01 + torch.tensor([3.0, 0.5, 0.5])
    bodies = bodies_of(torch.cat([means, speck]), torch.cat([opacities, torch.ones(10)]))
    assert len(bodies) == 2
    assert not bodies.members[340:].any()
    assert (bodies.of[340:] == bodies.of[0]).all()


def test_a_few_gaussians_are_one_body():
    means = torch.rand(7, 3)
    bodies = bodies_of(means, torch.full((7,), 0.02))
    assert len(bodies) == 1
    assert bodies.members.all()


def test_a_single_gaussian_is_a_body():
    assert len(bodies_of(torch.zeros(1, 3), torch.ones(1))) == 1


def test_bodies_of_later_gaussians_follow():
    means, opacities = two_clouds()
    first, later = bodies_of(means, opacities), bodies_of(means[:50], opacities[:50])
    bodies = first.followed_by(later)
    assert len(bodies) == 3
    assert (bodies.of[340:] == 2).all()
    assert bodies.nodes.rows[2] == 340 + later.nodes.rows[0]


def test_each_body_repeats_its_rotation_about_its_mean_and_its_translation():
    means, opacities = two_clouds()
    bodies, means = bodies_of(means, opacities), means.double()
    quats = torch.nn.functional.normalize(torch.randn(340, 4, dtype=torch.float64), dim=1)
    rotation = rotation_from_quats(TURN)[0]
    shift = torch.tensor([0.3, -0.1, 0.2], dtype=torch.float64)
    centre = means[:200].mean(0)

    def moved(times):
        """The first body after some steps; the second one stands still."""
        turned = means[:200] - centre
        turns = quats[:200]
        for _ in range(times):
            turned, turns = turned @ rotation.T, quat_product(TURN.expand(200, 4), turns)
        first = turned + centre + times * shift
        return torch.cat([first, means[200:]]), torch.cat([turns, quats[200:]])

    own = bodies.members | (bodies.of != bodies.of[0])
    found, turns = extrapolated(bodies, moved(0), moved(1))
    true, true_turns = moved(2)
    torch.testing.assert_close(found[own], true[own])
    torch.testing.assert_close(rotation_from_quats(turns[own]), rotation_from_quats(true_turns[own]))


def test_motion_relative_to_a_body_goes_on_along_a_straight_line():
    means, opacities = two_clouds()
    bodies, means = bodies_of(means, opacities), means.double()
    quats = torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64).expand(340, 4)
    # Growth about the mean has no rotation.
    stretch = torch.zeros_like(means)
    stretch[:200] = 0.1 * (means[:200] - means[:200].mean(0))
    found, _ = extrapolated(bodies, (means, quats), (means + stretch, quats))
    torch.testing.assert_close(found[:300], (means + 2 * stretch)[:300])
