"""Calibration of a static rig by structure from motion on one frame of each camera."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from sfumato.capture.multiview.calibration import CalibratedCamera, RigCalibration
from sfumato.capture.readers.colmap import find_models, read_colmap_cameras
from sfumato.capture.readers.colmap_models import split_params
from sfumato.display import Display
from sfumato.errors import CaptureError
from sfumato.footage import FrameOptions
from sfumato.json_files import read_json
from sfumato.sfm.config import SfmConfig
from sfumato.sfm.pipeline import structure_from_motion

LEAST_CAMERAS = 3
"""Two pictures without calibration do not determine the focal lengths reliably."""

_MOST_BYTES = 64 << 20


def calibrate(firsts: Mapping[str, Path], work: Path, seed: int, display: Display) -> RigCalibration:
    """Find the cameras of a rig from one frame of each.

    Frames of equal size share intrinsics, assuming cameras of the same model.

    Args:
        firsts: a frame of each camera, all at one time or of a mostly static scene.
        work: folder of the frames and their reconstruction, which is reused if the frames are unchanged.
        seed: of structure from motion.
        display: where progress is shown.

    Returns:
        The registered cameras, before undistortion, and the points.

    Raises:
        CaptureError: there are fewer than three cameras, or reconstruction failed.
    """
    if len(firsts) < LEAST_CAMERAS:
        raise CaptureError(
            f"{len(firsts)} cameras without a calibration cannot be calibrated from their pictures: at least "
            f"{LEAST_CAMERAS} can; give their calibration"
        )
    pictures, out = work / "first_frames", work / "calibration"
    _gather(firsts, pictures)
    options = FrameOptions(keep_duplicates=True)
    structure_from_motion([pictures], out, SfmConfig(seed=seed, pairs="exhaustive"), options, display=display)
    return calibration_of(out)


def calibration_of(out: Path) -> RigCalibration:
    """The cameras of a structure-from-motion dataset, before undistortion.

    Args:
        out: folder of the dataset; pictures are named after the cameras.
    """
    posed, points = read_colmap_cameras(out, find_models(out))
    found: Any = read_json(out / "sfm.json", _MOST_BYTES)
    lenses = {camera["id"]: camera for camera in found["cameras"]}
    cameras = []
    for name, camera_from_world, written in posed:
        camera = lenses[written.camera_id]
        focal_px, centre_px, lens = split_params(camera["model"], tuple(camera["params"]), str(out))
        width, height = camera["size_px"]
        stem = PurePosixPath(name).stem
        cameras.append(
            CalibratedCamera((stem,), camera_from_world, focal_px, centre_px, (width, height), lens)
        )
    return RigCalibration(out, tuple(cameras), points)


def _gather(firsts: Mapping[str, Path], folder: Path) -> None:
    """Copy one picture of each camera, named after it; unchanged ones are not copied again."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {f"{name}{path.suffix.lower()}": path for name, path in firsts.items()}
    for old in folder.iterdir():
        if old.name not in wanted:
            old.unlink()
    for name, path in wanted.items():
        target = folder / name
        if not target.is_file() or target.stat().st_mtime_ns != os.stat(path).st_mtime_ns:
            shutil.copy2(path, target)
