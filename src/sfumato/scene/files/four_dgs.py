"""``.4dgs``: a dynamic scene in one compact file, which the viewer page plays.

A ZIP archive of three members, stored without compression of their own, in this order:

* ``meta.json``, UTF-8: ``{"format": "sfumato-4dgs", "version": 1, "gaussians": n, "moving": m,
  "times": [t seconds], "origin": [x, y, z], "quantum": q, "fps": steps a second}``;
* ``scene.spz``: all n Gaussians at the first step at which each exists, those that stand still first, then
  the m moving ones, whose positions and rotations readers take from ``motion.bin``;
* ``motion.bin``: one zlib stream (RFC 1950) of arrays one after the other, little-endian, without padding:

  1. ``birth`` [m] and ``death`` [m], uint16: the first step at which each exists, and the first at which it
     no longer does;
  2. positions: for each step and each axis the low bytes [m], then the high bytes [m], of the difference
     modulo 65536 between this step's value and that of the step before. A position is ``origin + q * value``,
     world frame, scene units;
  3. rotations: for each step and each of w, x, y, z the same of the int16 value ``round(2047 * component)``.
     Signs are such that consecutive steps have a dot product of 0 or more; readers normalise.

  Values start at 0, and the difference is 0 where a Gaussian does not exist: a reader keeps one running
  value for each.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfumato.errors import FormatError
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.files import spz, values
from sfumato.scene.files.four_dgs_motion import LAST_POSITION, Grid, StepPoses, grid_of, packed, unpacked
from sfumato.scene.files.sog_source import ZIP_MAGIC, Read, archive_reader
from sfumato.scene.gaussians import Gaussians

SUFFIX = ".4dgs"
FORMAT, VERSION = "sfumato-4dgs", 1
META, SCENE, MOTION = "meta.json", "scene.spz", "motion.bin"
MAX_STEPS = 65535
# Limit of poses of all moving Gaussians at all steps: 7 GiB in memory. Constant motion is compressed a
# thousandfold, so the file's length is no useful bound.
MAX_POSES = 1 << 28
_MAX_META_BYTES = 1 << 22
# Date of members: the earliest in ZIP, so that the same scene gives the same bytes.
_NO_DATE = (1980, 1, 1, 0, 0, 0)


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file is of this format, by its first bytes or its name."""
    is_ours = head[30 : 30 + len(META)] == META.encode() and f'"{FORMAT}"'.encode() in head
    return head.startswith(ZIP_MAGIC) and (is_ours or path.suffix.lower() == SUFFIX)


def save(scene: DynamicScene, path: Path) -> None:
    """Write a dynamic scene; positions are rounded to a 65535th of the longest side of their bounding box.

    Args:
        scene: any device or float type, in axes right, down, front.
        path: the file to write.

    Raises:
        FormatError: there are more than 65535 steps, or a value is not finite.
    """
    grid, motion = packed_motion(scene)
    meta = {
        "format": FORMAT,
        "version": VERSION,
        "gaussians": len(scene),
        "moving": len(scene.ids),
        "times": scene.times.tolist(),
        "origin": grid.origin.tolist(),
        "quantum": grid.quantum,
        "fps": scene.rate,
    }
    members = {META: json.dumps(meta).encode(), SCENE: _packed_scene(scene), MOTION: motion}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, _NO_DATE), content)


def packed_motion(scene: DynamicScene) -> tuple[Grid, bytes]:
    """The grid of the positions, and the content of ``motion.bin``.

    Args:
        scene: any device or float type, in axes right, down, front.

    Raises:
        FormatError: there are more than 65535 steps, or a value is not finite.
    """
    steps, moving = scene.means.shape[:2]
    if steps > MAX_STEPS or steps * moving > MAX_POSES:
        raise FormatError(
            f"the scene cannot be saved: {SUFFIX} holds {MAX_STEPS} steps and {MAX_POSES} poses at most, and "
            f"it has {steps} steps of {moving} moving Gaussians"
        )
    means, quats = (tensor.detach().cpu().double().numpy() for tensor in (scene.means, scene.quats))
    poses = StepPoses(means, quats, scene.birth.cpu().numpy(), scene.death.cpu().numpy())
    exists = poses.exists()
    if not (np.isfinite(means[exists]).all() and np.isfinite(quats[exists]).all()):
        raise FormatError("the scene cannot be saved: a pose is NaN or infinite")
    grid = grid_of(poses)
    return grid, packed(poses, grid)


