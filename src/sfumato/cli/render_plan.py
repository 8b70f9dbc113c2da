"""The scene and the camera of every frame, from the arguments of `sfumato render`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import radians, tan
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.capture.dataset import Capture, load_capture
from sfumato.cli.arguments import close_to
from sfumato.cli.film_path import FilmedScene, film_cameras
from sfumato.cli.scene_files import scene_file
from sfumato.errors import CaptureError, ConfigError
from sfumato.ops.backend import device_named
from sfumato.paths.frame_renderer import Look
from sfumato.paths.look import field_of_view_deg, refitted
from sfumato.paths.path_files import KeyFrames, read_path
from sfumato.paths.video_writer import even
from sfumato.render.insert import Insert
from sfumato.render.meshes import read_mesh
from sfumato.render.settings import TraceSettings, settings_for
from sfumato.runs.folder import run_of
from sfumato.scene.cameras import Camera
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.dynamic_changes import check_within
from sfumato.scene.files import load
from sfumato.scene.files.dynamic_files import files_of, holds_motion, load_dynamic
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import metadata_of
from sfumato.viewer.tracked_subject import open_moving

if TYPE_CHECKING:
    from sfumato.cli.render import Inserted, RenderCommand

_log = logging.getLogger("sfumato")

_DEFAULT_HEIGHT_PX = 1080
_WORDS = ("auto", "orbit", "swing", "training")


@dataclass(frozen=True)
class RenderPlan:
    """The inputs of a render.

    Attributes:
        scene_of: returns the Gaussians of a frame, by frame number.
        scene_files: files they come from.
        cameras: one per frame, all of the same size.
        look: background and filter.
        fps: frames per second.
        times: of a dynamic scene, the time of each frame, seconds.
    """

    scene_of: Callable[[int], Gaussians]
    scene_files: tuple[Path, ...]
    cameras: tuple[Camera, ...]
    look: Look
    fps: float
    times: tuple[float, ...] = ()


def plan_of(given: RenderCommand, is_video: bool) -> RenderPlan:
    """Read the inputs and plan the frames.

    Args:
        given: the arguments.
        is_video: whether width and height have to be even.

    Raises:
        SfumatoError: a file is missing or broken, or the arguments contradict each other.
    """
    size_px = given.size_px
    _check_used(given)
    device = device_named(given.device)
    file_path = _read_path(given.path) if given.path not in _WORDS else None
    source = (_moving_source if holds_motion(given.scene) else _still_source)(given, file_path is None)
    if not len(source.first):
        raise ConfigError(f"{given.scene} holds no Gaussians; there is nothing to render")
    look = source.look
    is_traced = isinstance(look.settings, TraceSettings)
    if is_traced and metadata_of(source.first).antialiased and not given.no_antialiased:
        _log.warning("%s is made for anti-aliased rendering, which the ray tracer does not know", given.scene)
    if given.inserts:
        look = replace(look, inserts=tuple(_insert(what) for what in given.inserts))
    cameras = film_cameras(given, source, file_path, size_px)
    if given.fov is not None:
        cameras = tuple(_with_fov(camera, given.fov) for camera in cameras)
    size_px = size_px or _usual(cameras[0].size_px)
    if is_video:
        size_px = even(size_px)
    cameras = tuple(refitted(camera, size_px) for camera in cameras)
    if source.moving is None:
        still = source.first.to(device)
        return RenderPlan(lambda number: still, source.files, cameras, look, given.fps)
    moving, times = source.moving, _times(given, source.moving, len(cameras))
    return RenderPlan(
        lambda number: moving.at(times[number]).to(device), source.files, cameras, look, given.fps, times
    )


def _still_source(given: RenderCommand, with_cameras: bool) -> FilmedScene:
    for option, value in (("at", given.at), ("time-from", given.time_from), ("time-to", given.time_to)):
        if value is not None:
            raise ConfigError(f"--{option} is for dynamic scenes, and {given.scene} is static")
    path = scene_file(given.scene)
    scene = load(path, repair=given.repair)
    look, capture = _look_and_capture(given, with_cameras=with_cameras)
    known = tuple((view.name, view.camera) for view in capture.views) if capture else ()
    return FilmedScene(scene, None, (path,), look, known, capture.test_names if capture else frozenset())


def _moving_source(given: RenderCommand, with_cameras: bool) -> FilmedScene:
    if given.repair:
        raise ConfigError(f"--repair is for static scenes; {given.scene} is dynamic")
    # Uses the cameras of the viewer, and its near plane, which hides their housings.
    subject = open_moving(given.scene, data=given.data)
    scene = subject.moving or load_dynamic(given.scene)
    filtered = False if given.no_antialiased else given.antialiased or None
    renderer = given.renderer or ("trace" if given.insert else "raster")
    settings = settings_for(renderer, antialiased=filtered, near=subject.settings.near)
    if given.background is not None:
        settings = replace(settings, background=given.background)
    known = tuple((one.name, one.camera) for one in subject.photographs) if with_cameras else ()
    first = scene.at(float(scene.times[0]))
    return FilmedScene(first, scene, files_of(given.scene), Look(settings), known)


def _times(given: RenderCommand, scene: DynamicScene, count: int) -> tuple[float, ...]:
    """The time of each frame, seconds."""
    first, last = (float(scene.times[i]) for i in (0, -1))
    start = given.at if given.at is not None else first if given.time_from is None else given.time_from
    end = given.at if given.at is not None else last if given.time_to is None else given.time_to
    check_within(scene, start, end)
    return tuple(start + (end - start) * number / max(1, count - 1) for number in range(count))


def _read_path(path: str) -> KeyFrames | tuple[Camera, ...]:
    if not Path(path).is_file():
        meant = close_to(path, _WORDS)
        hint = f"; perhaps you meant {meant}" if meant else ""
        raise ConfigError(
            f"--path is {path!r}, which is not a file{hint}; give {', '.join(_WORDS)}, or a JSON file of "
            "key-frames or cameras"
        )
    return read_path(Path(path))


def _insert(what: Inserted) -> Insert:
    vertices, faces = read_mesh(what.file, scale=what.scale, at=what.at)
    return Insert(vertices, faces, what.material)


def _check_used(given: RenderCommand) -> None:
    """Refuse options that the path does not use."""
    if given.up is not None and given.path not in ("auto", "orbit", "swing"):
        raise ConfigError(f"--up is for orbits; leave it out with --path {given.path}")
    if given.data is not None and given.path not in _WORDS:
        raise ConfigError(f"--data is for paths along cameras; leave it out with --path {given.path}")


def _look_and_capture(given: RenderCommand, *, with_cameras: bool) -> tuple[Look, Capture | None]:
    """Rendering settings of the scene, and its dataset if needed and available."""
    requested = given.renderer or ("trace" if given.insert else None)
    filtered = False if given.no_antialiased else given.antialiased or None
    settings, capture = settings_for(requested or "raster", antialiased=filtered), None
    run = run_of(given.scene)
    if run:
        options = run.read_options()
        renderer = requested or options.train.renderer
        if filtered is None and options.train.antialiased and renderer != "trace":
            filtered = True
        background = options.capture.background or settings.background
        settings = settings_for(renderer, antialiased=filtered, background=background)
        if with_cameras:
            try:
                capture = options.read_capture(given.data)
            except CaptureError:
                if given.data is not None or given.path == "training":
                    raise
                _log.warning("the dataset of %s is not where it was; --data says where it is", given.scene)
    elif given.data is not None and with_cameras:
        capture = load_capture(given.data)
    if capture is not None and capture.background is not None:
        settings = replace(settings, background=capture.background)
    if given.background is not None:
        settings = replace(settings, background=given.background)
    return Look(settings), capture


def _usual(size_px: tuple[int, int]) -> tuple[int, int]:
    """The size, reduced to the usual height of videos if it is larger."""
    scale = min(1.0, _DEFAULT_HEIGHT_PX / size_px[1])
    return max(1, round(size_px[0] * scale)), max(1, round(size_px[1] * scale))


def _with_fov(camera: Camera, fov_deg: float) -> Camera:
    zoom = tan(radians(field_of_view_deg(camera)) / 2) / tan(radians(fov_deg) / 2)
    return replace(camera, focal_px=(camera.focal_px[0] * zoom, camera.focal_px[1] * zoom))
