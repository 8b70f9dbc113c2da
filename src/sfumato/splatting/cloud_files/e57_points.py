"""Measured points of ``.e57`` files, all their scans in the common frame, with the extra ``e57``."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from sfumato.errors import FormatError
from sfumato.splatting.cloud_files.cloud_file import PIECE_POINTS, CloudFile, optional
from sfumato.splatting.measured import MeasuredCloud

MAGIC = b"ASTM-E57"
_CARTESIAN = ("cartesianX", "cartesianY", "cartesianZ")
_SPHERICAL = ("sphericalRange", "sphericalAzimuth", "sphericalElevation")
_COLOUR = ("colorRed", "colorGreen", "colorBlue")
_NORMAL = ("nor:normalX", "nor:normalY", "nor:normalZ")
_INVALID = ("cartesianInvalidState", "sphericalInvalidState")


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file that begins with ``head`` is an E57 file."""
    return head.startswith(MAGIC)


def open_points(path: Path) -> CloudFile:
    """The points of an E57 file.

    Raises:
        FormatError: the package that reads it is missing, or the file is damaged.
    """
    pye57 = optional("pye57", "e57", path)
    try:
        image = pye57.libe57.ImageFile(str(path), "r")
        scans = image.root()["data3D"]
        headers = [pye57.ScanHeader(scans[index]) for index in range(len(scans))]
        count = sum(header.point_count for header in headers)
    except Exception as error:
        raise _damaged(path, error) from None
    return CloudFile("E57", count, lambda: _pieces(pye57.libe57, image, headers, path))


def _damaged(path: Path, error: Exception) -> FormatError:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return FormatError(f"{path} cannot be read as E57; it is damaged or truncated: {reason}")


def _pieces(lib: Any, image: Any, headers: list[Any], path: Path) -> Generator[MeasuredCloud, None, None]:
    try:
        for header in headers:
            yield from _scan(lib, image, header, path)
    except FormatError:
        raise
    except Exception as error:
        raise _damaged(path, error) from None
    finally:
        image.close()


def _scan(lib: Any, image: Any, header: Any, path: Path) -> Generator[MeasuredCloud, None, None]:
    present = set(header.point_fields)
    position = next((names for names in (_CARTESIAN, _SPHERICAL) if present >= set(names)), None)
    if position is None:
        raise FormatError(f"{path} has a scan without positions")
    groups = [position, *(names for names in (_COLOUR, _NORMAL) if present >= set(names))]
    names = [name for group in groups for name in group]
    names += [name for name in ("intensity", *_INVALID) if name in present]
    capacity = min(PIECE_POINTS, max(header.point_count, 1))
    room = {name: np.empty(capacity) for name in names}
    buffers = lib.VectorSourceDestBuffer()
    for name, array in room.items():
        buffers.append(lib.SourceDestBuffer(image, name, array, capacity, True, True))
    reader = header.points.reader(buffers)
    turn, shift = _pose(header)
    while (count := reader.read()) > 0:
        part = {name: array[:count] for name, array in room.items()}
        yield _measured(part, position, turn, shift, from_scanner=header.has_pose() or position is _SPHERICAL)
    reader.close()


def _pose(header: Any) -> tuple[Rotation, np.ndarray]:
    """file_from_scanner, as a rotation and a translation."""
    if not header.has_pose():
        return Rotation.identity(), np.zeros(3)
    return Rotation.from_quat(header.rotation, scalar_first=True), np.asarray(header.translation, np.float64)


def _measured(
    part: dict[str, np.ndarray],
    position: tuple[str, ...],
    turn: Rotation,
    shift: np.ndarray,
    *,
    from_scanner: bool,
) -> MeasuredCloud:
    local = np.stack([part[name] for name in position], axis=1)
    if position is _SPHERICAL:
        local = _from_spherical(local)
    towards = None
    # Merged scans have no pose, and an arbitrary origin.
    if from_scanner:
        away = np.linalg.norm(local, axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            towards = turn.apply(np.nan_to_num(-local / away)).astype(np.float32)
    normals = turn.apply(_stacked(part, _NORMAL)).astype(np.float32) if _NORMAL[0] in part else None
    cloud = MeasuredCloud(
        turn.apply(local) + shift,
        _stacked(part, _COLOUR).astype(np.float32) if _COLOUR[0] in part else None,
        part["intensity"].astype(np.float32)[:, None] if "intensity" in part else None,
        normals,
        towards,
        # Defined by the E57 standard.
        up=(0.0, 0.0, 1.0),
        metres_per_unit=1.0,
    )
    invalid = [part[name] != 0 for name in _INVALID if name in part]
    return cloud.select(~np.any(invalid, axis=0)) if invalid else cloud


def _stacked(part: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray:
    return np.stack([part[name] for name in names], axis=1)


def _from_spherical(found: np.ndarray) -> np.ndarray:
    """[n, 3] positions of ranges, azimuths and elevations in radians."""
    away, azimuth, elevation = found.T
    across = away * np.cos(elevation)
    return np.stack([across * np.cos(azimuth), across * np.sin(azimuth), away * np.sin(elevation)], axis=1)
