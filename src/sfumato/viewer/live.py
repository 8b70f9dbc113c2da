"""Training as it goes on: snapshots, curves and buttons, at a bounded share of its time."""

from __future__ import annotations

import json
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sfumato.capture.dataset import Capture
from sfumato.scene.files import splat
from sfumato.scene.gaussians import Gaussians
from sfumato.train.config import TrainConfig
from sfumato.train.folder import RunFolder
from sfumato.train.loop import StepStats
from sfumato.train.state import TrainState
from sfumato.viewer.page import Payload, pack
from sfumato.viewer.server import Answer, PageServer
from sfumato.viewer.showing import SCENE, show
from sfumato.viewer.subject import Subject, photographs_of

# Snapshots may take this share of the time. Their bytes are made and sent beside the training, whose
# kernels wait for the core that this takes: the time of making them counts twice, once for sending.
_SHARE = 0.03
_SENDING = 2.0
_LEAST_S = 1.0
# Above this, snapshots have no view-dependent colour: 32 bytes a Gaussian in place of up to 248.
_EXACT_BYTES = 48 << 20
_POLL_S = 0.25
_BEAT_S = 10.0
# How long a run that is over waits for browsers to take its last scene.
_LAST_LOOK_S = 10.0


class LiveTraining:
    """A callback of training that lets a browser watch and steer.

    While it pauses, a callback waits; the seconds it waited are what it returns. Only while somebody
    watches does anything else cost time.

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
        server.add("events", lambda: Answer("text/event-stream", self._events()))
        for action in ("pause", "resume", "stop"):
            server.on(f"control/{action}", lambda action=action: self._ask(action))

    def __call__(self, state: TrainState, stats: StepStats) -> float:
        """Take a snapshot if it is time; wait while paused. Returns the seconds waited."""
        if self._payload is None:
            self._open(state)
        waited_s = 0.0
        now = time.monotonic()
        if self._watchers and now >= self._due_s and not (self._packing and self._packing.is_alive()):
            self._snap(state, now)
        if self._state == "paused":
            waited_s = self._wait(state)
        if self._state == "stopping" and not self._stopped:
            self._stopped = True
            # As Ctrl-C: the run saves its state and its scene, and says how to go on.
            signal.raise_signal(signal.SIGINT)
        return waited_s

    def finish(self, state: str, gaussians: Gaussians) -> None:
        """Show the last scene; ``state`` is "done" or "stopped"."""
        if self._packing:
            self._packing.join()
        if self._payload is not None:
            self._publish(pack(gaussians.detach(), exact_bytes=4 * _EXACT_BYTES))
        with self._changed:
            self._state = state
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._watchers or self._fetched == self._version, _LAST_LOOK_S)

    def _open(self, state: TrainState) -> None:
        gaussians = state.gaussians
        subject = Subject(
            self._run.path.resolve().name,
            gaussians,
            photographs_of(self._capture),
            (),
            state.background,
            self._config.antialiased,
        )
        self._payload = _packed(gaussians.map(torch.Tensor.clone))
        show(self._server, subject, self._payload, live=True)
        self._server.add(SCENE, self._scene)
        self._ready()

    def _scene(self) -> Answer:
        with self._changed:
            self._fetched = self._version
            self._changed.notify_all()
            return Answer("application/octet-stream", self._payload.data)

    def _snap(self, state: TrainState, began: float) -> None:
        gaussians = state.gaussians.map(torch.Tensor.clone)
        copied_s = time.monotonic() - began

        def make() -> None:
            before = time.monotonic()
            payload = _packed(gaussians)
            cost_s = copied_s + _SENDING * (time.monotonic() - before)
            self._due_s = time.monotonic() + max(_LEAST_S, cost_s / _SHARE)
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
        self._publish(_packed(state.gaussians))
        with _ended_by_signals() as asked, self._changed:
            while self._state == "paused" and not asked.is_set():
                self._changed.wait(_POLL_S)
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
        reports, beat_s = _Reports(self._run.events), time.monotonic()
        while True:
            parts = [_event("report", line) for line in reports.new()]
            with self._changed:
                state, version, payload = self._state, self._version, self._payload
            if version != said[1]:
                scene = {"version": version, "type": payload.type, "frame": payload.frame}
                parts.append(_event("scene", json.dumps(scene)))
            if state != said[0]:
                parts.append(_event("state", json.dumps({"state": state})))
            said = (state, version)
            if time.monotonic() - beat_s > _BEAT_S:
                beat_s = time.monotonic()
                parts.append(b": still here\n\n")
            if parts:
                yield b"".join(parts)
            with self._changed:
                if (self._state, self._version) == said:
                    self._changed.wait(_POLL_S)


class _Reports:
    """Lines of ``events.jsonl`` as they are added."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0

    def new(self) -> list[str]:
        """Whole lines since the last call."""
        try:
            with self._path.open("rb") as handle:
                handle.seek(self._at)
                data = handle.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        return whole.decode("utf-8", "replace").splitlines()


def _event(kind: str, data: str) -> bytes:
    return f"event: {kind}\ndata: {data}\n\n".encode()


def _packed(gaussians: Gaussians) -> Payload:
    """A scene as quickly as it can be made into bytes."""
    floats = sum(tensor.numel() for tensor in vars(gaussians).values())
    if 4 * floats <= _EXACT_BYTES:
        return pack(gaussians, exact_bytes=_EXACT_BYTES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.splat"
        splat.save(replace(gaussians, sh=gaussians.sh[:, :1]), path)
        return Payload(path.read_bytes(), "splat", "rdf")


@contextmanager
def _ended_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set besides what they do anyway."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: object) -> None:
        asked.set()
        if callable(before[number]):
            before[number](number, frame)

    for number in before:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
