"""Selection of pairs to match: neighbours in time, similar pictures, or all pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.spatial import cKDTree

from sfumato import machine
from sfumato.capture.natural_order import natural_key
from sfumato.footage.frames_file import Picture
from sfumato.sfm.config import SfmConfig
from sfumato.sfm.geodesy import earth_from_geodetic

Pair = tuple[int, int]

# Number of all pairs, per core, up to which all are matched: about ten seconds.
_EXHAUSTIVE_PAIRS_PER_CORE = 900
# The same for videos, where most distant pairs do not overlap and neighbours are known.
_EXHAUSTIVE_PAIRS_OF_A_VIDEO = 400
_NEIGHBOURS = 8
_SIMILAR = 12
_SIMILAR_WITHOUT_SEQUENCE = 24
# Number of nearest pictures by GPS, and the share of pictures that must have it.
_NEAR, _WITH_GPS_SHARE = 12, 0.5
_STEPS_IN_A_ROW = 2
_WORDS = 48
_SAMPLE = 60_000


def choose_pairs(
    pictures: Sequence[Picture],
    descriptors: Mapping[str, np.ndarray],
    config: SfmConfig,
    *,
    exhaustive: bool = False,
    by_worth: bool = False,
) -> list[Pair]:
    """Pairs to match, as positions in ``pictures``, the smaller first, sorted.

    Args:
        pictures: sorted by name, so that those of a video are in order of time.
        descriptors: uint8 [n, 128] by name.
        config: the kind of pairs, and the seed.
        exhaustive: all pairs, overriding ``config``.
        by_worth: sort by importance instead, as time may not suffice for all.
    """
    kind = "exhaustive" if exhaustive else kind_of_pairs(pictures, config)
    every = list(combinations(range(len(pictures)), 2))
    if kind == "exhaustive" and not by_worth:
        return every
    similarities = similarity([descriptors[picture.name] for picture in pictures], seed=config.seed)
    if kind == "exhaustive":
        chosen = every
    elif kind == "retrieval":
        near = set(near_by_gps(pictures, _NEAR))
        alike = most_alike(similarities, _SIMILAR if near else _SIMILAR_WITHOUT_SEQUENCE)
        chosen = sorted(near | set(alike) | set(in_a_row(pictures, _STEPS_IN_A_ROW)))
    else:
        chosen = sorted(set(neighbours(pictures, _NEIGHBOURS)) | set(most_alike(similarities, _SIMILAR)))
    if not by_worth:
        return chosen
    return sorted(chosen, key=worth(similarities).__getitem__)


def worth(similarity: np.ndarray) -> np.ndarray:
    """[n, n] priority of each pair, the lowest first: its better rank by similarity for either picture.

    Consecutive pictures come first, as photographs are often taken in order.

    Args:
        similarity: [n, n], symmetric.
    """
    order = np.argsort(-similarity, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(len(order))[None], axis=1)
    places = np.minimum(places, places.T)
    steps = np.abs(np.subtract.outer(np.arange(len(order)), np.arange(len(order))))
    return np.where(steps <= _STEPS_IN_A_ROW, 0, places)


def kind_of_pairs(pictures: Sequence[Picture], config: SfmConfig) -> str:
    """Resolve "auto" in ``SfmConfig.pairs`` by the number of pictures and their order."""
    if config.pairs != "auto":
        return config.pairs
    is_video = any(picture.sequence is not None for picture in pictures)
    most = _EXHAUSTIVE_PAIRS_OF_A_VIDEO if is_video else _EXHAUSTIVE_PAIRS_PER_CORE * machine.cores()
    if len(pictures) * (len(pictures) - 1) / 2 <= most:
        return "exhaustive"
    return "sequential" if is_video else "retrieval"


def neighbours(pictures: Sequence[Picture], count: int) -> Iterable[Pair]:
    """Pairs within a sequence: the next ``count`` pictures, and those 2, 4 and 8 times ``count`` away."""
    steps = sorted({*range(1, count + 1), *(count * 2**k for k in range(1, 4))})
    sequences: dict[str, list[int]] = {}
    for number, picture in enumerate(pictures):
        if picture.sequence is not None:
            sequences.setdefault(picture.sequence, []).append(number)
    for numbers in sequences.values():
        for place, number in enumerate(numbers):
            yield from ((number, numbers[place + step]) for step in steps if place + step < len(numbers))


def most_alike(similarity: np.ndarray, count: int) -> Iterable[Pair]:
    """For each picture its ``count`` most similar ones.

    Args:
        similarity: [n, n], symmetric.
        count: number of similar pictures.
    """
    others = similarity - 2.0 * np.eye(len(similarity)) * (1.0 + np.abs(similarity).max())
    order = np.argsort(-others, axis=1, kind="stable")[:, : min(count, len(similarity) - 1)]
    for first, row in enumerate(order.tolist()):
        yield from ((min(first, second), max(first, second)) for second in row)


def near_by_gps(pictures: Sequence[Picture], count: int) -> Iterable[Pair]:
    """For each picture with a recorded position its ``count`` nearest ones; none if fewer than half have one.

    Heights are not used, as GPS is least accurate in them.
    """
    numbers = [number for number, picture in enumerate(pictures) if picture.place is not None]
    if len(numbers) < max(2, _WITH_GPS_SHARE * len(pictures)):
        return
    degrees = np.array([place[:2] for picture in pictures if (place := picture.place) is not None])
    xyz = earth_from_geodetic(degrees, np.zeros(len(degrees)))
    rows = np.asarray(cKDTree(xyz).query(xyz, min(count + 1, len(xyz)))[1])
    for own, row in enumerate(rows.tolist()):
        for other in row:
            if other != own:
                yield min(numbers[own], numbers[other]), max(numbers[own], numbers[other])


def similarity(descriptors: Sequence[np.ndarray], *, seed: int) -> np.ndarray:
    """Similarity of pictures from their own features, without a pretrained vocabulary.

    Each picture becomes a vector of locally aggregated descriptors (VLAD) over visual words found by k-means
    in this set; similarity is the cosine.

    Args:
        descriptors: uint8 [n, 128] of each picture.
        seed: of the choice of samples and of k-means.

    Returns:
        [m, m] float32 in [-1, 1]; 0 for pictures without features.

    Source: Jegou et al. 2010, Aggregating local descriptors into a compact image representation;
        Arandjelovic and Zisserman 2013 for the normalisation per word.
    """
    rng = np.random.default_rng(seed)
    everything = np.concatenate([d for d in descriptors if len(d)] or [np.zeros((1, 128), np.uint8)])
    sample = everything[np.sort(rng.permutation(len(everything))[:_SAMPLE])].astype(np.float32)
    words = min(_WORDS, len(sample))
    centres, _ = kmeans2(sample, words, iter=8, minit="points", seed=rng, missing="warn")
    vectors = np.stack([_aggregate(d.astype(np.float32), centres) for d in descriptors])
    return vectors @ vectors.T


def _aggregate(descriptors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """[k * 128] of unit length: the sum of residuals at each of k words, each word scaled to unit length."""
    total = np.zeros(centres.shape, np.float32)
    if len(descriptors):
        nearest = np.argmax(descriptors @ centres.T - 0.5 * (centres**2).sum(axis=1), axis=1)
        np.add.at(total, nearest, descriptors - centres[nearest])
    total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-6)
    return total.ravel() / max(float(np.linalg.norm(total)), 1e-6)


def in_a_row(pictures: Sequence[Picture], count: int) -> Iterable[Pair]:
    """Pairs of pictures with consecutive names, as photographs are often taken in order."""
    order = sorted(range(len(pictures)), key=lambda i: natural_key(pictures[i].name))
    for step in range(1, count + 1):
        yield from ((min(pair), max(pair)) for pair in zip(order, order[step:], strict=False))
