"""The scene to view, with its photographs if available."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from sfumato.capture.dataset import Capture, View
from sfumato.errors import ConfigError, SfumatoError
from sfumato.evaluation.held_out import composited
from sfumato.paths.view_file import opening_view_of
from sfumato.render.png import to_uint8
from sfumato.render.settings import RasterSettings, Settings, is_antialiased
from sfumato.runs.folder import RunFolder, run_of
from sfumato.scene.cameras import Camera
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.files import load
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.opening_view import OpeningView
from sfumato.training.config import TrainConfig
from sfumato.training.render_settings import settings_of
from sfumato.viewer.overlays import facts_of, scores_of
from sfumato.viewer.trusted import KnownTrust, read_known_trust

_log = logging.getLogger("sfumato")


@dataclass(frozen=True)
class Photograph:
    """A camera of the scene, with its photograph.

    Attributes:
        name: unique within the scene.
        camera: pinhole, world frame.
        held_out: not used for training.
        pixels: loads the photograph, uint8 [h, w, 3]; None if there is none.
        psnr, ssim: of the render compared with the photograph; None if not measured.
        pixels_at: for dynamic scenes, loads the photograph of each step; None if there is none.
    """

    name: str
    camera: Camera
    held_out: bool = False
    pixels: Callable[[], np.ndarray] | None = None
    psnr: float | None = None
    ssim: float | None = None
    pixels_at: Sequence[Callable[[], np.ndarray] | None] = ()

    def at(self, step: int) -> Callable[[], np.ndarray] | None:
        """A function that loads the photograph of a step, or of the nearest step that has one."""
        there = [number for number, pixels in enumerate(self.pixels_at) if pixels]
        return self.pixels_at[min(there, key=lambda number: abs(number - step))] if there else self.pixels


@dataclass(frozen=True)
class Subject:
    """A scene to view, with everything the page shows about it.

    Attributes:
        title: title of the page.
        gaussians: the scene.
        photographs: its cameras.
        facts: short statements shown beside the number of Gaussians.
        settings: settings of our own renderer.
        moving: the dynamic scene, if it moves; ``gaussians`` then has the poses of their first step, moving
            Gaussians last.
        trust: trust of the scene, if known.
        view: the view chosen to open with; None: none was chosen.
        chooses_view: without cameras, the first view is chosen by rendering several; otherwise the page shows
            all at once.
    """

    title: str
    gaussians: Gaussians
    photographs: Sequence[Photograph] = ()
    facts: Sequence[str] = ()
    settings: Settings = RasterSettings(depth=False)
    moving: DynamicScene | None = None
    trust: KnownTrust | None = None
    view: OpeningView | None = None
    chooses_view: bool = True

    @property
    def is_antialiased(self) -> bool:
        """Whether the scene is rendered with anti-aliasing."""
        return is_antialiased(self.settings, self.gaussians)


def photographs_of(
    capture: Capture, scores: Mapping[str, tuple[float, float | None]] | None = None
) -> list[Photograph]:
    """The photographs of a dataset, sorted by name.

    Args:
        capture: the dataset.
        scores: PSNR and SSIM by name, where measured.
    """
    background = capture.render_background
    return [
        Photograph(
            view.name,
            view.camera,
            view.name in capture.test_names,
            partial(view_pixels, view, background),
            *(scores or {}).get(view.name, (None, None)),
        )
        for view in capture.views
    ]


def view_pixels(view: View, background: tuple[float, float, float]) -> np.ndarray:
    """The photograph of a view, uint8 [h, w, 3], composited over a background."""
    pixels = view.load()
    return pixels.rgb if pixels.alpha is None else to_uint8(composited(pixels, background))


def open_subject(path: Path, *, data: Path | None = None, repair: bool = False) -> Subject:
    """Open a run folder or a scene file.

    Args:
        path: run folder, or a file that ``sfumato.load`` reads; the ``scene.ply`` of a run opens that run.
        data: the run's dataset, if it was moved.
        repair: as in ``sfumato.load``.

    Returns:
        The scene. If a run's dataset is missing, it has no cameras and a warning is logged.

    Raises:
        ConfigError: the path does not exist, the folder is not a run or has no scene yet, or a dataset is
            given for a scene file.
        FormatError: the scene cannot be read.
    """
    if not path.exists():
        raise ConfigError(f"{path} is missing; give a run folder or a scene file")
    if not path.is_dir() and not run_of(path):
        if data is not None:
            raise ConfigError(f"{path} is a scene file, which has no dataset; --data is for run folders")
        return subject_of_file(path, path.name, load(path, repair=repair))
    folder = RunFolder(path if path.is_dir() else path.parent)
    options = folder.read_options()
    if not folder.scene.is_file():
        raise ConfigError(f"{path} has no {folder.scene.name} yet; wait for the run's first checkpoint")
    gaussians = load(folder.scene, repair=repair)
    try:
        capture = options.read_capture(data)
    except SfumatoError as error:
        _log.warning("shown without cameras: %s", error)
        capture = None
    return subject_of_run(folder, gaussians, options.train, capture)


def subject_of_file(
    path: Path, title: str, gaussians: Gaussians, photographs: Sequence[Photograph] = ()
) -> Subject:
    """The scene of a file; one in a run folder comes with its trust.

    Args:
        path: the file.
        title: title of the page.
        gaussians: the Gaussians read from it.
        photographs: cameras and photographs.
    """
    subject = Subject(title, gaussians, photographs, view=opening_view_of(path, gaussians))
    if path.name != RunFolder(path.parent).scene.name:
        return subject
    return replace(subject, trust=read_known_trust(path.parent, gaussians, subject.settings))


def subject_of_run(
    folder: RunFolder, gaussians: Gaussians, config: TrainConfig, capture: Capture | None
) -> Subject:
    """The scene of a run.

    Args:
        folder: run folder, for its name and metrics.
        gaussians: its Gaussians.
        config: its training configuration.
        capture: its dataset; None: missing.
    """
    metrics = folder.read_metrics()
    settings = settings_of(config, capture.render_background) if capture else settings_of(config)
    return Subject(
        folder.path.resolve().name,
        gaussians,
        photographs_of(capture, scores_of(metrics)) if capture else (),
        facts_of(metrics),
        settings,
        trust=read_known_trust(folder.path, gaussians, settings),
        view=opening_view_of(folder.path, gaussians),
    )
