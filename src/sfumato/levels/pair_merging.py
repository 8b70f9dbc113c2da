"""Merging of pairs of Gaussians, and the resulting change of the image, in closed form."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sfumato.levels.blobs import MAX_OPACITY, TINY, VIEWS, Blobs, mean_area, root_area
from sfumato.scene.files.values import colour_of_base

# Squared difference of opacities that counts as much as one of the three colours; higher keeps silhouettes,
# lower keeps texture. Of 0.1, 0.15, 0.3 and 1 the best on two scanned objects.
_OPACITY_WEIGHT = 0.15
# Coefficients that are compared: those of degree 0 and 1.
_COMPARED = 4 * 3
# Position of the product (a, b) in a packed covariance.
_PRODUCTS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


class MergedPairs(NamedTuple):
    """The Gaussians into which pairs are merged.

    Attributes:
        blobs: [m] one for each pair; ``sh`` is empty.
        share: [m] weight of the first of the pair, 0 to 1; the second has the rest.
        apart: [3, m] from the first centre to the second.
    """

    blobs: Blobs
    share: np.ndarray
    apart: np.ndarray


def merge_pairs(blobs: Blobs, areas: np.ndarray, first: np.ndarray, second: np.ndarray) -> MergedPairs:
    """Merge pairs so that centre, covariance and mass are kept.

    The mass is opacity times area: what a Gaussian adds to a picture. The merged opacity is the joint mass
    over the merged area, at most 1.

    Args:
        blobs: n Gaussians.
        areas: [n] their ``mean_area``.
        first, second: [m] indices of the pairs.
    """
    mass = blobs.opacities * areas
    joint = mass[first] + mass[second]
    share = np.where(joint > 0, mass[first] / np.where(joint > 0, joint, 1), 0.5)
    other = 1 - share
    apart = blobs.xyz[:, second] - blobs.xyz[:, first]
    cov = share * blobs.cov[:, first] + other * blobs.cov[:, second]
    spread = share * other
    for row, (a, b) in enumerate(_PRODUCTS):
        cov[row] += spread * apart[a] * apart[b]
    opacities = np.minimum(joint / mean_area(cov), MAX_OPACITY)
    merged = Blobs(blobs.xyz[:, first] + other * apart, cov, opacities, np.empty((len(first), 0), np.float32))
    return MergedPairs(merged, share, apart)


def with_colours(pairs: MergedPairs, blobs: Blobs, first: np.ndarray, second: np.ndarray) -> Blobs:
    """The merged Gaussians with the SH of their pairs, weighted by mass."""
    share = pairs.share.astype(np.float32)[:, None]
    sh = blobs.sh[second]
    sh += share * (blobs.sh[first] - sh)
    return replace(pairs.blobs, sh=sh)


def compared_colours(blobs: Blobs) -> np.ndarray:
    """[n, f] float64 numbers of each Gaussian whose products compare colours: 0 to 1, then degree 1."""
    found = blobs.sh[:, :_COMPARED].astype(np.float64)
    found[:, :3] = colour_of_base(found[:, :3])
    found[:, 3:] = colour_of_base(found[:, 3:]) - 0.5
    return found


def picture_change(
    blobs: Blobs, areas: np.ndarray, colours: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """The change of the image by merging each pair.

    The integral over the picture of the squared difference between opacity times colour before and after,
    summed over three orthographic views along the axes. Products of Gaussians have closed integrals:
    of two with peaks p and q, covariances A and B, centres d apart,
    2 pi p q sqrt(|A| |B| / |A + B|) exp(-d^T (A + B)^-1 d / 2).

    Args:
        blobs: n Gaussians.
        areas: [n] their ``mean_area``.
        colours: [n, f] their ``compared_colours``.
        first, second: [m] indices of the pairs.

    Returns:
        [m] changes over 2 pi, in areas of the unit.
    """
    merged, share, apart = merge_pairs(blobs, areas, first, second)
    other = 1 - share
    one, two = blobs.opacities[first], blobs.opacities[second]
    # Products of what the Gaussians are filled with: colours, and the opacity as one more.
    filled = [colours[first], colours[second]]
    aa, bb, ab = (
        np.einsum("nf,nf->n", x, y) + _OPACITY_WEIGHT
        for x, y in ((filled[0], filled[0]), (filled[1], filled[1]), (filled[0], filled[1]))
    )
    am, bm = share * aa + other * ab, share * ab + other * bb
    mm = share * am + other * bm
    total = np.zeros(len(first))
    covs = blobs.cov[:, first], blobs.cov[:, second], merged.cov
    to_first, to_second = -other * apart, share * apart
    for view, axes in VIEWS:
        areas_seen = [root_area(cov, view) for cov in covs]
        own = [one * one * aa, two * two * bb, merged.opacities**2 * mm]
        # A Gaussian with itself: |A + A| is 4 |A|, so half of its area.
        total += sum(p * area for p, area in zip(own, areas_seen, strict=True)) / 2
        for weight, i, j, away in (
            (one * two * ab, 0, 1, apart),
            (-one * merged.opacities * am, 0, 2, to_first),
            (-two * merged.opacities * bm, 1, 2, to_second),
        ):
            seen = areas_seen[i] * areas_seen[j]
            total += 2 * weight * _overlap(covs[i] + covs[j], away, view, axes) * seen
    return np.maximum(total, 0)


def _overlap(
    cov: np.ndarray, apart: np.ndarray, view: tuple[int, int, int], axes: tuple[int, int]
) -> np.ndarray:
    """exp(-d^T C^-1 d / 2) / sqrt(|C|) of covariances C [6, n] and distances d [3, n] in one view."""
    aa, ab, bb = (cov[row] for row in view)
    x, y = (apart[axis] for axis in axes)
    determinant = np.maximum(aa * bb - ab * ab, TINY)
    exponent = (bb * x * x - 2 * ab * x * y + aa * y * y) / determinant
    return np.exp(-exponent / 2) / np.sqrt(determinant)
