"""Live view of a training run: snapshots, curves and controls, within a share of its time."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
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
from sfumato.viewer.desk import Desk
from sfumato.viewer.exact import Painter
from sfumato.viewer.page import SCENE, PackedSubject, Payload, pack
from sfumato.viewer.server import Answer, PageServer
from sfumato.viewer.showing import EXACT, offer_exact, show
from sfumato.viewer.subject import Subject, photographs_of
from sfumato.viewer.watching import EXACT_BYTES, Reports, ended_by_signals, event, packed

# Share of the time that snapshots and rendered images may take together; unused budget accumulates up to
# this many seconds, for bursts of interaction. Images are rendered between steps. Snapshots are encoded and
# sent in parallel with training, whose kernels wait for the core that this occupies: encoding counts twice,
# once for sending.
_SHARE, _SAVED_S = 0.04, 1.0
_SENDING = 2.0
_LEAST_S = 1.0
_POLL_S = 0.25
_BEAT_S = 10.0
# How long a page waits for an image, and a finished run for browsers to fetch its last scene.
_PATIENCE_S = 20.0
_LAST_LOOK_S = 10.0


class LiveTraining:
    """A training callback that lets a browser watch and control the run.

    While training is paused, the callback blocks and returns the seconds it waited. It costs time only while
    a page is open.

    Args:
        server: not yet running.
        run: run folder, whose reports become curves.
        capture: what is trained on.
        config: of the run.
        ready: called when the page can be opened.
    """

    def __init__(
        self,
        server: PageServer,
        run: Path,
        capture: Capture,
        config: TrainConfig,
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._server, self._run, self._capture, self._config = server, RunFolder(run), capture, config
        self._ready = ready
        self._changed = threading.Condition()
        self._state, self._version, self._watchers, self._fetched = "training", 0, 0, 0
        self._payload: Payload | None = None
        self._packing: threading.Thread | None = None
        self._due_s, self._stopped = 0.0, False
        self._allowance = Allowance(_SHARE, _SAVED_S)
        self._desk = Desk(self._changed)
        self._painter: Painter | None = None
        server.add("events", lambda: Answer("text/event-stream", self._events()))
        for action in ("pause", "resume", "stop"):
            server.on(f"control/{action}", partial(self._ask, action))

    def __call__(self, state: TrainState, stats: StepStats) -> float:
        """Draw or take a snapshot if it is time; wait while paused. Returns the seconds waited."""
        if self._payload is None:
            self._open(state)
        waited_s = 0.0
        if self._watchers and self._allowance.is_there():
            began = time.monotonic()
            if self._draw(state.gaussians):
                self._allowance.spend(time.monotonic() - began)
            elif self._is_snapshot_due(began):
                self._snap(state, began)
        if self._state == "paused":
            waited_s = self._wait(state)
        if self._state == "stopping" and not self._stopped:
            self._stopped = True
            # As Ctrl-C: the run saves its state and its scene.
            signal.raise_signal(signal.SIGINT)
        return waited_s

    @property
    def spent_s(self) -> float:
        """Seconds of training that watching has taken so far."""
        return self._allowance.spent_s

    def finish(self, state: str, gaussians: Gaussians) -> None:
        """Show the last scene; ``state`` is "done" or "stopped"."""
        if self._packing:
            self._packing.join()
        if self._payload is not None:
            self._publish(pack(gaussians.detach(), exact_bytes=4 * EXACT_BYTES))
        with self._changed:
            self._state = state
            self._changed.notify_all()
        until_s = time.monotonic() + _LAST_LOOK_S
        while self._watchers and self._fetched != self._version and time.monotonic() < until_s:
            if self._draw(gaussians):
                self._fetched = self._version
            with self._changed:
                self._changed.wait_for(
                    lambda: self._desk.has_wish or not self._watchers or self._fetched == self._version,
                    _POLL_S,
                )

    def _open(self, state: TrainState) -> None:
        gaussians = state.gaussians
        subject = Subject(
            self._run.path.resolve().name,
            gaussians,
            photographs_of(self._capture),
            (),
            settings_of(self._config, state.background),
        )
        self._payload = packed(gaussians.map(torch.Tensor.clone))
        show(self._server, subject, PackedSubject(self._payload), live="training", exact=EXACT, floaters=None)
        self._painter = Painter(subject.photographs, subject.settings)
        self._server.add(SCENE, self._scene)
        offer_exact(self._server, subject.photographs, lambda wish: self._desk.ask(wish, _PATIENCE_S))
        self._ready()

    def _scene(self) -> Answer:
        with self._changed:
            self._fetched = self._version
            self._changed.notify_all()
            assert self._payload is not None
            return Answer("application/octet-stream", self._payload.data)

    def _draw(self, gaussians: Gaussians) -> bool:
        """Render the image that a page has requested; False if there is no request."""
        assert self._painter is not None
        return self._desk.serve(partial(self._painter.paint, shown=gaussians))

    def _is_snapshot_due(self, now_s: float) -> bool:
        """Whether a page waits for a snapshot; pages that use the exact view fetch none."""
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
            self._changed.notify_all()

    def _wait(self, state: TrainState) -> float:
        began = time.perf_counter()
        # What stands still can be seen as it is.
        self._publish(packed(state.gaussians))
        with ended_by_signals() as asked:
            while self._state == "paused" and not asked.is_set():
                with self._changed:
                    self._changed.wait_for(lambda: self._desk.has_wish or self._state != "paused", _POLL_S)
                self._draw(state.gaussians)
        return time.perf_counter() - began

    def _ask(self, action: str) -> None:
        wanted = {"pause": ("training", "paused"), "resume": ("paused", "training")}
        with self._changed:
            if action == "stop" and self._state in ("training", "paused"):
                self._state = "stopping"
            elif action in wanted and self._state == wanted[action][0]:
                self._state = wanted[action][1]
            self._changed.notify_all()

    def _events(self) -> Generator[bytes, None, None]:
        """Reports, states and new scenes for one watcher, as server-sent events."""
        with self._changed:
            self._watchers += 1
        try:
            yield from self._watch()
        finally:
            with self._changed:
                self._watchers -= 1

    def _watch(self) -> Iterator[bytes]:
        said: tuple[str, int] = ("", 0)
        reports, beat_s = Reports(self._run.events), time.monotonic()
        while True:
            parts = [event("report", line) for line in reports.new()]
            with self._changed:
                state, version, payload = self._state, self._version, self._payload
            if payload is not None and version != said[1]:
                scene = {"version": version, "type": payload.type, "frame": payload.frame}
                parts.append(event("scene", json.dumps(scene)))
            if state != said[0]:
                parts.append(event("state", json.dumps({"state": state})))
            said = (state, version)
            if time.monotonic() - beat_s > _BEAT_S:
                beat_s = time.monotonic()
                parts.append(b": still here\n\n")
            if parts:
                yield b"".join(parts)
            with self._changed:
                if (self._state, self._version) == said:
                    self._changed.wait(_POLL_S)