def load(path: Path) -> DynamicScene:
    """Read a dynamic scene.

    Args:
        path: the file.

    Returns:
        float32 on the CPU; the moving Gaussians are the last rows.

    Raises:
        FormatError: the file is missing, damaged, or declares another size than it has.
    """
    try:
        with archive_reader(path) as read:
            meta = _read_meta(path, read)
            gaussians = _read_scene(path, read, meta)
            content = read(MOTION, path.stat().st_size)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror or error}") from error
    poses = unpacked(f"{path}: {MOTION}", content, len(meta.times), meta.moving, meta.grid)
    tensors = {name: torch.from_numpy(array) for name, array in poses._asdict().items()}
    ids = torch.arange(meta.count - meta.moving, meta.count)
    scene = DynamicScene(gaussians, ids, torch.from_numpy(meta.times), **tensors)
    return replace(scene, gaussians=scene.at_birth())


@dataclass(frozen=True)
class _Meta:
    """The checked content of ``meta.json``."""

    count: int
    moving: int
    times: np.ndarray
    grid: Grid


def _packed_scene(scene: DynamicScene) -> bytes:
    """The Gaussians as a ``.spz`` file: still ones, then moving ones where they first exist."""
    still = torch.ones(len(scene), dtype=torch.bool, device=scene.ids.device)
    still[scene.ids] = False
    order = torch.cat([still.nonzero()[:, 0], scene.ids])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / SCENE
        spz.save(scene.at_birth().select(order), file)
        return file.read_bytes()


def _read_meta(path: Path, read: Read) -> _Meta:
    try:
        found = json.loads(read(META, _MAX_META_BYTES))
    except (ValueError, RecursionError):
        raise FormatError(f"{path}: {META} is not JSON") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise FormatError(f"{path} is not a {SUFFIX} file: {META} does not say {FORMAT}")
    if found.get("version") != VERSION:
        raise FormatError(f"{path} is of version {found.get('version')!r:.20}; version {VERSION} can be read")
    n, m = found.get("gaussians"), found.get("moving")
    if type(n) is not int or type(m) is not int or not 0 <= m <= n:
        raise FormatError(f"{path} declares {n!r:.20} Gaussians, of which {m!r:.20} move")
    times, origin = _numbers(path, found, "times"), _numbers(path, found, "origin")
    quantum = _numbers(path, {"quantum": [found.get("quantum")]}, "quantum")[0]
    if not 0 < len(times) <= MAX_STEPS or not (np.diff(times) > 0).all():
        raise FormatError(f"{path} has {len(times)} times; 1 to {MAX_STEPS} are expected, in ascending order")
    if m * len(times) > MAX_POSES:
        raise FormatError(f"{path} has {m} moving Gaussians at {len(times)} steps, which is too much")
    if len(origin) != 3 or not quantum > 0:
        raise FormatError(f"{path} has an origin of {len(origin)} numbers and a quantum of {quantum:g}")
    if not np.abs(origin).max() + LAST_POSITION * quantum < np.finfo(np.float32).max:
        raise FormatError(f"{path} has positions that are too large")
    return _Meta(n, m, times, Grid(origin, float(quantum)))


def _numbers(path: Path, found: dict[str, Any], name: str) -> np.ndarray:
    """float64 array of a list of finite numbers."""
    items = found.get(name)
    if not isinstance(items, list) or not all(type(item) in (int, float) for item in items):
        raise FormatError(f"{path}: {name} are not numbers")
    try:
        array = np.array(items, np.float64)
    except OverflowError:
        array = np.array([np.inf])
    if not np.isfinite(array).all():
        raise FormatError(f"{path}: {name} are not finite")
    return array


def _read_scene(path: Path, read: Read, meta: _Meta) -> Gaussians:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / SCENE
        file.write_bytes(read(SCENE, path.stat().st_size))
        if not spz.recognises(file.read_bytes()[:64], file):
            raise FormatError(f"{path}: {SCENE} is not a .spz file")
        try:
            scene = values.checked(spz.load(file), path, repair=False)
        except FormatError as error:
            raise FormatError(str(error).replace(str(file), f"{path}: {SCENE}")) from None
    if len(scene) != meta.count:
        raise FormatError(f"{path} declares {meta.count} Gaussians but holds {len(scene)}")
    return scene
