"""Connected clusters of Gaussians, by occupied cells of a grid that touch each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.scene.gaussians import Gaussians

# Three coordinates of a cell in one int64.
_BITS = 21
# Half of the 26 neighbours of a cell; the others are found from the opposite side.
_AROUND = [step for step in product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]


def clusters(means: Tensor, link: float) -> Tensor:
    """Label of the connected cluster of each point.

    Space is divided into a grid of cubes of side ``link``. Points in one cube, or in two that share a face,
    an edge or a corner, are connected. So points closer than ``link`` always are, and points more than 3.5
    ``link`` apart never are directly.

    Args:
        means: [n, 3] scene units.
        link: side of the cubes, scene units.

    Returns:
        [n] int64, 0 for the cluster with the most points, then in descending order of size.

    Raises:
        ConfigError: ``link`` is not positive, or so small that cubes cannot be indexed.
    """
    if not link > 0 or not np.isfinite(link):
        raise ConfigError(f"link is {link}; give a length above 0, in scene units")
    if len(means) == 0:
        return torch.zeros(0, dtype=torch.int64)
    cells, of_point = np.unique(_cells(means, link), return_inverse=True)
    labels = connected_components(_touching(cells), directed=False)[1][of_point.ravel()]
    order = np.argsort(-np.bincount(labels), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return torch.from_numpy(rank[labels])


def in_cluster(gaussians: Gaussians, near: Sequence[float], link: float) -> Tensor:
    """Select the connected cluster of the Gaussian nearest to a point.

    Args:
        gaussians: the scene.
        near: (x, y, z) of the point, scene units.
        link: see :func:`clusters`.

    Returns:
        [n] bool.

    Raises:
        ConfigError: see :func:`clusters`.
    """
    labels = clusters(gaussians.means, link)
    if len(gaussians) == 0:
        return torch.zeros(0, dtype=torch.bool)
    nearest = (gaussians.means.double() - torch.tensor(list(near)).double()).norm(dim=1).argmin()
    return labels == labels[nearest]


def in_largest_cluster(gaussians: Gaussians, link: float) -> Tensor:
    """Select the connected cluster with the most Gaussians.

    Args:
        gaussians: the scene.
        link: see :func:`clusters`.

    Returns:
        [n] bool.

    Raises:
        ConfigError: see :func:`clusters`.
    """
    return clusters(gaussians.means, link) == 0


def _cells(means: Tensor, link: float) -> np.ndarray:
    """[n] int64 key of each point's cube; keys of cubes that touch differ by fixed steps."""
    grid = np.floor(means.detach().double().numpy() / link)
    key = np.zeros(len(grid), dtype=np.int64)
    for axis in range(3):
        values, place = np.unique(grid[:, axis], return_inverse=True)
        # Empty ranges are shortened to one cube, so that distant points cost no bits. Coordinates start at 1
        # and end below the largest value, so that steps never carry over.
        position = 1 + np.concatenate([[0], np.cumsum(np.minimum(np.diff(values), 2))]).astype(np.int64)
        if position[-1] >= (1 << _BITS) - 1:
            raise ConfigError(f"link is {link}, too small for this scene; give a longer one")
        key = (key << _BITS) | position[place.ravel()]
    return key


def _touching(cells: np.ndarray) -> coo_array:
    """The graph of cubes, sorted keys [m], that share a face, an edge or a corner."""
    firsts, seconds = [], []
    for x, y, z in _AROUND:
        wanted = cells + ((x << 2 * _BITS) + (y << _BITS) + z)
        place = np.searchsorted(cells, wanted)
        found = np.flatnonzero(cells[np.minimum(place, len(cells) - 1)] == wanted)
        firsts.append(found)
        seconds.append(place[found])
    rows, columns = np.concatenate(firsts), np.concatenate(seconds)
    return coo_array((np.ones(len(rows), np.bool_), (rows, columns)), shape=(len(cells), len(cells)))
