"""The folder of a tracked run: its layout, and the files of completed time steps."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato.errors import ConfigError, FormatError
from sfumato.npy_files import names_in, read_array
from sfumato.outputs import write_json
from sfumato.runs.array_files import read_arrays_table, write_arrays
from sfumato.runs.run_options import differences, plain, record
from sfumato.runs.tables import read_table, with_digest
from sfumato.runs.track_options import TrackOptions
from sfumato.scene.files.dynamic_files import load_dynamic
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.births import MOST_BORN
from sfumato.tracking.track_state import MovingPoses, StepResult, TrackState
from sfumato.tracking.tracked_scene import TrackedScene

_log = logging.getLogger("sfumato")

# What a run that is killed leaves behind before it has written its options: the lock, and frames of videos.
_EARLY = (".lock", "work")


@dataclass(frozen=True)
class TrackFolder:
    """Paths of a tracked run's folder."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def work(self) -> Path:
        """Frames of videos, and an estimated calibration."""
        return self.path / "work"

    @property
    def first(self) -> Path:
        """Run folder of the first time step."""
        return self.path / "first_step"

    @property
    def scene(self) -> Path:
        return self.path / "scene.ply"

    @property
    def tracks(self) -> Path:
        return self.path / "tracks.npz"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.json"

    @property
    def sheet(self) -> Path:
        return self.path / "renders" / "contact_sheet.png"

    @property
    def video(self) -> Path:
        return self.path / "renders" / "held_out.mp4"

    @property
    def page(self) -> Path:
        return self.path / "scene.html"

    def step(self, number: int) -> tuple[Path, Path]:
        """Files of a step's result and of its metrics."""
        folder = self.path / "steps"
        return folder / f"{number:06d}.npz", folder / f"{number:06d}.json"

    @property
    def refined(self) -> tuple[Path, Path]:
        """Files of the Gaussians after the training on all steps, and of its figures."""
        return self.path / "steps" / "all.npz", self.path / "steps" / "all.json"

    def check_free(self, options: TrackOptions) -> None:
        """Refuse a folder with other content than this run.

        Raises:
            ConfigError: it has other content.
        """
        if not self.config.exists():
            if self.path.is_dir() and any(path.name not in _EARLY for path in self.path.iterdir()):
                raise ConfigError(f"{self.path} is not empty and holds no tracked run; give another folder")
            return
        stored = read_table(self.config)
        if stored.get("kind") != "dynamic":
            raise ConfigError(f"{self.path} holds a run of another kind; give another folder")
        before = record(TrackOptions, stored.get("options"), self.config)
        differing = [
            f"{name} {old} there, {new} now"
            for name, old, new in differences(plain(asdict(before)), plain(asdict(options)))
        ]
        if differing:
            raise ConfigError(
                f"{self.path} holds another run: {'; '.join(differing)}. Give the same options to go on with "
                "it, or another folder"
            )

    def is_tracked(self) -> bool:
        """Whether the folder is that of a tracked run."""
        try:
            return read_table(self.config).get("kind") == "dynamic"
        except (ConfigError, FormatError):
            return False

    def read_options(self) -> TrackOptions:
        """The options of the run here.

        Raises:
            ConfigError, FormatError: ``config.json`` cannot be read or is damaged.
        """
        return record(TrackOptions, read_table(self.config).get("options"), self.config)

    def read_metrics(self) -> dict[str, Any]:
        """``metrics.json``; empty if it is missing or damaged."""
        with suppress(ConfigError, FormatError):
            return read_table(self.metrics)
        return {}

    def write_options(self, options: TrackOptions) -> None:
        """Write ``config.json``."""
        write_json(self.config, with_digest({"kind": "dynamic", "options": plain(asdict(options))}))

    def save_step(self, row: dict[str, Any], result: StepResult, first: str) -> None:
        """Write a completed step: its result, then its metrics with a digest of the result.

        Args:
            row: metrics of the step, with its number.
            result: of the step.
            first: digest of the Gaussians of the first step.
        """
        path, figures = self.step(row["step"])
        arrays = {
            "poses": torch.cat([result.poses.means, result.poses.quats], dim=1),
            "absent": result.absent,
            "still_absent": result.still_absent,
            "missing": torch.tensor(result.missing),
            **({} if result.born is None else result.born.tensors()),
        }
        write_arrays(path, figures, arrays, {**row, "first": first})

    def read_step(self, state: TrackState, first: str) -> tuple[dict[str, Any], StepResult] | None:
        """Metrics and result of the next step of a run; None if it is missing or damaged.

        Args:
            state: before the step.
            first: digest of the Gaussians of the first step, on which the steps are based.

        Raises:
            FormatError: the files belong to another run.
        """
        path, figures = self.step(state.step)
        row = read_arrays_table(path, figures, first=first)
        if row is None:
            return None
        try:
            result = _read_result(path, state)
        except (OSError, ValueError) as error:
            raise FormatError(f"{path} holds no step of this run: {error}; remove {path.parent}") from None
        return {key: value for key, value in row.items() if key not in ("content", "first", "digest")}, result


def _read_result(path: Path, state: TrackState) -> StepResult:
    moving, still = len(state.ids), len(state.still_death)

    def read(name: str, *shape: int | None, kind: type = np.float32) -> Tensor:
        def fits(found: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
            sizes = len(found) == len(shape) and all(
                (wanted is None and size <= MOST_BORN) or size == wanted
                for size, wanted in zip(found, shape, strict=True)
            )
            return sizes and dtype == kind

        return torch.from_numpy(read_array(path, fits, name))

    poses = read("poses", moving, 7)
    born = None
    if "means" in names_in(path):
        sh = state.gaussians.sh.shape[1]
        shapes = {"means": (3,), "log_scales": (3,), "quats": (4,), "logit_opacities": (), "sh": (sh, 3)}
        born = Gaussians(**{name: read(name, None, *shape) for name, shape in shapes.items()})
    return StepResult(
        MovingPoses(poses[:, :3].contiguous(), poses[:, 3:].contiguous()),
        born,
        read("absent", moving, kind=np.int32),
        read("still_absent", still, kind=np.int32),
        int(read("missing", kind=np.int64)),
    )


def load_tracked(path: str | Path) -> TrackedScene:
    """The dynamic scene in the folder of a tracked run or in a ``.4dgs`` file: ``at(time)``,
    ``track(points, t0)`` and ``track_pixel(camera, x, y, t0)``.

    Args:
        path: the run folder, any folder with ``scene.ply`` and ``tracks.npz``, or the file.

    Raises:
        FormatError, ConfigError: there is no dynamic scene, or it is damaged.
    """
    return TrackedScene(**vars(load_dynamic(path)))
