"""Simplification: neighbouring Gaussians are merged, none is deleted.

In rounds: candidates are pairs of near neighbours; each has a cost, the change of the picture in closed form
(``pair_merging``); the cheapest pairs that share no Gaussian are merged.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from sfumato.checks import check_type
from sfumato.errors import ConfigError
from sfumato.levels.blobs import Blobs, blobs_of, gaussians_of, mean_area
from sfumato.levels.pair_merging import compared_colours, merge_pairs, picture_change, with_colours
from sfumato.levels.pairing import cheapest_matching, neighbour_pairs
from sfumato.scene.files.spz_packing import in_threads
from sfumato.scene.files.values import checked_arrays
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Scene, metadata_of

_NEIGHBOURS = 8
# Largest share of the Gaussians that one round removes. With more, the last pairs of a round are poor ones;
# with fewer, merged Gaussians are merged again too soon (0.1, 0.3 and 0.5 were compared).
_SHARE_OF_ROUND = 0.3
_PAIRS_AT_A_TIME = 16384


def simplify(
    gaussians: Gaussians, count: int | float, *, report: Callable[[int, int], None] | None = None
) -> Scene:
    """A scene with fewer Gaussians that looks similar: neighbours are merged.

    Merging keeps centre, covariance, opacity times area, and the mean colour of a pair. The same input gives
    the same result.

    Args:
        gaussians: the scene, any device or float type.
        count: of the result: a whole number of at least 1, or a share between 0 and 1.
        report: called with the number of merges made and of all.

    Returns:
        The scene, float32 on the CPU; merged Gaussians are at the end. Metadata are kept, identities and
        floaters are not. A scene of at most ``count`` Gaussians keeps its Gaussians.

    Raises:
        ConfigError: the count is neither.
        FormatError: the scene contains NaN or infinity.
    """
    check_type("gaussians", gaussians, Gaussians)
    wanted = wanted_count(len(gaussians), count)
    checked_arrays(gaussians)
    if wanted >= len(gaussians):
        return Scene(**_on_host(gaussians).tensors(), metadata=metadata_of(gaussians))
    blobs, frame = blobs_of(gaussians)
    total = len(blobs) - wanted
    while len(blobs) > wanted:
        blobs = _round(blobs, wanted)
        if report:
            report(total - (len(blobs) - wanted), total)
    return Scene(**gaussians_of(blobs, frame).tensors(), metadata=metadata_of(gaussians))


def wanted_count(total: int, count: int | float) -> int:
    """The number of Gaussians that ``count`` asks for, at least 1.

    Args:
        total: number of Gaussians there are.
        count: number, or share between 0 and 1.

    Raises:
        ConfigError: it is neither.
    """
    is_number = isinstance(count, int | float) and not isinstance(count, bool)
    if is_number and isinstance(count, float) and 0 < count < 1:
        return max(1, round(total * count))
    if is_number and math.isfinite(count) and count >= 1 and count == int(count):
        return int(count)
    raise ConfigError(f"count is {count!r}; give a number of Gaussians, or a share between 0 and 1")


def _on_host(gaussians: Gaussians) -> Gaussians:
    return gaussians.map(lambda tensor: tensor.detach().cpu().float())


def _round(blobs: Blobs, wanted: int) -> Blobs:
    """The Gaussians after one round of merges, at least ``wanted``."""
    areas, colours = mean_area(blobs.cov), compared_colours(blobs)
    first, second = neighbour_pairs(blobs.xyz.T, _NEIGHBOURS)

    def change(start: int) -> np.ndarray:
        part = slice(start, start + _PAIRS_AT_A_TIME)
        return picture_change(blobs, areas, colours, first[part], second[part])

    costs = np.concatenate(list(in_threads(change, range(0, len(first), _PAIRS_AT_A_TIME))))
    most = min(len(blobs) - wanted, max(1, int(_SHARE_OF_ROUND * len(blobs))))
    chosen = cheapest_matching(first, second, costs, len(blobs), most)
    first, second = first[chosen], second[chosen]
    merged = with_colours(merge_pairs(blobs, areas, first, second), blobs, first, second)
    stay = np.ones(len(blobs), bool)
    stay[first] = stay[second] = False
    return blobs.rows(stay).joined(merged)
