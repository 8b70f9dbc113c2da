"""Which way is down, and how large the world is: the similarity from the mapper's world to the user's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from sfumato.errors import CaptureError

# Pictures are held level: the cameras' x axes lie in one plane, and do so in more than one direction: their
# mean squares across the plane, and along it where they are fewest; and of the two, the first to the second.
_FLAT, _SPREAD, _FLATNESS = 0.05, 0.02, 0.2
# Mean of the cameras' downward axes, below which they point every way.
_AGREED = 0.3
_LEAST_RECORDED = 3


@dataclass(frozen=True)
class Similarity:
    """new = scale * rotation @ old + translation.

    Attributes:
        scale: more than 0.
        rotation: [3, 3].
        translation: [3], new units.
    """

    scale: float
    rotation: np.ndarray
    translation: np.ndarray

    @property
    def matrix(self) -> np.ndarray:
        """[4, 4] that takes homogeneous old points to new ones."""
        whole = np.eye(4)
        whole[:3, :3], whole[:3, 3] = self.scale * self.rotation, self.translation
        return whole


IDENTITY = Similarity(1.0, np.eye(3), np.zeros(3))


@dataclass(frozen=True)
class Gravity:
    """Which way is down.

    Attributes:
        direction: [3] unit vector in the mapper's world; None where nothing tells.
        found_by: in words.
    """

    direction: np.ndarray | None
    found_by: str


def find_gravity(rotations: np.ndarray, recorded: Mapping[int, np.ndarray] | None = None) -> Gravity:
    """Which way is down, from what the cameras recorded or else from how they were held.

    People hold cameras level even when they point them up or down: the x axes of all pictures are
    horizontal, so gravity is the direction they avoid. Where all x axes are parallel, as when somebody
    walked straight on, it is the mean of the pictures' downward axes.

    Args:
        rotations: [n, 3, 3] camera_from_world; x right, y down, z forward.
        recorded: unit vectors [3] downwards in the axes of some of the cameras, by position in
            ``rotations``.

    Returns:
        The direction, or None where the cameras contradict each other.
    """
    if recorded is not None and len(recorded) >= _LEAST_RECORDED:
        told = np.mean([rotations[i].T @ down for i, down in recorded.items()], axis=0)
        if np.linalg.norm(told) > _AGREED:
            return Gravity(told / np.linalg.norm(told), "recorded by the camera")
    down = rotations[:, 1].mean(axis=0)
    spread, axes = np.linalg.eigh(np.einsum("ni,nj->ij", rotations[:, 0], rotations[:, 0]) / len(rotations))
    is_plane = spread[0] < min(_FLAT, _FLATNESS * spread[1]) and spread[1] > _SPREAD
    if is_plane and abs(axes[:, 0] @ down) > _AGREED:
        return Gravity(axes[:, 0] * np.sign(axes[:, 0] @ down), "level pictures")
    if np.linalg.norm(down) > _AGREED:
        return Gravity(down / np.linalg.norm(down), "mean of the pictures' downward axes")
    return Gravity(None, "pictures held every way")


def upright_similarity(
    gravity: np.ndarray, points: np.ndarray, centres: np.ndarray, forward: np.ndarray
) -> Similarity:
    """Turn gravity to +y and put the origin near the middle of the scene.

    The first camera looks along +z as far as that goes, so that a viewer begins on the captured side.

    Args:
        gravity: [3] unit vector.
        points: [n, 3]; their median is the origin.
        centres: [m, 3] of the cameras, for a scene without points.
        forward: [3] in which the first camera looks.
    """
    down = gravity / np.linalg.norm(gravity)
    ahead = forward - (forward @ down) * down
    if np.linalg.norm(ahead) < 1e-6:
        ahead = np.eye(3)[np.argmin(np.abs(down))]
        ahead = ahead - (ahead @ down) * down
    ahead = ahead / np.linalg.norm(ahead)
    rotation = np.stack([np.cross(down, ahead), down, ahead])
    middle = np.median(points if len(points) else centres, axis=0)
    return Similarity(1.0, rotation, -rotation @ middle)


def check_names(known: tuple[str, str, float], names: Collection[str]) -> None:
    """Refuse a known distance between pictures that are not there.

    Args:
        known: names of two pictures, and the distance.
        names: of all pictures.

    Raises:
        CaptureError: a name means no picture, or several.
    """
    for name in known[:2]:
        _named(name, names)


def scaled(
    similarity: Similarity, centres: Mapping[str, np.ndarray], known: tuple[str, str, float]
) -> Similarity:
    """The same similarity, its scale set so that two cameras stand as far apart as is known.

    Args:
        similarity: of scale 1.
        centres: [3] in the old world, of every camera by the name of its picture.
        known: names of two pictures, and the distance.

    Raises:
        CaptureError: one of them has no camera, or both stand in one place.
    """
    first, second = (_named(name, centres) for name in known[:2])
    distance = float(np.linalg.norm(centres[first] - centres[second]))
    if not distance > 0:
        raise CaptureError(
            f"known_distance: {known[0]} and {known[1]} were taken from one place; name two others"
        )
    scale = known[2] / distance
    return Similarity(scale, similarity.rotation, scale * similarity.translation)


def _named(name: str, names: Collection[str]) -> str:
    """The one picture that ``name`` means: its name in the dataset, or that of the file it came from."""
    found = [n for n in names if n == name] or [n for n in names if _stem(n) == _stem(name)]
    if len(found) != 1:
        what = (
            "no picture has this name, or it has no camera" if not found else f"{len(found)} pictures have it"
        )
        raise CaptureError(f"known_distance: {name!r}: {what}; sfm.json lists the names")
    return found[0]


def _stem(name: str) -> str:
    return PurePosixPath(name).stem
