"""Multi-view videos from datasets of several layouts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sfumato.capture.cache import ByteCache, default_cache_bytes
from sfumato.capture.dataset import View
from sfumato.capture.multiview.multiview_video import MultiViewVideo, PackedMask, RigCamera
from sfumato.capture.multiview.panoptic import find_panoptic, read_panoptic
from sfumato.capture.multiview.rig_checks import check_rig, held_out
from sfumato.capture.multiview.rig_source import RigSource, SourceCamera
from sfumato.capture.natural_order import natural_key
from sfumato.capture.offset import Offset, near_origin
from sfumato.capture.pixels import PixelPlan, Pixels
from sfumato.capture.points import PointCloud
from sfumato.capture.readers import PosedDataset, PosedImage
from sfumato.capture.view_plans import PlannedView, plan_views
from sfumato.checks import file_path, whole_number
from sfumato.errors import CaptureError, ConfigError

# Of the memory for pictures, so much is for masks, which need a 24th of a picture's.
_MASK_SHARE = 16


def load_multiview(
    path: str | Path,
    *,
    downscale: int = 1,
    test_cameras: Sequence[str] | int | None = None,
    fps: float | None = None,
    cache_bytes: int | None = None,
    seed: int = 0,
) -> MultiViewVideo:
    """Read synchronised videos of cameras that stand still.

    Headers of all pictures are read now, pixels when a view is loaded.

    Args:
        path: dataset folder in the layout of PanopticSports.
        downscale: pictures are made this many times smaller, to floor(size / downscale).
        test_cameras: held out: names of cameras, or N for every Nth camera in the natural order of names
            (0: none); None: those that the dataset itself holds out.
        fps: frames per second, in place of what the dataset says or its layout implies.
        cache_bytes: bound on decoded pictures kept; an eighth of the memory by default.
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
    if cache_bytes is not None:
        whole_number("cache_bytes", cache_bytes)
    source = _read_rig(path, fps)
    check_rig(source, path)
    source = replace(source, cameras=tuple(sorted(source.cameras, key=lambda one: natural_key(one.name))))
    test_names, rule = held_out(source, test_cameras, path)
    plans, points, offset = _planned(source, path, downscale)
    max_bytes = default_cache_bytes() if cache_bytes is None else cache_bytes
    cache: ByteCache[Pixels] = ByteCache(max_bytes)
    masks: ByteCache[PackedMask] = ByteCache(max_bytes // _MASK_SHARE)
    cameras = tuple(
        _camera(camera, index, plans, cache, camera.name in test_names)
        for index, camera in enumerate(source.cameras)
    )
    foregrounds = tuple(_mask_plans(camera, plans) for camera in source.cameras)
    return MultiViewVideo(path, source.times, cameras, points, offset, rule, seed, foregrounds, cache, masks)


def _read_rig(path: Path, fps: float | None) -> RigSource:
    if not path.is_dir():
        what = "no folder" if path.exists() else "missing"
        raise CaptureError(f"{path} is {what}; give the folder of a multi-view video")
    if find_panoptic(path):
        return read_panoptic(path, fps)
    raise CaptureError(
        f"{path} holds no multi-view video: no train_meta.json with ims/ as PanopticSports has them"
    )


def _planned(
    source: RigSource, path: Path, downscale: int
) -> tuple[dict[str, PlannedView], PointCloud | None, Offset]:
    """Plans of all views by name, the points, and the offset by which both were moved."""
    frames = tuple(frame for camera in source.cameras for frame in camera.frames if frame is not None)
    dataset, offset = near_origin(PosedDataset(frames, source.points), path)
    plans = plan_views(dataset.frames, downscale=downscale, alpha_is_mask=True)
    return {plan.name: plan for plan in plans}, dataset.points, offset


def _camera(
    camera: SourceCamera, index: int, plans: dict[str, PlannedView], cache: ByteCache[Pixels], is_test: bool
) -> RigCamera:
    """The camera with its views."""

    def view(frame: PosedImage | None) -> View | None:
        if frame is None:
            return None
        p = plans[frame.name]
        return View(p.name, p.camera, index, p.make, cache, p.original_size_px, p.files, p.time)

    views = tuple(view(frame) for frame in camera.frames)
    there = [view for view in views if view is not None]
    for other in there:
        if other.camera.size_px != there[0].camera.size_px:
            raise CaptureError(
                f"{other.files[0]} is not as large as other frames of camera {camera.name}, such as "
                f"{there[0].files[0].name}; give all frames of a camera in one size"
            )
    return RigCamera(camera.name, there[0].camera, views, is_test)


def _mask_plans(camera: SourceCamera, plans: dict[str, PlannedView]) -> tuple[PixelPlan | None, ...]:
    """How to make the foreground mask of each step."""
    return tuple(
        None if frame is None or mask is None else replace(plans[frame.name].plan, mask_path=mask)
        for frame, mask in zip(camera.frames, camera.foregrounds, strict=True)
    )
