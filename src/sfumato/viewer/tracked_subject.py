"""The dynamic scene to view, with the photographs of its cameras at each step."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from sfumato.capture.multiview import MultiViewVideo
from sfumato.errors import ConfigError, SfumatoError
from sfumato.paths.view_file import opening_view_of
from sfumato.render.settings import RasterSettings
from sfumato.runs.track_folder import TrackFolder, load_tracked
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.files.dynamic_files import holds_motion
from sfumato.sequences import load_sequence
from sfumato.tracking.track_state import default_settings
from sfumato.viewer.overlays import facts_of
from sfumato.viewer.subject import Photograph, Subject, open_subject, view_pixels

_log = logging.getLogger("sfumato")


def is_moving(path: Path) -> bool:
    """Whether a path is a tracked run or a file of a dynamic scene."""
    return holds_motion(path) or (path.is_dir() and TrackFolder(path).is_tracked())


def open_any(path: Path, *, data: Path | None = None, repair: bool = False) -> Subject:
    """Open a run, a scene file, or a dynamic scene.

    Args:
        path: as in ``open_subject`` and ``open_moving``.
        data: the dataset of the run, if it was moved.
        repair: as in ``sfumato.load``.

    Raises:
        SfumatoError: as in these two; or repair is requested for a dynamic scene.
    """
    if not is_moving(path):
        return open_subject(path, data=data, repair=repair)
    if repair:
        raise ConfigError(f"{path} is dynamic; --repair is for static scene files")
    return open_moving(path, data=data)


def open_moving(path: Path, *, data: Path | None = None) -> Subject:
    """Open a tracked run, or a file or folder of a dynamic scene.

    Args:
        path: path of the run, file or folder.
        data: the run's multi-view video, if it was moved.

    Returns:
        The scene. If a run's video is missing, it has no cameras and a warning is logged.

    Raises:
        ConfigError: the run has no tracks yet, or a video is given for a scene that is not a run.
        FormatError: the scene cannot be read.
    """
    folder = TrackFolder(path)
    if not (path.is_dir() and folder.is_tracked()):
        if data is not None:
            raise ConfigError(f"{path} is not a run, so it has no dataset; --data is for run folders")
        scene = load_tracked(path)
        return replace(moving_subject(path.name, scene), view=opening_view_of(path, scene.gaussians))
    if not folder.tracks.is_file():
        raise ConfigError(f"{path} has no {folder.tracks.name} yet; wait until it is tracked")
    scene = load_tracked(path)
    try:
        video = _read_video(folder, data)
    except SfumatoError as error:
        _log.warning("shown without cameras: %s", error)
        video = None
    return subject_of_tracked(folder, scene, video)


def _read_video(folder: TrackFolder, data: Path | None) -> MultiViewVideo:
    options = folder.read_options()
    given = options.sequence
    return load_sequence(
        data or options.data,
        work=folder.work,
        downscale=given.downscale,
        test_cameras=given.test_cameras,
        seed=options.track.seed,
    )


def subject_of_tracked(folder: TrackFolder, scene: DynamicScene, video: MultiViewVideo | None) -> Subject:
    """The scene of a tracked run.

    Args:
        folder: run folder, for its name and metrics.
        scene: the dynamic scene.
        video: the tracked video; None: missing.
    """
    facts = facts_of(folder.read_metrics())
    subject = moving_subject(folder.path.resolve().name, scene, video, facts)
    return replace(subject, view=opening_view_of(folder.path, scene.gaussians))


def moving_subject(
    title: str,
    scene: DynamicScene,
    video: MultiViewVideo | None = None,
    facts: Sequence[str] = (),
    *,
    steps: int | None = None,
) -> Subject:
    """A dynamic scene to view, static Gaussians before moving ones.

    Args:
        title: title of the page.
        scene: the dynamic scene.
        video: the video with the photographs of its cameras, or None.
        facts: short statements shown beside the number of Gaussians.
        steps: number of steps with photographs; None: the number of steps of the scene.
    """
    ordered = still_first(scene)
    settings = (
        default_settings(scene.gaussians, video.train_cameras) if video else RasterSettings(depth=False)
    )
    return Subject(
        title,
        ordered.gaussians,
        photographs_of_rig(video, steps or scene.num_steps) if video else (),
        facts,
        settings,
        ordered if len(scene.ids) else None,
    )


def still_first(scene: DynamicScene) -> DynamicScene:
    """The scene with static Gaussians before moving ones, each with the pose of its first step."""
    moves = torch.zeros(len(scene), dtype=torch.bool, device=scene.ids.device)
    moves[scene.ids] = True
    order = torch.cat([(~moves).nonzero()[:, 0], scene.ids])
    ids = torch.arange(len(scene) - len(scene.ids), len(scene), device=scene.ids.device)
    return replace(scene, gaussians=scene.at_birth().select(order), ids=ids)


def photographs_of_rig(video: MultiViewVideo, steps: int) -> list[Photograph]:
    """The cameras of a multi-view video, with their photographs at each of the first ``steps`` steps."""
    background = RasterSettings().background
    found = []
    for camera in video.cameras:
        views = camera.views[:steps]
        pixels = [partial(view_pixels, view, background) if view else None for view in views]
        first = next((one for one in pixels if one), None)
        found.append(Photograph(camera.name, camera.camera, camera.is_test, first, pixels_at=pixels))
    return found
