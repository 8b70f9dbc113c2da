"""A run watched and controlled by browsers: server-sent events, rendered images, pause and stop."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path

from sfumato.viewer.exact import RenderedImage, RenderRequest
from sfumato.viewer.request_slot import RequestSlot
from sfumato.viewer.server import Answer, PageServer
from sfumato.viewer.watching import ended_by_signals, event

POLL_S = 0.25
_BEAT_S = 10.0
# How long browsers have at the end of a run to fetch its last scene, and then its page.
LAST_LOOK_S = 10.0
# Name of the finished page, and bytes of it sent at once.
FINISHED = "finished.html"
_PART_BYTES = 1 << 20

News = Callable[[], list[bytes]]


class LiveRun:
    """Base class of watched runs. Methods are called in the thread of the run; events are sent in others.

    Args:
        server: not yet running, or showing an earlier stage of the run.
    """

    def __init__(self, server: PageServer) -> None:
        self._server = server
        self._changed = threading.Condition()
        self._state, self._watchers, self._changes, self._stopped = "training", 0, 0, False
        self._taken = False
        self._requests = RequestSlot(self._changed)
        server.add("events", lambda: Answer("text/event-stream", self._events()))
        for action in ("pause", "resume", "stop"):
            server.on(f"control/{action}", partial(self._ask, action))

    def hand_over(self) -> None:
        """Make open pages reload to show the next stage, which the server now serves."""
        self._set_state("next")

    def offer_page(self, page: Path) -> None:
        """Let open pages fetch the finished page of the run, which they open after the server has gone.

        Args:
            page: the file; without it, nothing is offered.
        """
        if not page.is_file():
            return
        self._server.add(FINISHED, lambda: Answer("text/html; charset=utf-8", self._parts_of(page)))
        self._set_state("written")
        self._look_until(lambda: self._taken, LAST_LOOK_S)

    def _parts_of(self, page: Path) -> Generator[bytes, None, None]:
        with page.open("rb") as file:
            while part := file.read(_PART_BYTES):
                yield part
        self._taken = True
        self._tell()

    def _news(self) -> News:
        """A function that returns the events not yet sent to one watcher."""
        raise NotImplementedError

    def _paint(self, request: RenderRequest) -> RenderedImage:
        """Render a request of a page."""
        raise NotImplementedError

    def _draw(self) -> bool:
        """Render the image that a page has requested; False if there is no request."""
        return self._requests.serve(self._paint)

    def _tell(self) -> None:
        """Wake the threads that wait for changes."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def _set_state(self, state: str) -> None:
        self._state = state
        self._tell()

    def _wait_while_paused(self) -> None:
        """Render requests while the run is paused."""
        with ended_by_signals() as asked:
            while self._state == "paused" and not asked.is_set():
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._requests.has_request or self._state != "paused", POLL_S
                    )
                self._draw()

    def _stop_if_asked(self) -> None:
        """If a page asked to stop, raise SIGINT once, so that the run saves its state and its scene."""
        if self._state == "stopping" and not self._stopped:
            self._stopped = True
            signal.raise_signal(signal.SIGINT)

    def _look_until(self, is_seen: Callable[[], bool], seconds: float) -> None:
        """Render requests of watching pages until ``is_seen`` or a time-out."""
        until_s = time.monotonic() + seconds
        while self._watchers and not is_seen() and time.monotonic() < until_s:
            if self._draw():
                return
            with self._changed:
                self._changed.wait_for(
                    lambda: self._requests.has_request or not self._watchers or is_seen(), POLL_S
                )

    def _ask(self, action: str) -> None:
        wanted = {"pause": ("training", "paused"), "resume": ("paused", "training")}
        with self._changed:
            if action == "stop" and self._state in ("training", "paused"):
                self._state = "stopping"
            elif action in wanted and self._state == wanted[action][0]:
                self._state = wanted[action][1]
        self._tell()

    def _events(self) -> Generator[bytes, None, None]:
        """Events and state changes for one watcher, as server-sent events."""
        with self._changed:
            self._watchers += 1
        try:
            yield from self._watch()
        finally:
            with self._changed:
                self._watchers -= 1

    def _watch(self) -> Iterator[bytes]:
        news, said, beat_s = self._news(), "", time.monotonic()
        while True:
            with self._changed:
                state, changes = self._state, self._changes
            parts = news()
            if state != said:
                said = state
                parts.append(event("state", json.dumps({"state": state})))
            if time.monotonic() - beat_s > _BEAT_S:
                beat_s = time.monotonic()
                parts.append(b": still here\n\n")
            if parts:
                yield b"".join(parts)
            with self._changed:
                if self._changes == changes:
                    self._changed.wait(POLL_S)
