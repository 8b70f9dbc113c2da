"""RealityScan's (RealityCapture's) internal and external camera parameters, a table in CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sfumato.capture.images import read_header
from sfumato.capture.points import read_ply_points
from sfumato.capture.readers.brown import brown_lens, farthest_radius, require_negligible
from sfumato.capture.readers.image_files import PictureIndex, sole_ply
from sfumato.capture.readers.pose_forms import from_opengl
from sfumato.capture.readers.source import (
    Intrinsics,
    PosedDataset,
    PosedImage,
    check_intrinsics,
    read_bytes,
    refuse_missing,
)
from sfumato.errors import CaptureError
from sfumato.scene.lenses import PINHOLE

_MAX_BYTES = 1 << 28
_HEAD_BYTES = 4096
_REQUIRED = ("name", "x", "y", "alt", "heading", "pitch", "roll", "f")
_OPTIONAL = ("px", "py", "k1", "k2", "k3", "k4", "t1", "t2")
_FILM_WIDTH_MM = 36.0


def find_realityscan(root: Path) -> tuple[Path, ...]:
    """The CSV files of a folder that begin with the columns of camera parameters."""
    return tuple(path for path in sorted(root.glob("*.csv")) if path.is_file() and _looks_right(path))


def _looks_right(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    first = head.decode("utf-8-sig", "replace").lstrip().split("\n")[0]
    return set(_REQUIRED) <= set(_columns(first.split(",")))


def _columns(words: list[str]) -> list[str]:
    return [word.strip().strip('"').lower().removeprefix("#") for word in words]


def read_realityscan(root: Path, paths: tuple[Path, ...]) -> PosedDataset:
    """Read RealityScan's camera parameters and find their images below the folder.

    The world frame is that of the export: x east, y north, z up if georeferenced. The table does not name the
    lens model of its coefficients; Brown's is assumed.

    Args:
        root: folder with the images, and perhaps a ``.ply`` of the points.
        paths: the table; more than one is an error.

    Returns:
        The dataset; points are None where there is no ``.ply``.

    Raises:
        CaptureError: the table is broken, or an image is missing.

    Source: Epic's knowledge base, "Registration export and camera orientations" and "RealityCapture XMP
        camera math".
    """
    if len(paths) > 1:
        raise CaptureError(
            f"{root} has camera tables {paths[0].name} and {paths[1].name}; give one of them, not the folder"
        )
    path = paths[0]
    rows = list(_rows(path))
    if not rows:
        raise CaptureError(f"{path} lists no images; align them before exporting the camera parameters")
    index = PictureIndex(root)
    names = [index.find(row["name"], str(path)) for row in rows]
    missing = [row["name"] for row, name in zip(rows, names, strict=True) if name is None]
    refuse_missing(missing, len(rows), path, root)
    found = zip(rows, names, strict=True)
    frames = tuple(_frame(row, root, name, path) for row, name in found if name is not None)
    cloud = sole_ply(root, path.stem)
    return PosedDataset(frames, None if cloud is None else read_ply_points(cloud))


def _rows(path: Path) -> Iterator[dict]:
    """Rows by column, numbers as floats."""
    if path.is_file() and path.stat().st_size > _MAX_BYTES:
        raise CaptureError(f"{path} is larger than 256 MiB; too large for a table of cameras")
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
        table = [row for row in csv.reader(lines) if any(word.strip() for word in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise CaptureError(
            f"{path} is not a table of text ({error}); export the camera parameters again"
        ) from None
    columns = _columns(table[0]) if table else []
    lacking = [name for name in _REQUIRED if name not in columns]
    if lacking:
        raise CaptureError(
            f"{path} has no column {lacking[0]!r}; export 'Internal/External camera parameters' again"
        )
    for number, words in enumerate(table[1:], 2):
        where = f"{path} row {number}"
        if len(words) != len(columns):
            raise CaptureError(f"{where} has {len(words)} values for {len(columns)} columns; export again")
        values = dict(zip(columns, words, strict=True))
        numbers = {key: _number(values[key], key, where) for key in _REQUIRED[1:]}
        numbers |= {key: _number(values.get(key, "0"), key, where) for key in _OPTIONAL}
        yield {"name": values["name"].strip(), **numbers}


def _number(word: str, key: str, where: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CaptureError(f"{where}: {key} must be a finite number, not {word!r:.60}; export again")
    return value


def _frame(row: dict, root: Path, name: str, path: Path) -> PosedImage:
    where, picture = f"{path}: image {name!r}", root / name
    world_from_camera = np.eye(4)
    world_from_camera[:3, :3] = _rotation(row["heading"], row["pitch"], row["roll"])
    world_from_camera[:3, 3] = row["x"], row["y"], row["alt"]
    intrinsics = _intrinsics(row, read_header(picture).size_px, where)
    return PosedImage(name, picture, None, from_opengl(world_from_camera, where), intrinsics)


def _rotation(heading: float, pitch: float, roll: float) -> np.ndarray:
    """[3, 3] world_from_camera with OpenGL axes, of angles in degrees.

    With all angles zero the camera looks straight down and the top of its picture points along y.
    Heading rotates it clockwise as seen from above, then pitch raises its view, then roll tilts it sideways.
    """
    h, p, r = (math.radians(angle) for angle in (-heading, pitch, roll))
    about_z = np.array([[math.cos(h), -math.sin(h), 0], [math.sin(h), math.cos(h), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]])
    about_y = np.array([[math.cos(r), 0, math.sin(r)], [0, 1, 0], [-math.sin(r), 0, math.cos(r)]])
    return about_z @ about_x @ about_y


def _intrinsics(row: dict, size_px: tuple[int, int], where: str) -> Intrinsics:
    """Focal length as 35 mm equivalent (longer side 36 mm); principal point in units of the longer side."""
    longer = max(size_px)
    focal = row["f"] * longer / _FILM_WIDTH_MM
    centre_px = (0.5 * size_px[0] + row["px"] * longer, 0.5 * size_px[1] + row["py"] * longer)
    ideal = check_intrinsics(Intrinsics((focal, focal), centre_px, size_px, PINHOLE, None), where)
    reach = farthest_radius(ideal.focal_px, ideal.centre_px, size_px)
    require_negligible("k4", row["k4"], row["k4"] * reach**9 * focal, where)
    lens = brown_lens((row["k1"], row["k2"], row["k3"]), (row["t1"], row["t2"]))
    camera_id = (focal, centre_px, size_px, lens)
    return check_intrinsics(Intrinsics((focal, focal), centre_px, size_px, lens, camera_id), where)
