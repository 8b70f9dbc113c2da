"""What the Gaussians of a dynamic scene belong to that do not exist at the moment of a selection.

An object that enters or turns gets Gaussians at several steps. Those that are born beside moving ones belong
to the same object, and are selected with them.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from sfumato.scene.dynamic import DynamicScene

# Neighbours of a Gaussian at its first step; it belongs to the nearest moving one if more than half move.
_NEIGHBOURS = 8


def leaders(scene: DynamicScene) -> Tensor:
    """[m] int64 index among the moving Gaussians of an earlier one to which each belongs; -1 for none.

    Args:
        scene: with m moving Gaussians. Those of the first step, and those born beside static ones, have no
            leader.
    """
    found = torch.full_like(scene.birth, -1)
    moves = torch.zeros(len(scene), dtype=torch.bool)
    moves[scene.ids] = True
    still = scene.gaussians.means[~moves].double().numpy()
    for step in scene.birth.unique().tolist():
        late = torch.nonzero(scene.birth == step)[:, 0]
        older = torch.nonzero(scene.alive(step) & (scene.birth < step))[:, 0]
        if not len(older):
            continue
        places, own = (scene.means[step, columns].double().numpy() for columns in (older, late))
        tree = cKDTree(np.concatenate([still, places]))
        count = min(_NEIGHBOURS, tree.n)
        near = torch.from_numpy(tree.query(own, k=np.arange(1, count + 1))[1])
        moving = near >= len(still)
        nearest = near.gather(1, moving.int().argmax(dim=1, keepdim=True))[:, 0] - len(still)
        belongs = moving.float().mean(dim=1) > 0.5
        found[late] = torch.where(belongs, older[nearest.clamp_min(0)], -1)
    return found


def leader_pairs(scene: DynamicScene) -> list[int]:
    """Each moving Gaussian that has a leader, followed by it: indices among the moving Gaussians."""
    found = leaders(scene)
    late = torch.nonzero(found >= 0)[:, 0]
    pairs: list[int] = torch.stack([late, found[late]], dim=1).flatten().tolist()
    return pairs


def with_followers(scene: DynamicScene, rows: Tensor, exists: Tensor) -> Tensor:
    """A selection and those that belong to it.

    Args:
        scene: n Gaussians.
        rows: [n] bool, the selected ones at a moment.
        exists: [n] bool, those that exist at that moment.

    Returns:
        [n] bool: also those that do not exist then and whose leader, or the leader of that, is selected.
    """
    rows, leader = rows.clone(), leaders(scene)
    for step in scene.birth.unique().tolist():
        late = (scene.birth == step) & ~exists[scene.ids] & (leader >= 0)
        rows[scene.ids[late]] = rows[scene.ids[leader[late]]]
    return rows
