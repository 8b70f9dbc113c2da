"""Multi-view videos from datasets of several layouts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from sfumato.capture.cache import ByteCache, default_cache_bytes
from sfumato.capture.dataset import View
from sfumato.capture.multiview.calibration import RigCalibration
from sfumato.capture.multiview.frame_checks import check_masks, without_black_frames
from sfumato.capture.multiview.motion_offsets import estimated_offsets
from sfumato.capture.multiview.multiview_video import MultiViewVideo, PackedMask, RigCamera
from sfumato.capture.multiview.read_rig import read_rig
from sfumato.capture.multiview.rig_checks import LEAST_CAMERAS, check_rig, held_out, monocular
from sfumato.capture.multiview.rig_source import RigSource, SourceCamera
from sfumato.capture.multiview.synchronise import Steps, frame_times, seconds_of, steps_of
from sfumato.capture.natural_order import natural_key
from sfumato.capture.offset import Offset, near_origin
from sfumato.capture.pixels import Pixels
from sfumato.capture.points import PointCloud
from sfumato.capture.readers import PosedDataset
from sfumato.capture.view_plans import PlannedView, plan_views
from sfumato.checks import file_path, whole_number
from sfumato.errors import CaptureError, ConfigError

# The cache of masks, which need a 24th of a picture's memory, is this many times smaller.
_MASK_SHARE = 16


def load_multiview(
    path: str | Path,
    *,
    downscale: int = 1,
    test_cameras: Sequence[str] | int | None = None,
    fps: float | None = None,
    offsets: Mapping[str, float | str] | Literal["auto"] | None = None,
    frames: str | Path | None = None,
    calibration: str | Path | RigCalibration | None = None,
    seed: int = 0,
) -> MultiViewVideo:
    """Read synchronised videos of static cameras, as frames.

    Headers of all pictures are read now, pixels when a view is loaded.

    Args:
        path: dataset folder: in the layout of PanopticSports, with a ``transforms.json`` whose frames have
            times, or with a folder of frames for each camera and a calibration.
        downscale: factor by which pictures are downscaled, to floor(size / downscale).
        test_cameras: held out: names of cameras, or N for every Nth camera in the natural order of names
            (0: none); None: those that the dataset itself holds out.
        fps: frames per second, overriding the dataset's.
        offsets: for unsynchronised cameras, what to add to the times of a camera, in seconds (0.25) or
            in its own frames ("3f"); "auto": estimated from motion, which decodes all frames.
        frames: the folder with a folder of frames for each camera, if it is not in ``path``.
        calibration: the file or folder of the calibration, or a calibration already read, if it is not in
            ``path``.
        seed: of random points, for a dataset without points.

    Returns:
        The video.

    Raises:
        CaptureError: a file is missing, broken or contradicts another; there are fewer than two cameras; a
            camera moves.
        ConfigError: an option is out of range.
    """
    path = file_path("path", path)
    downscale = whole_number("downscale", downscale, least=1)
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise ConfigError(f"fps is {fps}; give frames per second, more than 0")
    if isinstance(calibration, str):
        calibration = Path(calibration)
    source = read_rig(path, fps, None if frames is None else Path(frames), calibration)
    source = _checked(source, path)
    test_names, rule = held_out(source, test_cameras, path)
    check_masks([camera for camera in source.cameras if camera.name not in test_names], path)
    if isinstance(offsets, str):
        if offsets != "auto":
            raise ConfigError(f'offsets is {offsets!r}; give "auto", or seconds by the name of the camera')
        offsets = estimated_offsets(source.cameras, path)
    steps = _steps(source, seconds_of(offsets or {}, source.cameras, path), test_names, path)
    plans, points, offset = _planned(source, path, downscale)
    cache: ByteCache[Pixels] = ByteCache(default_cache_bytes())
    masks: ByteCache[PackedMask] = ByteCache(cache.max_bytes // _MASK_SHARE)
    shown = list(zip(source.cameras, steps.frames, strict=True))
    cameras = tuple(
        _camera(camera, index, [plans[camera.frames[i].name] if i >= 0 else None for i in at], steps, cache)
        for index, (camera, at) in enumerate(shown)
    )
    cameras = tuple(replace(camera, is_test=camera.name in test_names) for camera in cameras)
    foregrounds = tuple(
        tuple(
            replace(plans[camera.frames[i].name].plan, mask_path=camera.foregrounds[i])
            if i >= 0 and camera.foregrounds[i]
            else None
            for i in at
        )
        for camera, at in shown
    )
    times = tuple(steps.times.tolist())
    return MultiViewVideo(path, times, cameras, points, offset, rule, seed, foregrounds, cache, masks)


def _checked(source: RigSource, path: Path) -> RigSource:
    """The source with cameras in natural order and without black frames."""
    cameras = tuple(
        without_black_frames(camera, path)
        for camera in sorted(source.cameras, key=lambda one: natural_key(one.name))
    )
    source = replace(source, cameras=cameras)
    check_rig(source, path)
    return source


def _steps(source: RigSource, offsets: Mapping[str, float], test: frozenset[str], path: Path) -> Steps:
    """Steps at which some training camera has a picture; at least two must have one at some step."""
    names = [camera.name for camera in source.cameras]
    steps = steps_of(names, [frame_times(camera) + offsets[camera.name] for camera in source.cameras], path)
    there = np.stack([at >= 0 for name, at in zip(names, steps.frames, strict=True) if name not in test])
    if there.sum(axis=0).max() < LEAST_CAMERAS:
        raise monocular(path)
    kept = there.any(axis=0)
    return Steps(steps.times[kept], tuple(at[kept] for at in steps.frames))


def _planned(
    source: RigSource, path: Path, downscale: int
) -> tuple[dict[str, PlannedView], PointCloud | None, Offset]:
    """Plans of all views by name, the points, and the offset by which both were moved."""
    frames = tuple(frame for camera in source.cameras for frame in camera.frames)
    dataset, offset = near_origin(PosedDataset(frames, source.points), path)
    plans = plan_views(dataset.frames, downscale=downscale, alpha_is_mask=True)
    return {plan.name: plan for plan in plans}, dataset.points, offset


def _camera(
    camera: SourceCamera,
    index: int,
    plans: Sequence[PlannedView | None],
    steps: Steps,
    cache: ByteCache[Pixels],
) -> RigCamera:
    """The camera with its views, marked as a training camera."""
    there = [plan for plan in plans if plan is not None]
    for other in there:
        if other.camera.size_px != there[0].camera.size_px:
            raise CaptureError(
                f"{other.files[0]} is not as large as other frames of camera {camera.name}, such as "
                f"{there[0].files[0].name}; give all frames of a camera in one size"
            )
    views = tuple(
        None
        if p is None
        else View(p.name, p.camera, index, p.make, cache, p.original_size_px, p.files, float(time))
        for p, time in zip(plans, steps.times, strict=True)
    )
    return RigCamera(camera.name, there[0].camera, views, is_test=False)
