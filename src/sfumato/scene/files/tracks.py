"""``tracks.npz``: the poses of the moving Gaussians of a dynamic scene at each step.

Arrays, of t steps and m moving Gaussians:

* ``times [t]`` float64 seconds;
* ``ids [m]`` int64 rows of the scene file beside it, ascending;
* ``means [t, m, 3]`` float32, world frame, scene units; NaN before birth and after death;
* ``quats [t, m, 4]`` float32, world_from_local as (w, x, y, z) of length one; NaN likewise;
* ``birth [m]``, ``death [m]`` int64, first step at which each exists, and first at which it no longer does.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sfumato.checks import file_path
from sfumato.errors import FormatError, ShapeError
from sfumato.npy_files import read_arrays
from sfumato.outputs import replacing
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.gaussians import Gaussians

_ARRAYS: dict[str, tuple[type, int]] = {
    "times": (np.float64, 1),
    "ids": (np.int64, 1),
    "means": (np.float32, 3),
    "quats": (np.float32, 3),
    "birth": (np.int64, 1),
    "death": (np.int64, 1),
}


def write_tracks(scene: DynamicScene, path: str | Path) -> None:
    """Write the tracks of a dynamic scene; ``scene.gaussians`` go into a scene file beside it.

    Raises:
        SfumatoError: the file cannot be written.
    """
    path = file_path("path", path)
    arrays = {name: getattr(scene, name).cpu().numpy().astype(kind) for name, (kind, _) in _ARRAYS.items()}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def read_tracks(path: str | Path, gaussians: Gaussians) -> DynamicScene:
    """Read tracks of Gaussians that were read from the scene file beside them.

    Args:
        path: a ``tracks.npz``.
        gaussians: the scene that its ``ids`` are rows of.

    Raises:
        FormatError: the file is missing, damaged, or does not belong to these Gaussians.
    """
    path = file_path("path", path)
    try:
        arrays = read_arrays(path, _ARRAYS)
    except FileNotFoundError:
        raise FormatError(f"{path}: missing") from None
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} is not a readable file of tracks: {error}") from None
    _check_poses(arrays, path)
    tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
    for name in ("means", "quats"):
        tensors[name] = tensors[name].to(gaussians.means.dtype)
    try:
        return DynamicScene(gaussians, **tensors)
    except ShapeError as error:
        raise FormatError(f"{path} does not belong to the scene beside it, or is damaged: {error}") from None


def _check_poses(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Refuse poses that are not finite while a Gaussian exists, or whose rotations are invalid."""
    means, quats, birth, death = (arrays[name] for name in ("means", "quats", "birth", "death"))
    if means.shape[:2] != quats.shape[:2] or means.shape[1:] != (len(birth), 3) or quats.shape[2] != 4:
        raise FormatError(f"{path}: means are {means.shape}, quats {quats.shape}, births {birth.shape}")
    if len(death) != len(birth):
        raise FormatError(f"{path}: {len(birth)} births and {len(death)} deaths")
    steps = np.arange(len(means))[:, None]
    exists = (birth <= steps) & (steps < death)
    if not np.isfinite(means[exists]).all():
        raise FormatError(f"{path}: a mean is not a finite number")
    length = np.linalg.norm(quats[exists].astype(np.float64), axis=-1)
    if not (np.abs(length - 1) < 1e-3).all():
        raise FormatError(f"{path}: a rotation is not a quaternion of length one")
