"""Reading a multi-view video of any supported layout."""

from __future__ import annotations

import logging
from pathlib import Path

from sfumato.capture.images import read_header
from sfumato.capture.multiview.calibration import RigCalibration, matched
from sfumato.capture.multiview.find_calibration import read_calibration
from sfumato.capture.multiview.frame_folders import (
    TIMES_FILE,
    find_frames,
    foregrounds_of,
    holds_one_camera,
    read_frames,
)
from sfumato.capture.multiview.panoptic import find_panoptic, read_panoptic
from sfumato.capture.multiview.rig_checks import monocular
from sfumato.capture.multiview.rig_source import FRAMES_PER_SECOND, RigSource, SourceCamera
from sfumato.capture.multiview.timed_transforms import read_timed_transforms
from sfumato.capture.natural_order import natural_key
from sfumato.capture.readers import PosedImage
from sfumato.capture.readers.masks import with_masks
from sfumato.errors import CaptureError

_log = logging.getLogger("sfumato")


def read_rig(
    path: Path, fps: float | None, frames: Path | None, calibration: Path | RigCalibration | None
) -> RigSource:
    """Read a multi-view video.

    Args:
        path: dataset folder, or a transforms file.
        fps: frames per second; None: the dataset's.
        frames: folder of the cameras' folders of frames; None: in ``path``.
        calibration: file or folder, or a calibration already read; None: in ``path``.

    Raises:
        CaptureError: there is none, or it is broken.
    """
    if not path.exists():
        raise CaptureError(f"{path} is missing; give the folder of a multi-view video")
    if frames is None and calibration is None:
        if find_panoptic(path):
            return read_panoptic(path, fps)
        timed = read_timed_transforms(path, fps)
        if timed is not None:
            return timed
    folder = find_frames(path) if frames is None else frames
    if folder is None and holds_one_camera(path):
        raise monocular(path)
    if folder is None or not path.is_dir():
        raise CaptureError(
            f"{path} holds no multi-view video: no train_meta.json with ims/ as PanopticSports has them, no "
            "transforms.json with a time for each frame, and no folder of frames for each of several "
            "cameras; sfumato.sequences.load_sequence reads videos"
        )
    return _read_folders(path, folder, fps, path if calibration is None else calibration)


def _read_folders(
    root: Path, folder: Path, fps: float | None, calibrated: Path | RigCalibration
) -> RigSource:
    """Folders of frames with a calibration."""
    if fps is None and not (folder / TIMES_FILE).is_file():
        _log.warning(
            "%s: nothing says how many frames were taken per second; taken as %g: give fps",
            folder, FRAMES_PER_SECOND,
        )  # fmt: skip
    found = {frames.name: frames for frames in read_frames(folder, fps)}
    calibration = read_calibration(calibrated) if isinstance(calibrated, Path) else calibrated
    poses = matched(calibration, list(found))
    cameras = []
    for name, pose in poses.items():
        first = read_header(found[name].paths[0])
        intrinsics = pose.intrinsics(name, first.size_px, f"{calibration.path}: camera {name}")
        images = [
            PosedImage(f"{name}/{path.name}", path, None, pose.camera_from_world, intrinsics, float(time))
            for path, time in zip(found[name].paths, found[name].times, strict=True)
        ]
        cameras.append(SourceCamera(name, with_masks(root, images), foregrounds_of(root, found[name])))
    test = min(poses, key=natural_key) if calibration.first_is_held_out else None
    rule = f"the first camera, as by the convention of {calibration.path.name}"
    return RigSource(
        tuple(cameras), calibration.points, frozenset([test]) if test else None, rule if test else ""
    )
