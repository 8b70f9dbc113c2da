"""Readers of posed datasets; each returns a ``PosedDataset``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.capture.readers.colmap import find_models, read_colmap
from sfumato.capture.readers.masks import with_masks
from sfumato.capture.readers.metashape import find_metashape, read_metashape
from sfumato.capture.readers.opensfm import find_opensfm, read_opensfm
from sfumato.capture.readers.place_rounding import place_rounding, stand_in_one_place
from sfumato.capture.readers.polycam import find_polycam, read_polycam
from sfumato.capture.readers.realityscan import find_realityscan, read_realityscan
from sfumato.capture.readers.record3d import find_record3d, read_record3d
from sfumato.capture.readers.source import Intrinsics, PosedDataset, PosedImage, read_bytes
from sfumato.capture.readers.transforms import find_transforms, read_transforms
from sfumato.errors import CaptureError
from sfumato.maths.rigid import centres_of

__all__ = ["Intrinsics", "PosedDataset", "PosedImage", "holds_cameras", "read_source"]

_log = logging.getLogger("sfumato")


@dataclass(frozen=True)
class _DatasetFormat:
    """A kind of dataset: a function that finds it in a folder (false if there is none), and its reader."""

    name: str
    find: Callable[[Path], Any]
    read: Callable[[Path, Any], PosedDataset]


# The first format found is read: datasets made for training come before exports they were made from.
_KINDS = (
    _DatasetFormat("a COLMAP model", find_models, read_colmap),
    _DatasetFormat("transforms", find_transforms, lambda root, paths: read_transforms(paths)),
    _DatasetFormat("Polycam's raw data", find_polycam, read_polycam),
    _DatasetFormat("an export of Record3D", find_record3d, read_record3d),
    _DatasetFormat("cameras of Metashape", find_metashape, read_metashape),
    _DatasetFormat("a camera table of RealityScan", find_realityscan, read_realityscan),
    _DatasetFormat("a reconstruction of OpenSfM", find_opensfm, read_opensfm),
)
_HINTS = {
    "*.r3d": "{name} is packed; rename it to .zip, unpack it and give the folder",
    "*.zip": "{name} is packed; unpack it and give the folder",
    "*.psx": "{name} is a project of Metashape; write cameras.xml with File > Export > Export Cameras",
    "*.rcproj": "{name} is a project of RealityScan; export 'Internal/External camera parameters' from it",
    "*.rsproj": "{name} is a project of RealityScan; export 'Internal/External camera parameters' from it",
    "cameras.json": "cameras.json of ODM has lenses only; give the project with opensfm/reconstruction.json",
}
# Smallest ratio of the spread of the cameras to the rounding of their positions: a twentieth of a pixel in an
# ordinary photograph of things as far away as that.
_FINE = 8000.0


def read_source(path: Path) -> PosedDataset:
    """Read a dataset of any kind.

    Args:
        path: a dataset folder; or a file in it: transforms, cameras of Metashape, a camera table of
            RealityScan, a reconstruction of OpenSfM or the metadata of Record3D.

    Raises:
        CaptureError: there is none, or it is broken.
    """
    source = _read_file(path) if path.is_file() else _read_folder(path)
    _warn_of_places(source, path)
    return replace(source, frames=with_masks(path if path.is_dir() else path.parent, source.frames))


def holds_cameras(path: Path) -> bool:
    """Whether ``path`` appears to be a posed dataset or a file of cameras; nothing is read."""
    if path.is_dir():
        return any(kind.find(path) for kind in _KINDS)
    return path.suffix.lower() in (".json", ".xml", ".csv") or path.name == "metadata"


def _read_file(path: Path) -> PosedDataset:
    suffix = path.suffix.lower()
    if suffix == ".xml":
        return read_metashape(path.parent, (path,))
    if suffix == ".csv":
        return read_realityscan(path.parent, (path,))
    if path.name in ("metadata.json", "metadata"):
        return read_record3d(path.parent, path)
    if suffix == ".json":
        is_list = read_bytes(path)[:256].decode("utf-8-sig", "ignore").lstrip().startswith("[")
        return read_opensfm(path.parent, path) if is_list else read_transforms((path,))
    if suffix in (".zip", ".r3d"):
        raise CaptureError(f"{path} is packed; unpack it and give the folder")
    raise CaptureError(
        f"{path} is a file that names no cameras; give the folder of a posed dataset; the cameras of videos "
        "and photographs are found by sfumato sfm"
    )


def _read_folder(path: Path) -> PosedDataset:
    if not path.is_dir():
        what = "no folder" if path.exists() else "missing"
        raise CaptureError(f"{path} is {what}; give the folder of a posed dataset")
    found = [(kind, what) for kind in _KINDS if (what := kind.find(path))]
    if found:
        kind, what = found[0]
        if len(found) > 1:
            others = " and ".join(other.name for other, _ in found[1:])
            _log.warning("%s has %s and %s; using %s", path, kind.name, others, kind.name)
        return kind.read(path, what)
    for pattern, hint in _HINTS.items():
        match = next(iter(sorted(path.glob(pattern))), None)
        if match is not None:
            raise CaptureError(f"{path} holds no posed dataset: {hint.format(name=match.name)}")
    raise CaptureError(
        f"{path} holds no posed dataset: no COLMAP model (sparse/0/images.bin or .txt), no transforms.json "
        "or transforms_train.json, and no export of Polycam, Record3D, Metashape, RealityScan or OpenSfM; "
        f"of photographs or videos, sfumato sfm {path} -o DATASET finds the cameras"
    )


def _warn_of_places(source: PosedDataset, path: Path) -> None:
    """Warn of cameras at one position, or of positions that were rounded coarsely."""
    poses = np.stack([frame.camera_from_world for frame in source.frames])
    if len(poses) < 2:
        return
    if stand_in_one_place(poses):
        _log.warning(
            "%s: all cameras stand in one place, from where no depth can be seen; move sideways between "
            "pictures",
            path,
        )
        return
    centres = centres_of(poses)
    spread, rounding = np.linalg.norm(centres - centres.mean(axis=0), axis=1).max(), place_rounding(poses)
    if spread < _FINE * rounding:
        _log.warning(
            "%s: positions of cameras are rounded to about %.2g, which is coarse for their spread of %.2g; "
            "export them in local coordinates, or with more digits",
            path, rounding, spread,
        )  # fmt: skip
