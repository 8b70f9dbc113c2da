"""Checks of multi-view videos, and the choice of held-out cameras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sfumato.capture.multiview.rig_source import RigSource
from sfumato.capture.natural_order import natural_key
from sfumato.checks import whole_number
from sfumato.errors import CaptureError, ConfigError
from sfumato.maths.rigid import centres_of

# Tolerance for rounding of the poses of one camera: of the rotation, and of the position relative to the rig.
_SAME_ROTATION, _SAME_PLACE = 1e-4, 1e-4
LEAST_CAMERAS = 2
_MOST_LISTED = 12


def check_rig(source: RigSource, path: Path) -> None:
    """Refuse single cameras, cameras without pictures, and cameras that move.

    Args:
        source: as read.
        path: of the dataset, for messages.

    Raises:
        CaptureError: one of these is the case.
    """
    empty = [camera.name for camera in source.cameras if not camera.frames]
    if len(empty) == len(source.cameras):
        raise CaptureError(f"{path}: none of its {len(empty)} cameras has a picture")
    if empty:
        raise CaptureError(f"{path}: camera {empty[0]} has no picture at any step; remove it")
    if len(source.cameras) < LEAST_CAMERAS:
        raise monocular(path)
    _check_that_cameras_stand_still(source, path)


def monocular(path: Path) -> CaptureError:
    """The error for a video of one camera.

    Args:
        path: of the dataset.
    """
    return CaptureError(
        f"{path} is monocular: with one view of each moment, motion cannot be told from depth; give videos "
        f"of at least {LEAST_CAMERAS} cameras to train on that stand still and film at the same time"
    )


def _check_that_cameras_stand_still(source: RigSource, path: Path) -> None:
    poses = [np.stack([frame.camera_from_world for frame in camera.frames]) for camera in source.cameras]
    centres = [centres_of(pose) for pose in poses]
    first = np.stack([places[0] for places in centres])
    size = np.linalg.norm(first - first.mean(axis=0), axis=1).max()
    for camera, pose, places in zip(source.cameras, poses, centres, strict=True):
        turned = np.abs(pose[:, :3, :3] - pose[0, :3, :3]).max()
        moved = np.linalg.norm(places - places[0], axis=1).max()
        lenses = {frame.intrinsics for frame in camera.frames}
        if turned > _SAME_ROTATION or moved > _SAME_PLACE * size or len(lenses) > 1:
            what = "changes its lens" if len(lenses) > 1 else "moves"
            raise CaptureError(
                f"{path}: camera {camera.name} {what} during the video; tracking needs static cameras "
                "with a constant lens: leave it out"
            )


def held_out(
    source: RigSource, test_cameras: Sequence[str] | int | None, path: Path
) -> tuple[frozenset[str], str]:
    """Names of the cameras to hold out, and a description of the rule.

    Args:
        source: as read, its cameras in natural order.
        test_cameras: names; N for every Nth camera, 0 for none; None for the dataset's own choice.
        path: of the dataset, for messages.

    Raises:
        CaptureError: too few cameras are left to train on.
        ConfigError: there is no such camera, or the number is out of range.
    """
    names = [camera.name for camera in source.cameras]
    if test_cameras is None:
        test, rule = source.test_cameras or frozenset(), source.split_rule
    elif isinstance(test_cameras, int):
        every = whole_number("test_cameras", test_cameras)
        test = frozenset(names[::every]) if every else frozenset()
        rule = f"every {({2: '2nd', 3: '3rd'}).get(every, f'{every}th')} camera, in natural order"
    else:
        wanted = [test_cameras] if isinstance(test_cameras, str) else list(test_cameras)
        _refuse_unknown(wanted, names, path)
        test = frozenset(wanted)
        rule = f"cameras {', '.join(name for name in names if name in test)}"
    if len(names) - len(test) < LEAST_CAMERAS:
        raise CaptureError(
            f"{path}: {len(test)} of {len(names)} cameras are held out; leave at least "
            f"{LEAST_CAMERAS} to train on"
        )
    return test, rule if test else "none"


def _refuse_unknown(wanted: Sequence[str], names: Sequence[str], path: Path) -> None:
    unknown = next((name for name in wanted if name not in names), None)
    if unknown is not None:
        listed = ", ".join(sorted(names, key=natural_key)[:_MOST_LISTED])
        raise ConfigError(
            f"test_cameras names {unknown!r}; {path} has the cameras {listed}"
            + (f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else "")
        )
