"""Control nodes: a few rigid frames that carry the Gaussians near them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.maths.quaternions import normalised, quat_product, rotation_from_quats

_INFLUENCES = 4


@dataclass(frozen=True)
class Nodes:
    """k control nodes of m Gaussians; each node is located at one of them.

    Attributes:
        rows: [k] int64 Gaussians at which the nodes are located.
        influences: [m, j] int64 nodes that carry each Gaussian.
        weights: [m, j] of these nodes; rows sum to 1.
    """

    rows: Tensor
    influences: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def followed_by(self, others: Nodes, gaussians: int) -> Nodes:
        """These nodes followed by others, whose Gaussians are appended to those of these.

        Args:
            others: of their own Gaussians.
            gaussians: number of Gaussians of these nodes.
        """
        width = max(self.influences.shape[1], others.influences.shape[1])

        def padded(values: Tensor) -> Tensor:
            return torch.nn.functional.pad(values, (0, width - values.shape[1]))

        return Nodes(
            torch.cat([self.rows, others.rows + gaussians]),
            torch.cat([padded(self.influences), padded(others.influences + len(self))]),
            torch.cat([padded(self.weights), padded(others.weights)]),
        )

    def carry(
        self, shifts: Tensor, node_quats: Tensor, means: Tensor, quats: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Move the Gaussians with the nodes.

        Args:
            shifts: [k, 3] translations of the nodes.
            node_quats: [k, 4] rotations about the nodes, of any non-zero length.
            means: [m, 3] before.
            quats: [m, 4] before, of length one.

        Returns:
            [m, 3] means: the sum of w (R (mean - node) + node + shift), with the positions of the nodes
            before the move. [m, 4] rotations, multiplied by the normalised weighted sum of ``node_quats``.

        Gradients: shifts and node_quats.

        Source: linear blend skinning of positions, as embedded deformation (Sumner et al. 2007, eq. 1).
        """
        node_quats = normalised(node_quats)
        rotations = rotation_from_quats(node_quats)
        rest = means[self.rows]
        from_node = means[:, None] - rest[self.influences]
        moved = torch.einsum("mjab,mjb->mja", rotations[self.influences], from_node)
        moved = moved + (rest + shifts)[self.influences]
        mean_rotation = normalised((self.weights[..., None] * node_quats[self.influences]).sum(1))
        return (self.weights[..., None] * moved).sum(1), quat_product(mean_rotation, quats)


def place_nodes(means: Tensor, count: int) -> Nodes:
    """Nodes spread over Gaussians by farthest-point sampling.

    Args:
        means: [m, 3] of the Gaussians in the first step, so that objects that touch later are not joined.
        count: nodes, at most m.

    Returns:
        The nodes. A Gaussian is carried by the four nearest, with weights that are a Gaussian function of the
        distance; its standard deviation is the mean distance to the farthest of the four.
    """
    count = min(count, len(means))
    chosen = [int((means - means.mean(0)).square().sum(1).argmin())]
    nearest = (means - means[chosen[0]]).square().sum(1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (means - means[chosen[-1]]).square().sum(1))
    rows = torch.tensor(chosen, device=means.device)
    distances = torch.cdist(means, means[rows])
    near = distances.topk(min(_INFLUENCES, count), dim=1, largest=False)
    reach = near.values[:, -1].mean().clamp_min(torch.finfo(means.dtype).tiny)
    weights = torch.exp(-0.5 * (near.values / reach) ** 2)
    return Nodes(rows, near.indices, weights / weights.sum(1, keepdim=True))
