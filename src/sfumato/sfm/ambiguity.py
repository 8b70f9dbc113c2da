"""Repeated structure: models in which two similar places were merged are detected and mapped again.

A can with the same print on both sides, or a tiled floor, gives verified matches between pictures of
different sides. A mapper that uses them places the sides on top of each other (a folded model), which
contradicts matches between consecutive pictures: such torn pairs are counted here. Consecutive pictures show
the same side, so models from these alone (chains) decide which of the other pairs are correct.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sfumato.capture.natural_order import natural_key
from sfumato.footage.frames_file import Picture
from sfumato.sfm.mapping import Task, map_once
from sfumato.sfm.progress import Progress

if TYPE_CHECKING:
    import pycolmap

# Least number of matches of a pair used as a witness, and the fraction that must fit for it not to be torn.
_WITNESS = 25
_FITTING_SHARE = 0.25
_FITTING_TOLERANCES = 4.0
# Largest distance in order between the two pictures of a witness, and of a pair of a chain.
_WITNESS_STEPS, _CHAIN_STEPS = 2, 3
# Angle above the drift of a chain around a full loop; the wrong side differs by more.
_DRIFT_RAD = np.radians(40.0)
# Fraction of the pictures that the chains must contain, and fraction of the old model's that a new one must
# keep.
_CHAIN_SHARE, _KEPT_SHARE = 0.5, 0.9

_Ids = tuple[int, int]


def resolved(
    model: pycolmap.Reconstruction, task: Task, pictures: Sequence[Picture], folder: Path, report: Progress
) -> tuple[pycolmap.Reconstruction, bool]:
    """Map again without false pairs if the model has torn pairs of consecutive pictures.

    Args:
        model: from all pairs.
        task: what was mapped.
        pictures: sorted by name.
        folder: for intermediate files.
        report: called with the number of registered pictures.

    Returns:
        The model to keep, and whether it is a new one.
    """
    witnesses = near_pairs(task.database, pictures, _WITNESS_STEPS)
    before = tears(model, task, witnesses)
    if not before:
        return model, False
    if time.monotonic() + task.took_s > task.until_s:
        return model, False
    near = near_pairs(task.database, pictures, _CHAIN_STEPS)
    chains = _mapped(task, folder / "neighbours", report, near)
    if sum(chain.num_reg_images() for chain in chains) < _CHAIN_SHARE * model.num_reg_images():
        return model, False
    agreed, unjudged = _judged(chains, task.database, near)
    unfolded = _mapped(task, folder / "unfolded", report, agreed)
    # Pictures outside the chains are added to the finished model and can no longer fold it.
    joined = (
        _mapped(task, folder / "joined", report, agreed | unjudged, start=unfolded[0]) if unfolded else []
    )
    new = max([*unfolded[:1], *joined[:1]], key=lambda m: m.num_reg_images(), default=None)
    if new is None or new.num_reg_images() < _KEPT_SHARE * model.num_reg_images():
        return model, False
    return (new, True) if tears(new, task, witnesses) < before else (model, False)


def torn_pairs(model: pycolmap.Reconstruction, task: Task, pictures: Sequence[Picture]) -> int:
    """Number of torn pairs of consecutive pictures, a sign of a folded model."""
    return tears(model, task, near_pairs(task.database, pictures, _WITNESS_STEPS))


def tears(model: pycolmap.Reconstruction, task: Task, witnesses: Iterable[_Ids]) -> int:
    """Number of torn pairs: well matched pictures whose matches contradict their cameras.

    Args:
        model: with the cameras.
        task: what was mapped.
        witnesses: pairs of image ids whose matches are trusted.
    """
    import pycolmap

    count = 0
    with pycolmap.Database.open(task.database) as opened:
        for pair in sorted(witnesses):
            if not all(i in model.images and model.images[i].has_pose for i in pair):
                continue
            matches = np.asarray(opened.read_two_view_geometry(*pair).inlier_matches)
            if len(matches) < _WITNESS:
                continue
            errors_px = _epipolar_errors_px(model, pair, matches)
            count += bool(np.mean(errors_px < _FITTING_TOLERANCES * task.tolerance_px) < _FITTING_SHARE)
    return count


def _epipolar_errors_px(model: pycolmap.Reconstruction, pair: _Ids, matches: np.ndarray) -> np.ndarray:
    """[n] Sampson distances of matched features under the model's cameras."""
    import pycolmap

    first, second = (model.images[i] for i in pair)
    rays = [_normalised(model, image, matches[:, k]) for k, image in enumerate((first, second))]
    second_from_first = second.cam_from_world() * first.cam_from_world().inverse()
    essential = pycolmap.essential_matrix_from_pose(second_from_first)
    to_second, to_first = rays[0] @ essential.T, rays[1] @ essential
    top = np.einsum("ni,ni->n", rays[1], to_second)
    bottom = (to_second[:, :2] ** 2).sum(axis=1) + (to_first[:, :2] ** 2).sum(axis=1)
    focal_px = model.cameras[first.camera_id].mean_focal_length()
    return focal_px * np.abs(top) / np.sqrt(np.maximum(bottom, 1e-20))


def _normalised(model: pycolmap.Reconstruction, image: pycolmap.Image, chosen: np.ndarray) -> np.ndarray:
    """[n, 3] directions of some of an image's features in its camera, z = 1."""
    points = image.points2D
    xy = np.array([points[int(i)].xy for i in chosen], float)
    ideal = np.asarray(model.cameras[image.camera_id].cam_from_img(xy))
    return np.concatenate([ideal, np.ones((len(ideal), 1))], axis=1)


