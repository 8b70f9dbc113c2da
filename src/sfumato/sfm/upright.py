"""Gravity and scale: the similarity from the mapper's world frame to the user's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from sfumato.errors import CaptureError

# Level cameras have x axes that lie in one plane and span it: largest variance across the plane, least
# variance within it, and largest ratio of the two.
_FLAT, _SPREAD, _FLATNESS = 0.05, 0.02, 0.2
# Least length of the mean of the cameras' downward axes for a common direction.
_AGREED = 0.3
# Aerial cameras look straight down: their mean forward axis is at least this long, and the mean of their x
# axes at most this long, as these point in all directions; or their positions lie in a plane this thin, which
# they look across, and which extends both ways at least as far as its height above the ground.
_ONE_WAY, _TURNED, _THIN, _ACROSS, _REACH = 0.9, 0.8, 0.1, 0.96, 1.0
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
    """The direction of gravity.

    Attributes:
        direction: [3] unit vector downwards in the mapper's world; None if unknown.
        found_by: description of the method.
        is_strong: whether it is reliable.
    """

    direction: np.ndarray | None
    found_by: str
    is_strong: bool = False


def find_gravity(
    rotations: np.ndarray,
    recorded: Mapping[int, np.ndarray] | None = None,
    *,
    centres: np.ndarray | None = None,
    points: np.ndarray | None = None,
) -> Gravity:
    """The direction of gravity, from the cameras' sensors, else from their orientations.

    People hold cameras level even when they point them up or down: the x axes of all pictures are
    horizontal, so gravity is the direction perpendicular to them. Where all x axes are parallel, as on a
    straight walk, it is the mean of the pictures' downward axes. Aerial cameras look down instead: all in one
    direction while they rotate about it, or above a wide plane.

    Args:
        rotations: [n, 3, 3] camera_from_world; x right, y down, z forward.
        recorded: unit vectors [3] downwards in the axes of some of the cameras, by position in
            ``rotations``.
        centres: [n, 3] of the cameras; None: not used.
        points: [m, 3] that they see; None: not used.

    Returns:
        The direction, or None if the cameras contradict each other.
    """
    if recorded is not None and len(recorded) >= _LEAST_RECORDED:
        mean_recorded = np.mean([rotations[i].T @ down for i, down in recorded.items()], axis=0)
        if np.linalg.norm(mean_recorded) > _AGREED:
            return Gravity(mean_recorded / np.linalg.norm(mean_recorded), "recorded by the camera", True)
    down = rotations[:, 1].mean(axis=0)
    spread, axes = np.linalg.eigh(np.einsum("ni,nj->ij", rotations[:, 0], rotations[:, 0]) / len(rotations))
    is_plane = spread[0] < min(_FLAT, _FLATNESS * spread[1]) and spread[1] > _SPREAD
    if is_plane and abs(axes[:, 0] @ down) > _AGREED:
        return Gravity(axes[:, 0] * np.sign(axes[:, 0] @ down), "level pictures", True)
    straight_down = _straight_down(rotations, centres, points)
    if straight_down is not None:
        return Gravity(straight_down, "pictures taken straight down")
    if np.linalg.norm(down) > _AGREED:
        return Gravity(down / np.linalg.norm(down), "mean of the pictures' downward axes")
    return Gravity(None, "pictures held every way")


def _straight_down(
    rotations: np.ndarray, centres: np.ndarray | None, points: np.ndarray | None
) -> np.ndarray | None:
    """[3] unit vector along which all cameras look, if they seem to be aerial; else None."""
    forward = rotations[:, 2].mean(axis=0)
    length = float(np.linalg.norm(forward))
    if length < _ONE_WAY:
        return None
    # Cameras on the ground are not rotated this far about their viewing direction.
    if np.linalg.norm(rotations[:, 0].mean(axis=0)) < _TURNED:
        return forward / length
    if centres is None or points is None or len(points) == 0:
        return None
    centre = centres.mean(axis=0)
    _, _, axes = np.linalg.svd(centres - centre, full_matrices=False)
    if len(axes) < 3:
        return None
    reach = np.ptp((centres - centre) @ axes.T, axis=0)
    away = float(forward @ (np.median(points, axis=0) - centre)) / length
    is_wide = reach[1] > _REACH * away > 0 and reach[2] < _THIN * reach[1]
    across = float(axes[2] @ forward) / length
    return axes[2] * np.sign(across) if is_wide and abs(across) > _ACROSS else None


def upright_similarity(
    gravity: np.ndarray, points: np.ndarray, centres: np.ndarray, forward: np.ndarray
) -> Similarity:
    """Rotate gravity to +y and put the origin near the centre of the scene.

    The first camera looks towards +z as far as possible, so that a viewer starts on the captured side.

    Args:
        gravity: [3] unit vector.
        points: [n, 3]; their median is the origin.
        centres: [m, 3] of the cameras, for a scene without points.
        forward: [3] viewing direction of the first camera.
    """
    rotation = turned_down(gravity, forward)
    centre = np.median(points if len(points) else centres, axis=0)
    return Similarity(1.0, rotation, -rotation @ centre)


def turned_down(gravity: np.ndarray, forward: np.ndarray) -> np.ndarray:
    """[3, 3] rotation that takes gravity [3] to +y, and ``forward`` [3] towards +z as far as possible."""
    down = gravity / np.linalg.norm(gravity)
    ahead = forward - (forward @ down) * down
    if np.linalg.norm(ahead) < 1e-6:
        ahead = np.eye(3)[np.argmin(np.abs(down))]
        ahead = ahead - (ahead @ down) * down
    ahead = ahead / np.linalg.norm(ahead)
    return np.stack([np.cross(down, ahead), down, ahead])


def check_names(known: tuple[str, str, float], names: Collection[str]) -> None:
    """Check the names of pictures with a known distance.

    Args:
        known: names of two pictures, and the distance.
        names: of all pictures.

    Raises:
        CaptureError: a name matches no picture, or several.
    """
    for name in known[:2]:
        _named(name, names)


def scaled(
    similarity: Similarity, centres: Mapping[str, np.ndarray], known: tuple[str, str, float]
) -> Similarity:
    """The same similarity with the scale at which two cameras have their known distance.

    Args:
        similarity: of any scale.
        centres: [3] in the old world, of every camera by the name of its picture.
        known: names of two pictures, and the distance.

    Raises:
        CaptureError: one of them has no camera, or both have the same position.
    """
    first, second = (_named(name, centres) for name in known[:2])
    distance = float(np.linalg.norm(centres[first] - centres[second]))
    if not distance > 0:
        raise CaptureError(
            f"known_distance: {known[0]} and {known[1]} were taken from one place; name two others"
        )
    scale = known[2] / distance
    return Similarity(scale, similarity.rotation, scale / similarity.scale * similarity.translation)


def _named(name: str, names: Collection[str]) -> str:
    """The only picture with this name in the dataset, or from a file with this name."""
    found = [n for n in names if n == name] or [n for n in names if _stem(n) == _stem(name)]
    if len(found) != 1:
        what = (
            "no picture has this name, or it has no camera" if not found else f"{len(found)} pictures have it"
        )
        raise CaptureError(f"known_distance: {name!r}: {what}; sfm.json lists the names")
    return found[0]


def _stem(name: str) -> str:
    return PurePosixPath(name).stem
