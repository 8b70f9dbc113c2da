"""Films along key-frames set in the page, rendered by the server and saved beside the scene."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sfumato.errors import ConfigError, SfumatoError
from sfumato.outputs import write_json
from sfumato.paths.frame_renderer import Look, frame_renderer
from sfumato.paths.look import refitted
from sfumato.paths.path_files import KeyFrames, path_from_plain
from sfumato.paths.video_writer import even, write_video
from sfumato.scene.cameras import Camera
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.gaussians import Gaussians
from sfumato.viewer.page_edits import EditedScenes, free_names
from sfumato.viewer.server import Answer, PageServer
from sfumato.viewer.subject import Subject

_log = logging.getLogger("sfumato")

FILM = "film"
_WHAT = "the page's film"
_MOST_BYTES = 1 << 18
_MOST_KEYS, _MOST_FRAMES, _MOST_FPS = 500, 9000, 60
_MOST_SIDE_PX = 3840


@dataclass(frozen=True)
class Film:
    """A film requested by the page.

    Attributes:
        cameras: one per frame.
        fps: frames per second.
        document: the key-frames, as ``sfumato render --path`` reads them.
        edits: digest of the edits that are applied; "": none.
    """

    cameras: tuple[Camera, ...]
    fps: float
    document: object
    edits: str = ""


def read_film(body: bytes) -> Film:
    """Parse a request: {"path": key-frames with times, "size": [width, height], "fps": number},
    and "edits": digest.

    Args:
        body: JSON, untrusted.

    Raises:
        SfumatoError: the request is malformed or too large.
    """
    try:
        asked = json.loads(body)
        document, (width, height), fps = asked["path"], asked["size"], asked["fps"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ConfigError(f"{_WHAT} needs a path, a size and frames a second, in JSON") from None
    if not all(type(side) is int and 16 <= side <= _MOST_SIDE_PX for side in (width, height)):
        raise ConfigError(f"{_WHAT} needs sides of 16 to {_MOST_SIDE_PX} pixels")
    if type(fps) not in (int, float) or not 1 <= fps <= _MOST_FPS:
        raise ConfigError(f"{_WHAT} needs 1 to {_MOST_FPS} frames a second")
    keys = path_from_plain(document, _WHAT)
    if not isinstance(keys, KeyFrames) or keys.times_s is None or not 2 <= len(keys.cameras) <= _MOST_KEYS:
        raise ConfigError(f"{_WHAT} needs 2 to {_MOST_KEYS} key-frames with times")
    frames = (keys.times_s[-1] - keys.times_s[0]) * fps
    if not 1 <= frames <= _MOST_FRAMES:
        raise ConfigError(f"{_WHAT} has {frames:,.0f} frames; 1 to {_MOST_FRAMES:,} are allowed")
    size_px = even((width, height))
    fitted = replace(keys, cameras=tuple(refitted(camera, size_px) for camera in keys.cameras))
    return Film(fitted.path(round(frames)), float(fps), document, str(asked.get("edits") or ""))


class FilmMaker:
    """Renders one film at a time, in a background thread.

    Args:
        shown: run folder or scene file, in or beside which films are written.
        subject: the scene.
        edited: the scene with the edits of pages.
    """

    def __init__(self, shown: Path, subject: Subject, edited: EditedScenes | None = None) -> None:
        self._shown, self._subject = shown, subject
        self._edited = edited or EditedScenes(subject.moving or subject.gaussians)
        self._lock, self._stops = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._told: dict[str, object] = {"state": "none"}

    def begin(self, body: bytes) -> Answer | None:
        """Start a requested film; returns None if another one is in progress."""
        film = read_film(body)
        scene = self._edited.of(film.edits)
        with self._lock:
            if self._thread and self._thread.is_alive():
                return None
            video, path = free_names(self._shown, ("film.mp4", "film.json"))
            self._stops.clear()
            self._told = {"state": "making", "done": 0, "count": len(film.cameras), "film": str(video)}
            self._thread = threading.Thread(target=self._make, args=(film, scene, video, path), daemon=True)
            self._thread.start()
        return self.state()

    def state(self) -> Answer:
        """Progress of the last film."""
        return Answer("application/json", json.dumps(self._told).encode("utf-8", "replace"))

    def stop(self) -> None:
        """Cancel the film."""
        self._stops.set()

    def end(self) -> None:
        """Cancel the film and wait until its files are removed."""
        self.stop()
        if self._thread:
            self._thread.join()

    def _make(self, film: Film, scene: Gaussians | DynamicScene, video: Path, path: Path) -> None:
        try:
            write_json(path, film.document)
            write_video(video, self._frames(film, scene), film.fps)
            self._told = {**self._told, "state": "done"}
        except _FilmStopped:
            path.unlink(missing_ok=True)
            self._told = {**self._told, "state": "stopped"}
        except (SfumatoError, OSError) as error:
            _log.warning("no film: %s", error)
            self._told = {**self._told, "state": "failed", "error": str(error)}

    def _frames(self, film: Film, scene: Gaussians | DynamicScene) -> Iterator[np.ndarray]:
        subject, count = self._subject, len(film.cameras)
        times = scene.times.tolist() if isinstance(scene, DynamicScene) else [0.0]
        moments = np.linspace(times[0], times[-1], count)
        paint = frame_renderer(
            "colour",
            lambda number: scene.at(float(moments[number])) if isinstance(scene, DynamicScene) else scene,
            film.cameras,
            Look(subject.settings),
        )
        for number in range(count):
            if self._stops.is_set():
                raise _FilmStopped
            yield paint(number)
            self._told = {**self._told, "done": number + 1}


class _FilmStopped(Exception):
    """The film was cancelled."""


def offer_films(
    server: PageServer, shown: Path, subject: Subject, edited: EditedScenes | None = None
) -> None:
    """Let a server make films: NAME-film.mp4, and NAME-film.json with the key-frames.

    Args:
        server: not yet running.
        shown: run folder or scene file, in or beside which films are written.
        subject: the scene.
        edited: the scene with the edits of pages.
    """
    maker = FilmMaker(shown, subject, edited)
    server.reply(FILM, maker.begin, _MOST_BYTES)
    server.add(f"{FILM}-state", maker.state)
    server.on(f"{FILM}-stop", maker.stop)
    server.at_end(maker.end)
