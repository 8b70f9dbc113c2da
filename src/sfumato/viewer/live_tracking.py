"""Live view of a tracking run: finished steps, curves and controls."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from sfumato.capture.multiview import MultiViewVideo
from sfumato.scene.dynamic import DynamicScene
from sfumato.viewer.exact import ExactRenderer, RenderedImage, RenderRequest
from sfumato.viewer.live_run import LAST_LOOK_S, LiveRun, News
from sfumato.viewer.page import MOVING, SCENE, PackedSubject, Payload, split_moving_scene
from sfumato.viewer.server import Answer, PageServer
from sfumato.viewer.showing import EXACT, offer_exact, show
from sfumato.viewer.tracked_subject import moving_subject, still_first
from sfumato.viewer.watching import event, packed

# Reported for each step.
_REPORTED = ("step", "psnr", "psnr_changed", "gaussians")
# How long a page waits for an image.
_PATIENCE_S = 60.0


class LiveTracking(LiveRun):
    """A tracking callback, called after each time step, that lets a browser watch and control the run.

    While the run is paused, the call blocks. It costs time only while a page is open.

    Args:
        server: not yet running, or showing the training of the first step.
        title: title of the page.
        video: the tracked video.
        count: total number of steps.
        ready: called when the page can be opened.
    """

    def __init__(
        self,
        server: PageServer,
        title: str,
        video: MultiViewVideo,
        count: int,
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(server)
        self._title, self._video, self._count, self._ready = title, video, count, ready
        self._scene: DynamicScene | None = None
        self._renderer: ExactRenderer | None = None
        self._payloads: dict[str, Payload] = {}
        self._version, self._fetched = 0, 0
        self._reports: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, scene: Callable[[], DynamicScene], row: Mapping[str, Any], seconds: float) -> None:
        """Show a finished step; block while paused.

        Args:
            scene: returns the scene up to this step.
            row: metrics of the step.
            seconds: elapsed time of the run.
        """
        report = {name: row[name] for name in _REPORTED if row[name] is not None and row[name] == row[name]}
        progress = {"progress": (row["step"] + 1) / self._count, "seconds": seconds}
        self._reports.append(json.dumps({**report, **progress}))
        if self._scene is None:
            self._open(scene())
        elif self._watchers:
            self._take(scene())
        self._draw()
        if self._state == "paused":
            self._take(scene())
            self._wait_while_paused()
        self._stop_if_asked()

    def finish(self, state: str, scene: DynamicScene | None) -> None:
        """Show the last step; ``state`` is "done" or "stopped"."""
        if scene is not None and self._scene is not None:
            self._take(scene)
        self._set_state(state)
        self._look_until(lambda: self._fetched == self._steps, LAST_LOOK_S)

    @property
    def _steps(self) -> int:
        return self._scene.num_steps if self._scene else 0

    def _open(self, scene: DynamicScene) -> None:
        self._take(scene)
        subject = moving_subject(self._title, scene, self._video, steps=self._count)
        self._renderer = ExactRenderer(subject.photographs, subject.settings)
        motion = {
            "count": len(scene.ids),
            "times": list(self._video.times[: self._count]),
            "photographs": list(range(self._count)),
        }
        show(
            self._server, subject, PackedSubject(None), motion=motion, live="tracking", exact=EXACT,
            floaters=None,
        )  # fmt: skip
        for name in (SCENE, MOVING):
            self._server.add(name, partial(self._payload, name))
        for step in range(self._count):
            self._server.add(f"step-{step}", partial(self._poses, step))
        offer_exact(
            self._server, subject.photographs, lambda request: self._requests.ask(request, _PATIENCE_S)
        )
        self._ready()

    def _take(self, scene: DynamicScene) -> None:
        """Show a scene; its Gaussians are packed again only if some were added or removed."""
        ordered = still_first(scene)
        is_new = self._scene is None or not _are_the_same(self._scene, ordered)
        if is_new:
            parts = zip((SCENE, MOVING), split_moving_scene(ordered, ordered.gaussians), strict=True)
            payloads = {name: packed(part) for name, part in parts if len(part)}
        with self._lock:
            self._scene = ordered
            if is_new:
                self._payloads, self._version = payloads, self._version + 1
        self._tell()

    def _payload(self, name: str) -> Answer:
        return Answer("application/octet-stream", self._payloads[name].data)

    def _poses(self, step: int) -> Answer:
        """Positions and rotations of the moving Gaussians at a step, float32; NaN where they do not exist."""
        scene = self._scene
        assert scene is not None
        poses = torch.cat([scene.means[step], scene.quats[step]], dim=1)
        self._fetched = max(self._fetched, step + 1)
        self._tell()
        return Answer("application/octet-stream", poses.numpy().astype(np.dtype("<f4")).tobytes())

    def _paint(self, request: RenderRequest) -> RenderedImage:
        assert self._renderer is not None and self._scene is not None
        return self._renderer.render(request, self._scene)

    def _news(self) -> News:
        told, said = 0, (0, 0)

        def news() -> list[bytes]:
            nonlocal told, said
            parts = [event("report", report) for report in self._reports[told:]]
            told += len(parts)
            with self._lock:
                if self._scene and said != (self._version, self._steps):
                    said = (self._version, self._steps)
                    parts.append(event("steps", json.dumps(self._told(self._scene))))
            return parts

        return news

    def _told(self, scene: DynamicScene) -> dict[str, Any]:
        """The data of a "steps" event for the current scene."""
        meshes = {
            name: {"name": name, "type": payload.type, "frame": payload.frame}
            for name, payload in self._payloads.items()
        }
        return {
            "version": self._version,
            "steps": self._steps,
            "count": len(scene),
            "moves": len(scene.ids),
            "still": meshes.get(SCENE),
            "moving": meshes[MOVING],
        }


def _are_the_same(before: DynamicScene, now: DynamicScene) -> bool:
    """Whether a scene with more steps has the same Gaussians, with the same known births and deaths."""

    def ends(scene: DynamicScene) -> torch.Tensor:
        return torch.where(scene.death < scene.num_steps, scene.death, -1)

    return (
        len(before) == len(now)
        and torch.equal(before.birth, now.birth)
        and torch.equal(ends(before), ends(now))
    )
