"""Pages of commands: served until Ctrl-C, live during a run, and written into the run folder."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.display import Display
from sfumato.errors import SfumatoError

if TYPE_CHECKING:
    from typing_extensions import Self

    from sfumato.capture.dataset import Capture
    from sfumato.capture.multiview import MultiViewVideo
    from sfumato.runs.folder import RunFolder
    from sfumato.runs.run import RunResult
    from sfumato.runs.run_options import RunOptions
    from sfumato.runs.track_folder import TrackFolder
    from sfumato.runs.track_run import StepWatch, TrackResult, TrackWatch
    from sfumato.scene.gaussians import Gaussians
    from sfumato.training.config import TrainConfig
    from sfumato.training.loop import Callback
    from sfumato.viewer.live import LiveTraining
    from sfumato.viewer.live_tracking import LiveTracking
    from sfumato.viewer.server import PageServer
    from sfumato.viewer.subject import Subject

_log = logging.getLogger("sfumato")


class TrainingViewer:
    """A context in which a training run can be watched in the browser.

    ``watch`` is the argument for ``run_training``, or None.

    Args:
        run: the run folder.
        display: prints the address.
        wanted: whether to serve the page at all.
    """

    def __init__(self, run: Path, display: Display, *, wanted: bool) -> None:
        self._run, self._display = run, display
        self._server: PageServer | None = None
        self._live: LiveTraining | None = None
        self._is_announced, self._title = False, run.resolve().name
        self.watch: Callable[[Capture, RunOptions], Callback] | None = self._watch if wanted else None

    def __enter__(self) -> Self:
        if self.watch:
            from sfumato.viewer.server import PageServer

            self._server = PageServer().__enter__()
        return self

    def __exit__(self, *ended: object) -> None:
        if self._server:
            self._server.__exit__(*ended)

    def _watch(self, capture: Capture, options: RunOptions) -> Callback:
        from sfumato.viewer.live import LiveTraining

        assert self._server is not None
        self._live = LiveTraining(
            self._server, self._run, capture, options.train, self._ready, title=self._title
        )
        return self._live

    def _ready(self) -> None:
        assert self._server is not None
        if not self._is_announced:
            self._is_announced = True
            self._display.say(f"the run can be watched at {self._server.url}")
            self._server.open_browser()

    def finish(self, result: RunResult) -> None:
        """Show how the run ended."""
        if self._live:
            self._live.finish("stopped" if result.stopped_by else "done", result.state.gaussians)

    def offer(self, page: Path) -> None:
        """Let the browsers that watched open the finished page of the run."""
        if self._live:
            self._live.offer_page(page)


class TrackingViewer(TrainingViewer):
    """The same for a tracking run: first the training of its first step, then its time steps."""

    def __init__(self, folder: TrackFolder, display: Display, *, wanted: bool) -> None:
        super().__init__(folder.first, display, wanted=wanted)
        self._title = folder.path.resolve().name
        self._tracking: LiveTracking | None = None
        self.whole: TrackWatch | None = self if wanted else None

    def first_step(self, capture: Capture, options: RunOptions) -> Callback:
        """The callback with which the training of the first step is watched."""
        return self._watch(capture, options)

    def steps(self, video: MultiViewVideo, count: int) -> StepWatch:
        """The callback with which the time steps are watched; pages that watched the training switch over."""
        from sfumato.viewer.live_tracking import LiveTracking

        assert self._server is not None
        self._tracking = LiveTracking(self._server, self._title, video, count, self._switch_to_tracking)
        return self._tracking

    def _switch_to_tracking(self) -> None:
        if self._live:
            self._live.hand_over()
        self._ready()

    def end(self, result: TrackResult) -> None:
        """Show how the run ended."""
        if self._tracking:
            self._tracking.finish("stopped" if result.stopped_by else "done", result.scene)

    def offer(self, page: Path) -> None:
        """Let the browsers that watched open the finished page of the run."""
        if self._tracking:
            self._tracking.offer_page(page)


def serve(server: PageServer, title: object, display: Display, *, with_browser: bool) -> None:
    """Serve a page until Ctrl-C.

    Args:
        server: not started yet.
        title: name of the page's contents, printed with its address.
        display: prints the address.
        with_browser: open the page in the user's browser.
    """
    with server:
        display.say(f"{title} is at {server.url}  (Ctrl-C ends)")
        if with_browser:
            server.open_browser()
        try:
            # Only a wait with a time-out can be interrupted by Ctrl-C on every system.
            while not threading.Event().wait(3600.0):
                pass
        except KeyboardInterrupt:
            display.say("ended")


def write_run_page(run: Path, result: RunResult, display: Display) -> None:
    """Write ``scene.html`` and ``report.html`` into a run folder; failures are logged as warnings.

    Args:
        run: run folder.
        result: result of the run.
        display: prints what was written.
    """
    write_pages(run, result.state.gaussians, result.capture, result.state.config, display)


def write_pages(
    run: Path, gaussians: Gaussians, capture: Capture, config: TrainConfig, display: Display
) -> None:
    """The same for a scene.

    Args:
        run: run folder.
        gaussians: the scene.
        capture: training data.
        config: training configuration.
        display: prints what was written.
    """
    from sfumato.runs.folder import RunFolder

    folder = RunFolder(run)
    write_page_of(folder, gaussians, config, capture, display)
    try:
        write_report_of(folder, display, gaussians=gaussians, capture=capture)
    except SfumatoError as error:
        _log.warning("%s was not written: %s", folder.report, error)


def write_page_of(
    folder: RunFolder, gaussians: Gaussians, config: TrainConfig, capture: Capture, display: Display
) -> None:
    """Write ``scene.html`` into a run folder; a failure is logged as a warning.

    Args:
        folder: run folder.
        gaussians: the scene.
        config: training configuration.
        capture: training data.
        display: prints what was written.
    """
    from sfumato.viewer.subject import subject_of_run

    _write(subject_of_run(folder, gaussians, config, capture), folder.page, display)


def write_report_of(
    folder: RunFolder,
    display: Display,
    *,
    path: Path | None = None,
    data: Path | None = None,
    gaussians: Gaussians | None = None,
    capture: Capture | None = None,
) -> None:
    """Write the report of a run.

    Args:
        folder: run folder.
        display: prints what was written.
        path: path of the page; None: in the run folder.
        data: the dataset, if it was moved.
        gaussians, capture: scene and dataset of the run, if they are loaded already.

    Raises:
        SfumatoError: there is no run, or the page cannot be written.
    """
    from sfumato.run_report.facts import read_facts
    from sfumato.run_report.report_page import write_report
    from sfumato.scene.files import load

    facts, path = read_facts(folder), path or folder.report
    with display.waiting(f"writing {path}"):
        try:
            gaussians = load(folder.scene) if gaussians is None else gaussians
            capture = facts.options.read_capture(data) if capture is None else capture
        except SfumatoError as error:
            _log.warning("the report has no view from above: %s", error)
        write_report(path, facts, gaussians, capture)
    display.say(f"a report of the run, to open or to send: {path}")


def write_tracked_page(folder: TrackFolder, result: TrackResult, display: Display) -> None:
    """Write ``scene.html`` into the folder of a tracked run; a failure is logged as a warning.

    Args:
        folder: run folder.
        result: result of the run.
        display: prints what was written.
    """
    from sfumato.viewer.tracked_subject import subject_of_tracked

    if result.scene:
        _write(subject_of_tracked(folder, result.scene, result.video), folder.page, display)


def _write(subject: Subject, page: Path, display: Display) -> None:
    from sfumato.viewer.page import write_page

    try:
        with display.waiting(f"writing {page}"):
            floating = write_page(subject, page)
    except SfumatoError as error:
        _log.warning("%s was not written: %s", page, error)
    else:
        if floating:
            display.say(f"{floating}; sfumato edit --clean removes them")
        display.say(f"the scene with its viewer, to open or to send: {page}")
