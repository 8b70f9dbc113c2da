"""Live view of a training run: snapshots, curves and controls, within a share of its time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch

from sfumato.capture.dataset import Capture
from sfumato.runs.folder import RunFolder
from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import TrainConfig
from sfumato.training.render_settings import settings_of
from sfumato.training.state import TrainState
from sfumato.training.step import StepStats
from sfumato.viewer.allowance import Allowance
from sfumato.viewer.exact import ExactRenderer, RenderedImage, RenderRequest
from sfumato.viewer.live_run import LAST_LOOK_S, LiveRun, News
from sfumato.viewer.page import SCENE, PackedSubject, Payload, pack
from sfumato.viewer.server import Answer, PageServer
from sfumato.viewer.showing import EXACT, offer_exact, show
from sfumato.viewer.subject import Subject, photographs_of
from sfumato.viewer.watching import EXACT_BYTES, Reports, event, packed

# Share of the time that snapshots and rendered images may take together; unused budget accumulates up to
# this many seconds, for bursts of interaction. Images are rendered between steps. Snapshots are encoded and
# sent in parallel with training, whose kernels wait for the core that this occupies: encoding counts twice,
# once for sending.
_SHARE, _SAVED_S = 0.04, 1.0
_SENDING = 2.0
_LEAST_S = 1.0
# How long a page waits for an image.
_PATIENCE_S = 20.0


class LiveTraining(LiveRun):
    """A training callback that lets a browser watch and control the run.

    While training is paused, the callback blocks and returns the seconds it waited. It costs time only while
    a page is open.

    Args:
        server: not yet running.
        run: run folder, whose reports are plotted as curves.
        capture: training data.
        config: configuration of the run.
        ready: called when the page can be opened.
        title: title of the page; None: the name of the run folder.
    """

    def __init__(
        self,
        server: PageServer,
        run: Path,
        capture: Capture,
        config: TrainConfig,
        ready: Callable[[], None] = lambda: None,
        title: str | None = None,
    ) -> None:
        super().__init__(server)
        self._run, self._capture, self._config = RunFolder(run), capture, config
        self._ready, self._title = ready, title or self._run.path.resolve().name
        self._version, self._fetched = 0, 0
        self._payload: Payload | None = None
        self._packing: threading.Thread | None = None
        self._due_s = 0.0
        self._allowance = Allowance(_SHARE, _SAVED_S)
        self._renderer: ExactRenderer | None = None
        self._training: TrainState | None = None
        self._final: Gaussians | None = None

    def __call__(self, state: TrainState, stats: StepStats) -> float:
        """Serve a request or take a due snapshot; block while paused. Returns the seconds blocked."""
        if self._payload is None:
            self._open(state)
        waited_s = 0.0
        self._training = state
        if self._watchers and self._allowance.is_there():
            began = time.monotonic()
            if self._draw():
                self._allowance.spend(time.monotonic() - began)
            elif self._is_snapshot_due(began):
                self._snap(state, began)
        if self._state == "paused":
            began = time.perf_counter()
            # While training is paused, the page can show its exact state.
            self._publish(packed(state.gaussians))
            self._wait_while_paused()
            waited_s = time.perf_counter() - began
        self._stop_if_asked()
        return waited_s

    @property
    def spent_s(self) -> float:
        """Seconds that watching has cost the training so far."""
        return self._allowance.spent_s

    def finish(self, state: str, gaussians: Gaussians) -> None:
        """Show the final scene; ``state`` is "done" or "stopped"."""
        if self._packing:
            self._packing.join()
        if self._payload is not None:
            self._publish(pack(gaussians.detach(), exact_bytes=4 * EXACT_BYTES))
        self._final = gaussians
        self._set_state(state)
        self._look_until(lambda: self._fetched == self._version, LAST_LOOK_S)

    def _open(self, state: TrainState) -> None:
        gaussians = state.gaussians
        subject = Subject(
            self._title,
            gaussians,
            photographs_of(self._capture),
            (),
            settings_of(self._config, state.background),
        )
        self._payload = packed(gaussians.map(torch.Tensor.clone))
        show(self._server, subject, PackedSubject(self._payload), live="training", exact=EXACT, floaters=None)
        self._renderer = ExactRenderer(subject.photographs, subject.settings)
        self._server.add(SCENE, self._scene)
        offer_exact(
            self._server, subject.photographs, lambda request: self._requests.ask(request, _PATIENCE_S)
        )
        self._ready()

    def _scene(self) -> Answer:
        with self._changed:
            self._fetched = self._version
            assert self._payload is not None
            payload = self._payload
        self._tell()
        return Answer("application/octet-stream", payload.data)

    def _paint(self, request: RenderRequest) -> RenderedImage:
        assert self._renderer is not None and self._training is not None
        # Of several processes, each has a part of the scene, which is only collected when it is needed.
        scene = self._training.gaussians if self._final is None else self._final
        return self._renderer.render(request, scene)

    def _is_snapshot_due(self, now_s: float) -> bool:
        """Whether to take a snapshot: the last one was fetched, and none is being packed.
        Pages that show the exact view do not fetch snapshots.
        """
        is_packing = self._packing is not None and self._packing.is_alive()
        return self._fetched == self._version and now_s >= self._due_s and not is_packing

    def _snap(self, state: TrainState, began: float) -> None:
        gaussians = state.gaussians.map(torch.Tensor.clone)
        copied_s = time.monotonic() - began

        def make() -> None:
            before = time.monotonic()
            payload = packed(gaussians)
            self._allowance.spend(copied_s + _SENDING * (time.monotonic() - before))
            self._due_s = time.monotonic() + _LEAST_S
            self._publish(payload)

        self._packing = threading.Thread(target=make, daemon=True)
        self._packing.start()

    def _publish(self, payload: Payload) -> None:
        with self._changed:
            self._payload = payload
            self._version += 1
        self._tell()

    def _news(self) -> News:
        reports, said = Reports(self._run.events), 0

        def news() -> list[bytes]:
            nonlocal said
            parts = [event("report", line) for line in reports.new()]
            with self._changed:
                version, payload = self._version, self._payload
            if payload is not None and version != said:
                said = version
                scene = {"version": version, "type": payload.type, "frame": payload.frame}
                parts.append(event("scene", json.dumps(scene)))
            return parts

        return news
