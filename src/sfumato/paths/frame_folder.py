"""Frames on disk, rendered one by one, so that an interrupted render resumes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.errors import ConfigError
from sfumato.evaluation.saved_images import save_image
from sfumato.json_files import read_json
from sfumato.outputs import remove_unfinished, write_error
from sfumato.paths.frame_renderer import KINDS
from sfumato.paths.path_files import MAX_PATH_BYTES, described, write_cameras
from sfumato.scene.cameras import Camera

PLAN = "render.json"
_LOCK = ".lock"
_FRAMES = "[0-9][0-9][0-9][0-9][0-9].png"


@dataclass(frozen=True)
class FrameFolder:
    """A folder of PNG frames and their plan, ``render.json``: a camera path as JSON.

    Attributes:
        path: the folder.
    """

    path: Path

    def frame(self, kind: str, index: int) -> Path:
        """Path of a frame; colour frames are in the folder itself."""
        folder = self.path if kind == "colour" else self.path / kind
        return folder / f"{index:05d}.png"

    def check_free(self) -> None:
        """Refuse a folder with other files.

        Raises:
            ConfigError: the folder holds something else, or is a file.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{self.path} is a file; give a folder, or a name that ends in .mp4")
        inside = [path.name for path in self.path.iterdir()] if self.path.exists() else []
        if PLAN not in inside and set(inside) - {_LOCK}:
            raise ConfigError(f"{self.path} holds other files; give an empty folder or another name")

    def begin(
        self, cameras: Sequence[Camera], facts: Mapping[str, Any], kinds: Sequence[str], *, overwrite: bool
    ) -> None:
        """Prepare to render frames; existing frames of the same plan are kept.

        Args:
            cameras: of all frames.
            facts: other data that the frames depend on, as JSON.
            kinds: the kinds of frames.
            overwrite: remove the frames of another plan.

        Raises:
            ConfigError: the folder holds frames of another plan.
            SfumatoError: it cannot be written.
        """
        plan = {"version": 1, **facts, "cameras": [described(camera) for camera in cameras]}
        stored = self._stored_plan()
        if stored is not None and stored != json.loads(json.dumps(plan)):
            if not overwrite:
                raise ConfigError(
                    f"{self.path} holds frames of another scene or path; give --overwrite to replace them, "
                    "or another --out"
                )
            self.remove()
        # The plan is written first: a folder with frames but without a plan is refused.
        write_cameras(self.path / PLAN, cameras, **facts)
        try:
            for kind in kinds:
                self.frame(kind, 0).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(self.path, error) from error

    def make(
        self,
        kind: str,
        count: int,
        paint: Callable[[int], np.ndarray],
        done: Callable[[int], None],
    ) -> None:
        """Render the missing frames.

        Args:
            kind: of the frames.
            count: of all frames.
            paint: renders one, by its number.
            done: called with the number of frames after each.
        """
        for index in range(count):
            path = self.frame(kind, index)
            if not path.is_file():
                save_image(path, paint(index))
            done(index + 1)

    def remove(self) -> None:
        """Remove the frames and the plan, and the folder if nothing else is in it."""
        folders = [self.frame(kind, 0).parent for kind in sorted(KINDS, key=lambda kind: kind == "colour")]
        with suppress(OSError):
            for folder in folders:
                remove_unfinished(folder)
                for path in folder.glob(_FRAMES):
                    path.unlink()
                if folder != self.path and folder.is_dir():
                    folder.rmdir()
            for name in (PLAN, _LOCK):
                (self.path / name).unlink(missing_ok=True)
            self.path.rmdir()

    def _stored_plan(self) -> object | None:
        try:
            return read_json(self.path / PLAN, MAX_PATH_BYTES)
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return {}
