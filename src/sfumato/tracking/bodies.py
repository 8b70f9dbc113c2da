"""Bodies: connected groups of moving Gaussians, each of which moves rigidly as a first approximation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from torch import Tensor

from sfumato.maths.neighbours import Neighbours
from sfumato.maths.quaternions import normalised, quat_from_rotation, quat_product
from sfumato.maths.rigid import best_rotation
from sfumato.tracking.nodes import Nodes

# Members of a body have at least this opacity.
LEAST_OPACITY = 0.1
# Neighbours are connected up to this many mean distances of neighbours.
_LINK = 1.5
# Least number of members; smaller groups are carried by the nearest body.
_LEAST_MEMBERS = 30


@dataclass(frozen=True)
class Bodies:
    """k bodies of m Gaussians.

    Attributes:
        nodes: one per body, at the member nearest to the mean; each Gaussian is carried by one body, its own
            or that of the nearest member.
        members: [m] bool, Gaussians that belong to a body; the others do not affect its motion.
    """

    nodes: Nodes
    members: Tensor

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def of(self) -> Tensor:
        """[m] int64 body that carries each Gaussian."""
        return self.nodes.influences[:, 0]

    def followed_by(self, others: Bodies) -> Bodies:
        """These bodies followed by others, whose Gaussians are appended to those of these."""
        nodes = self.nodes.followed_by(others.nodes, len(self.members))
        return Bodies(nodes, torch.cat([self.members, others.members]))

    def means(self, values: Tensor) -> Tensor:
        """[k, d] float64 means of values [m, d] over the members of each body."""
        sums = values.new_zeros(len(self), values.shape[1], dtype=torch.float64)
        body = self.of[self.members]
        return sums.index_add(0, body, values[self.members].double()) / body.bincount()[:, None]


def find_bodies(means: Tensor, opacities: Tensor, near: Neighbours) -> Bodies:
    """The bodies of Gaussians: those that are not nearly transparent, connected by short distances.

    Args:
        means: [m, 3] in the step of their birth, so that objects that touch later are not joined.
        opacities: [m].
        near: the neighbours of the Gaussians.

    Returns:
        The bodies; all Gaussians are members of one if no group is large enough.
    """
    solid = (opacities >= LEAST_OPACITY).numpy()
    first, second = np.repeat(np.arange(len(means)), near.rows.shape[1]), near.rows.numpy().ravel()
    short = (second >= 0) & (near.distances <= _LINK * near.distances.mean()).numpy().ravel()
    short &= solid[first] & solid[second]
    links = coo_array((short[short], (first[short], second[short])), shape=(len(means), len(means)))
    group = connected_components(links, directed=False)[1]
    sizes = np.bincount(group, weights=solid)
    large = sizes >= _LEAST_MEMBERS
    if not large.any():
        group, large, solid = np.zeros_like(group), np.array([True]), np.ones_like(solid)
    members = solid & large[group]
    body = (np.cumsum(large) - 1)[group]
    rows = np.nonzero(members)[0]
    _, nearest = cKDTree(means[rows].double().numpy()).query(means.double().numpy())
    of = torch.from_numpy(np.where(members, body, body[rows[nearest]]))[:, None]
    found = Bodies(
        Nodes(torch.zeros(int(large.sum()), dtype=torch.int64), of, torch.ones(len(of), 1)),
        torch.from_numpy(members),
    )
    distances = (means.double() - found.means(means)[found.of]).norm(dim=1).where(found.members, torch.inf)
    centres = [int(distances.where(found.of == number, torch.inf).argmin()) for number in range(len(found))]
    return Bodies(Nodes(torch.tensor(centres), of, found.nodes.weights.to(means)), found.members)


def extrapolated(
    bodies: Bodies, before: tuple[Tensor, Tensor], last: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Poses after one more step of the same motion.

    Each body repeats its best-fitting rotation about its mean, and the translation of its mean. The motion of
    its Gaussians relative to it continues in a straight line.

    Args:
        bodies: k of m Gaussians.
        before, last: [m, 3] means and [m, 4] quaternions of two consecutive steps.

    Returns:
        [m, 3] means and [m, 4] quaternions of length one.
    """
    centre, moved = bodies.means(before[0]), bodies.means(last[0])
    arms, later = (
        (means.double() - middle[bodies.of]) for means, middle in ((before[0], centre), (last[0], moved))
    )
    products = arms[:, :, None] * later[:, None]
    rotation = best_rotation(bodies.means(products.flatten(1)).view(-1, 3, 3))
    turn, turns = quat_from_rotation(rotation).to(last[1])[bodies.of], rotation[bodies.of]
    carried = torch.einsum("mab,mb->ma", turns, arms)
    means = torch.einsum("mab,mb->ma", turns, 2 * later - carried) + (2 * moved - centre)[bodies.of]
    turned = quat_product(turn, before[1])
    nearer = torch.where((turned * last[1]).sum(1, keepdim=True) < 0, -turned, turned)
    return means.to(last[0]), normalised(quat_product(turn, normalised(2 * last[1] - nearer)))