def _judged(
    chains: Sequence[pycolmap.Reconstruction], database: Path, near: set[_Ids]
) -> tuple[set[_Ids], set[_Ids]]:
    """Pairs that agree with the chains, and pairs with a picture outside all chains."""
    chain_of = {
        i: number for number, chain in reversed(list(enumerate(chains))) for i in chain.reg_image_ids()
    }
    agreed: set[_Ids] = set()
    unjudged: set[_Ids] = set()
    between: dict[tuple[int, ...], list[tuple[_Ids, np.ndarray]]] = {}
    for pair in _pairs(database):
        if not all(i in chain_of for i in pair):
            unjudged.add(pair)
            continue
        numbers = tuple(chain_of[i] for i in pair)
        turn = _turn([chains[number] for number in numbers], database, pair)
        if turn is None:
            continue
        if numbers[0] != numbers[1]:
            key = _sorted(*numbers)
            between.setdefault(key, []).append((pair, turn if key == numbers else turn.T))
        elif _angle_rad(turn, np.eye(3)) < _DRIFT_RAD:
            agreed.add(pair)
    for votes in between.values():
        agreed |= _majority(votes, database, near)
    return agreed, unjudged


def _turn(chains: Sequence[pycolmap.Reconstruction], database: Path, pair: _Ids) -> np.ndarray | None:
    """[3, 3] rotation from the second picture's world to the first one's, by their relative pose.

    Within one chain this is the identity, up to the chain's drift; None if the matches give no pose.
    """
    import pycolmap

    images = [chain.images[i] for chain, i in zip(chains, pair, strict=True)]
    cameras = [chain.cameras[image.camera_id] for chain, image in zip(chains, images, strict=True)]
    with pycolmap.Database.open(database) as opened:
        matches = np.asarray(opened.read_two_view_geometry(*pair).inlier_matches)
        points = [np.asarray(opened.read_keypoints(i))[:, :2].astype(float) for i in pair]
    options = pycolmap.TwoViewGeometryOptions()
    options.compute_relative_pose = True
    options.ransac.random_seed = 0
    found = pycolmap.estimate_calibrated_two_view_geometry(
        cameras[0], points[0], cameras[1], points[1], matches, options
    )
    if found.cam2_from_cam1 is None:
        return None
    first, second = (image.cam_from_world().rotation.matrix() for image in images)
    return first.T @ found.cam2_from_cam1.rotation.matrix().T @ second


def _majority(votes: Sequence[tuple[_Ids, np.ndarray]], database: Path, near: set[_Ids]) -> set[_Ids]:
    """Of the pairs between two chains, those that agree with the rotation that has the most matches.

    If the chains are adjacent in time, only consecutive pictures count: for an object with two similar sides,
    half of all other pairs are false.
    """
    import pycolmap

    with pycolmap.Database.open(database) as opened:
        weights = [len(opened.read_two_view_geometry(*pair).inlier_matches) for pair, _ in votes]
    if any(pair in near for pair, _ in votes):
        weights = [weight if pair in near else 0 for (pair, _), weight in zip(votes, weights, strict=True)]
    agree = np.array([[_angle_rad(a, b) < _DRIFT_RAD for _, b in votes] for _, a in votes])
    best = agree[np.argmax(agree @ np.array(weights))]
    return {pair for (pair, _), agrees in zip(votes, best, strict=True) if agrees}


def _angle_rad(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.arccos(np.clip((np.trace(first @ second.T) - 1.0) / 2.0, -1.0, 1.0)))


def near_pairs(database: Path, pictures: Sequence[Picture], steps: int) -> set[_Ids]:
    """Pairs of consecutive pictures: in a video, or in the order of photographs' names.

    Args:
        database: with the pictures.
        pictures: sorted by name.
        steps: largest distance in the sequence.
    """
    import pycolmap

    sequences: dict[str | None, list[str]] = {}
    for picture in sorted(pictures, key=lambda picture: natural_key(picture.name)):
        sequences.setdefault(picture.sequence, []).append(picture.name)
    with pycolmap.Database.open(database) as opened:
        ids = {image.name: image.image_id for image in opened.read_all_images()}
    return {
        _sorted(ids[first], ids[second])
        for names in sequences.values()
        for start, first in enumerate(names)
        for second in names[start + 1 : start + steps + 1]
    }


def _mapped(
    task: Task,
    folder: Path,
    report: Progress,
    pairs: Iterable[_Ids],
    start: pycolmap.Reconstruction | None = None,
) -> list[pycolmap.Reconstruction]:
    """Models from some of the pairs only, or the continuation of a model."""
    import pycolmap

    folder.mkdir(parents=True, exist_ok=True)
    database, kept = folder / "pairs.db", set(pairs)
    shutil.copyfile(task.database, database)
    with pycolmap.Database.open(database) as opened:
        for pair in _pairs(task.database):
            if pair not in kept:
                opened.delete_two_view_geometry(*pair)
                opened.delete_matches(*pair)
    return map_once(replace(task, database=database), folder, report, start)


def _pairs(database: Path) -> list[_Ids]:
    """Every verified pair of pictures, as their numbers in the database."""
    import pycolmap

    with pycolmap.Database.open(database) as opened:
        pairs, counts = opened.read_two_view_geometry_num_inliers()
        ids = [_sorted(*pycolmap.pair_id_to_image_pair(pair)) for pair in pairs]
    return sorted(pair for pair, count in zip(ids, counts, strict=True) if count)


def _sorted(first: int, second: int) -> _Ids:
    return (first, second) if first < second else (second, first)
