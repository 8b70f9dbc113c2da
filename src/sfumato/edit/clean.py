"""Floaters: those recorded in the scene, else small groups of Gaussians isolated in space.

If photographs of a scene are available, ``floating`` marks the Gaussians that they do not support
(``sfumato.envelope.floaters``). If that is unknown, or if a parameter is given, the rule is isolation: two
Gaussians touch if their ellipsoids of ``reach`` standard deviations meet on the line between their centres,
and one is among the 16 nearest neighbours of the other. Touching Gaussians form groups; a group of fewer than
``members`` is a floater, except the largest group. As gaps are compared with sizes, a background of few large
Gaussians is treated like a foreground of many small ones.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.maths.quaternions import rotation_from_quats
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import floating_of

REACH = 2.0
MEMBERS = 32
_NEAREST = 16
# Gaussians processed together; bounds the memory.
_BLOCK = 1 << 15


def cleaned(gaussians: Gaussians, reach: float | None = None, members: int | None = None) -> Gaussians:
    """The scene without its floaters, see ``floaters``; the order of the others is kept."""
    return gaussians.select(~floaters(gaussians, reach, members))


def floaters(gaussians: Gaussians, reach: float | None = None, members: int | None = None) -> Tensor:
    """Select the floaters: those recorded in the scene, else isolated groups.

    Args:
        gaussians: the scene.
        reach, members: see ``isolated``; if either is given, isolated groups are selected in any case.

    Returns:
        [n] bool.

    Raises:
        ConfigError: see ``isolated``.
    """
    known = floating_of(gaussians)
    if known is not None and reach is None and members is None:
        return known
    return isolated(gaussians, REACH if reach is None else reach, MEMBERS if members is None else members)


def isolated(gaussians: Gaussians, reach: float = REACH, members: int = MEMBERS) -> Tensor:
    """Select small groups that touch nothing else, by the rule above.

    Args:
        gaussians: the scene.
        reach: standard deviations at which ellipsoids meet; smaller selects more.
        members: groups of fewer Gaussians are selected.

    Returns:
        [n] bool.

    Raises:
        ConfigError: ``reach`` is not positive or ``members`` less than 1.
    """
    if not 0 < reach < float("inf"):
        raise ConfigError(f"clean: reach is {reach}; give a number above 0, such as {REACH:g}")
    if members < 1:
        raise ConfigError(f"clean: members is {members}; give at least 1, such as {MEMBERS}")
    n = len(gaussians)
    if n < 2:
        return torch.zeros(n, dtype=torch.bool)
    rows, columns = _touching(gaussians.detach(), reach)
    graph = coo_array((np.ones(len(rows), np.bool_), (rows, columns)), shape=(n, n))
    groups = connected_components(graph, directed=False)[1]
    sizes = np.bincount(groups)
    is_small = sizes < members
    is_small[sizes.argmax()] = False
    return torch.from_numpy(is_small[groups])


def _touching(gaussians: Gaussians, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of Gaussians that touch, as two arrays of indices."""
    means = gaussians.means.double()
    nearest = min(_NEAREST + 1, len(means))
    tree = cKDTree(means.numpy())
    rotations, scales = rotation_from_quats(gaussians.quats.double()), gaussians.scales.double()
    # |S R^T u| is the standard deviation along the unit vector u.
    root = scales[:, :, None] * rotations.transpose(1, 2)
    rows, columns = [], []
    for start in range(0, len(means), _BLOCK):
        own = torch.arange(start, min(start + _BLOCK, len(means)))
        _, near = tree.query(means[own].numpy(), k=[*range(1, nearest + 1)])
        near = torch.from_numpy(near.astype(np.int64))
        gap = means[near] - means[own, None]
        along_own = torch.einsum("bij,bkj->bki", root[own], gap).norm(dim=2)
        along_near = (root[near] @ gap[..., None])[..., 0].norm(dim=2)
        # Both sides are multiplied by the length of the gap, which may be zero.
        touch = gap.square().sum(dim=2) <= reach * (along_own + along_near)
        rows.append(own[:, None].expand_as(near)[touch])
        columns.append(near[touch])
    return torch.cat(rows).numpy(), torch.cat(columns).numpy()
