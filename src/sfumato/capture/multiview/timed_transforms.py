"""``transforms.json`` whose frames have times: several static cameras, identified by their poses."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from sfumato.capture.multiview.frame_folders import FOREGROUND_FOLDERS
from sfumato.capture.multiview.rig_source import RigSource, SourceCamera
from sfumato.capture.natural_order import natural_key
from sfumato.capture.readers import PosedDataset, PosedImage
from sfumato.capture.readers.image_files import PictureFolder
from sfumato.capture.readers.masks import with_masks
from sfumato.capture.readers.transforms import find_transforms, read_transforms
from sfumato.errors import CaptureError

_log = logging.getLogger("sfumato")

# Digits of poses that must agree; files have six or more.
_DIGITS = 5


def read_timed_transforms(path: Path, fps: float | None) -> RigSource | None:
    """Read a transforms file in which each frame has a time; None where frames have none.

    Frames of one pose and lens are one camera. Times are in seconds, unless ``fps`` gives the rate of their
    steps.

    Args:
        path: dataset folder, or the file.
        fps: steps per second.

    Raises:
        CaptureError: as ``read_transforms``.
    """
    root, paths = (path, find_transforms(path)) if path.is_dir() else (path.parent, (path,))
    source = read_transforms(paths) if paths else None
    if source is None or any(frame.time is None for frame in source.frames):
        return None
    if len({frame.time for frame in source.frames}) < 2:
        return None
    frames = with_masks(root, source.frames)
    if fps is not None:
        every = sorted({frame.time or 0.0 for frame in frames})
        frames = tuple(replace(frame, time=every.index(frame.time or 0.0) / fps) for frame in frames)
    groups = _by_camera(frames)
    _refuse_moving(source, groups, path)
    names = _names(groups)
    cameras = tuple(_camera(name, group, root) for name, group in zip(names, groups, strict=True))
    test, rule = _split(source, cameras, path)
    return RigSource(cameras, source.points, test, rule)


def _by_camera(frames: Sequence[PosedImage]) -> list[list[PosedImage]]:
    """Frames of one pose and one lens, in natural order of the first frame's name."""
    scale = max(float(np.abs(frame.camera_from_world[:3, 3]).max()) for frame in frames) or 1.0
    found: dict[object, list[PosedImage]] = {}
    for frame in sorted(frames, key=lambda one: natural_key(one.name)):
        pose = frame.camera_from_world.copy()
        pose[:3, 3] /= scale
        found.setdefault((pose.round(_DIGITS).tobytes(), frame.intrinsics), []).append(frame)
    return list(found.values())


def _refuse_moving(source: PosedDataset, groups: Sequence[Sequence[PosedImage]], path: Path) -> None:
    """Refuse moving cameras, which have a different pose for each frame."""
    test = source.test_names or frozenset()
    together = Counter(frame.time for group in groups for frame in group if frame.name not in test)
    single = sum(len(group) == 1 for group in groups)
    if max(together.values(), default=0) > 1 and single > 0.5 * len(groups):
        raise CaptureError(
            f"{path}: its cameras move: {single} of {len(groups)} poses have one frame only; tracking "
            "needs static cameras"
        )


def _names(groups: Sequence[Sequence[PosedImage]]) -> list[str]:
    """A name for each camera: the folder or file name prefix that only its frames have in common."""
    for depth in range(max(frame.name.count("/") for group in groups for frame in group)):
        parts = [{_part(frame, depth) for frame in group} for group in groups]
        if all(len(part) == 1 for part in parts) and len(set.union(*parts)) == len(groups):
            return [part.pop() for part in parts]
    stems = [
        {PurePosixPath(frame.name).stem.rstrip("0123456789").rstrip("_-. ") for frame in g} for g in groups
    ]
    if all(len(stem) == 1 and all(stem) for stem in stems) and len(set.union(*stems)) == len(groups):
        return [stem.pop() for stem in stems]
    return [str(index) for index in range(len(groups))]


def _part(frame: PosedImage, depth: int) -> str:
    folders = PurePosixPath(frame.name).parts[:-1]
    return folders[depth] if depth < len(folders) else ""


def _camera(name: str, frames: Sequence[PosedImage], root: Path) -> SourceCamera:
    ordered = tuple(sorted(frames, key=lambda frame: frame.time or 0.0))
    folders = [PictureFolder(root / folder) for folder in FOREGROUND_FOLDERS if (root / folder).is_dir()]

    def foreground(frame: PosedImage) -> Path | None:
        # With or without the common folder of all images.
        inside = (frame.name, frame.name.partition("/")[2] or frame.name)
        found = (folder.picture(one, str(folder.folder)) for folder in folders for one in inside)
        return next((path for path in found if path is not None), None)

    return SourceCamera(name, ordered, tuple(map(foreground, ordered)))


def _split(
    source: PosedDataset, cameras: Sequence[SourceCamera], path: Path
) -> tuple[frozenset[str] | None, str]:
    """Cameras whose frames the dataset holds out."""
    if source.test_names is None:
        return None, ""
    held_out = {
        camera.name: sum(frame.name in source.test_names for frame in camera.frames) for camera in cameras
    }
    test = frozenset(camera.name for camera in cameras if held_out[camera.name] == len(camera.frames))
    if any(held_out[camera.name] for camera in cameras if camera.name not in test):
        _log.warning(
            "%s holds out single frames (%s); only whole cameras are held out of videos",
            path,
            source.split_rule,
        )
    return (test, source.split_rule) if test else (None, "")
