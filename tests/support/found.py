"""Results of structure from motion, compared with ground truth."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pycolmap

from sfumato.display import Display

MODEL_FILES = ("cameras.bin", "images.bin", "points3D.bin")


class Stop(Exception):
    """Simulated interruption of a run."""


class Watch(Display):
    """Records work and messages; stops the run in the work titled ``stop_at``.

    Args:
        stop_at: title of the work.
        after: amount of this work done before.
    """

    def __init__(self, stop_at=None, after=0):
        super().__init__()
        self.titles, self.lines = [], []
        self._stop_at, self._after = stop_at, after

    def say(self, words):
        self.lines.append(words)

    @contextmanager
    def counting(self, title, things):
        self.titles.append(title)

        def report(done, total):
            if title == self._stop_at and done >= self._after:
                raise Stop(title)

        yield report


def dataset(out: Path) -> pycolmap.Reconstruction:
    """The written model."""
    return pycolmap.Reconstruction(out / "sparse/0")


def model_bytes(out: Path):
    """The written model, byte for byte."""
    return [(out / "sparse/0" / name).read_bytes() for name in MODEL_FILES]


def poses_of(model):
    """camera_from_world [4, 4] by the last part of the picture's name."""
    found = {}
    for number in model.reg_image_ids():
        image = model.images[number]
        pose = np.eye(4)
        pose[:3] = image.cam_from_world().matrix()
        found[Path(image.name).name] = pose
    return found


def centre(pose):
    """[3] centre of a camera."""
    return -pose[:3, :3].T @ pose[:3, 3]


def similarity_between(source, target):
    """(scale, rotation, translation) that best maps points [n, 3] to others (Umeyama 1991)."""
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    a, b = source - source_mean, target - target_mean
    u, d, vt = np.linalg.svd(b.T @ a / len(a))
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ sign @ vt
    scale = float(np.trace(np.diag(d) @ sign) / (a**2).sum(axis=1).mean())
    return scale, rotation, target_mean - scale * rotation @ source_mean


def pose_errors(found, true):
    """Errors after the best similarity.

    Returns:
        (degrees [n], distances [n] as fractions of the path's extent) of the cameras in ``found``.
    """
    names = sorted(found)
    there = np.array([centre(found[name]) for name in names])
    wanted = np.array([centre(true[name]) for name in names])
    scale, rotation, translation = similarity_between(there, wanted)
    moved = scale * there @ rotation.T + translation
    extent = np.linalg.norm(np.ptp(wanted, axis=0))
    turns = [angle_deg(found[n][:3, :3] @ rotation.T, true[n][:3, :3]) for n in names]
    return np.array(turns), np.linalg.norm(moved - wanted, axis=1) / extent


def angle_deg(one, other):
    """Angle between two rotations."""
    return float(np.degrees(np.arccos(np.clip((np.trace(one @ other.T) - 1) / 2, -1, 1))))


def surface_distances(faces, points):
    """[n] distance of points [n, 3] to the nearest face of a world."""
    nearest = np.full(len(points), np.inf)
    for face in faces:
        across = np.stack([face.right, face.down], axis=1)
        share = np.clip((points - face.corner) @ np.linalg.pinv(across).T, 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(points - face.corner - share @ across.T, axis=1))
    return nearest
