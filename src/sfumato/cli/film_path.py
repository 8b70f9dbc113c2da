"""The camera of every frame of a film, and the scene that `sfumato render` loads."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.capture.natural_order import natural_key
from sfumato.envelope.coverage import trust_by_coverage
from sfumato.envelope.trust import Trust
from sfumato.errors import ConfigError
from sfumato.paths.best_view import orbit_from_view, orbit_of_best_view
from sfumato.paths.frame_renderer import Look
from sfumato.paths.inside import kept_inside
from sfumato.paths.look import Y_DOWN, refitted
from sfumato.paths.orbit import Orbit, orbit_of_cameras
from sfumato.paths.path_files import KeyFrames
from sfumato.paths.spline import along_cameras
from sfumato.paths.view_file import opening_view_of
from sfumato.render.settings import RasterSettings
from sfumato.runs.folder import run_of
from sfumato.scene.cameras import Camera
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import metadata_of
from sfumato.viewer.trusted import read_known_trust

if TYPE_CHECKING:
    from sfumato.cli.render import RenderCommand

_log = logging.getLogger("sfumato")

_DEFAULT_SIZE_PX = (1280, 720)
_DEFAULT_SECONDS = 8.0
_SECONDS_PER_KEY = 2.0


@dataclass(frozen=True)
class FilmedScene:
    """A loaded scene with its cameras and appearance.

    Attributes:
        first: the scene, at its first step if it is dynamic.
        moving: the dynamic scene, or None.
        files: files it was read from.
        look: rendering settings.
        known: names and cameras of its photographs.
        held_out: names of the photographs not used for training.
    """

    first: Gaussians
    moving: DynamicScene | None
    files: tuple[Path, ...]
    look: Look
    known: tuple[tuple[str, Camera], ...]
    held_out: frozenset[str] = frozenset()

    @property
    def trained(self) -> list[Camera]:
        """Cameras used for training."""
        return [camera for name, camera in self.known if name not in self.held_out]


def film_cameras(
    given: RenderCommand,
    source: FilmedScene,
    file_path: KeyFrames | Sequence[Camera] | None,
    size_px: tuple[int, int] | None,
) -> tuple[Camera, ...]:
    """The cameras of all frames, not yet adapted to the output size."""
    if isinstance(file_path, KeyFrames):
        keys = replace(
            file_path, cameras=tuple(refitted(c, size_px or _DEFAULT_SIZE_PX) for c in file_path.cameras)
        )
        return keys.path(_count(given, _length_s(keys)))
    if file_path is not None:
        if given.seconds is not None:
            raise ConfigError(f"{given.path} lists every camera; leave --seconds out, or set --fps")
        return tuple(file_path)
    scene, known = source.first, [camera for _, camera in source.known]
    if given.path == "training":
        if not known:
            raise ConfigError("the training path needs a run folder or --data with the posed photographs")
        return _along_photographs(source, _count(given, _DEFAULT_SECONDS))
    usual_px = size_px or (known[0].size_px if known else _DEFAULT_SIZE_PX)
    orbit = _orbit(given, scene, known)
    count, is_swing = _count(given, _DEFAULT_SECONDS), given.path == "swing"
    if given.path == "auto":
        inside = kept_inside(orbit, source.trained, _trust_of(given, source)) if source.trained else orbit
        if inside is None:
            _log.warning("%s can be trusted only near its photographs: the film follows them", given.scene)
            return _along_photographs(source, count)
        orbit, is_swing = inside, not inside.is_covered
        if is_swing:
            what = "can be trusted" if source.trained else "looks good"
            _log.warning(
                "%s %s from one side: the film swings back and forth; --path orbit gives a full circle",
                given.scene,
                what,
            )
    return (orbit.swing if is_swing else orbit.cameras)(count, usual_px)


def _orbit(given: RenderCommand, scene: Gaussians, known: Sequence[Camera]) -> Orbit:
    """The orbit from the view that was chosen for the scene, at its cameras, or from its best view."""
    up = given.up or metadata_of(scene).up
    view = opening_view_of(given.scene, scene)
    if view is not None:
        return orbit_from_view(scene, view, up or view.up)
    return orbit_of_cameras(known, given.up) if known else orbit_of_best_view(scene, up or Y_DOWN)


def _along_photographs(source: FilmedScene, count: int) -> tuple[Camera, ...]:
    """A path along the photographs, in the order of their names."""
    walked = sorted(source.known, key=lambda one: natural_key(one[0]))
    return along_cameras([camera for _, camera in walked], count)


def _trust_of(given: RenderCommand, source: FilmedScene) -> Trust:
    """The trust measured by `sfumato eval --envelope`, or else estimated from coverage."""
    run = run_of(given.scene)
    if run and not source.moving:
        known = read_known_trust(run.path, source.first, RasterSettings(depth=False))
        if known:
            return known.trust
    return trust_by_coverage(source.first, source.trained)


def _length_s(keys: KeyFrames) -> float:
    if keys.times_s is not None and len(keys.times_s) > 1:
        length = keys.times_s[-1] - keys.times_s[0]
        return length * (len(keys.times_s) / (len(keys.times_s) - 1) if keys.closed else 1.0)
    return _SECONDS_PER_KEY * max(1, len(keys.cameras) - (not keys.closed))


def _count(given: RenderCommand, default_s: float) -> int:
    count = round((default_s if given.seconds is None else given.seconds) * given.fps)
    if count > 99_999:
        raise ConfigError(f"{given.path} lasts {count:,} frames; give a smaller --fps or --seconds")
    return max(1, count)
