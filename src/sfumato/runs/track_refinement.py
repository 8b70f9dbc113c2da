"""The last stage of a tracked run: training on all steps together, and its result in the run folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato.capture.multiview import MultiViewVideo
from sfumato.display import Display
from sfumato.npy_files import read_array
from sfumato.runs.array_files import digest_of, read_arrays_table, write_arrays
from sfumato.runs.interruption import Interruption
from sfumato.runs.track_folder import TrackFolder
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.all_steps import trained_on_all_steps
from sfumato.tracking.track_state import TrackState
from sfumato.training.state import TrainState
from sfumato.training.step import StepStats

# Fields of a dynamic scene in the file of the result, and the axis of each that is the moving Gaussians.
_AXES = {"ids": 0, "means": 1, "quats": 1, "birth": 0, "death": 0}
# Of the names of the fields of its Gaussians there.
_PREFIX = "gaussians_"


@dataclass(frozen=True)
class Refined:
    """The scene after the last stage.

    Attributes:
        scene: trained on all steps.
        seconds: training time of the stage.
    """

    scene: DynamicScene
    seconds: float


class _SignalReceived(Exception):
    """Raised between two training steps after a signal to stop."""


def refined(
    folder: TrackFolder,
    video: MultiViewVideo,
    state: TrackState,
    scene: DynamicScene,
    interruption: Interruption,
    display: Display,
    *,
    steps: int | None,
    minutes: float | None,
) -> Refined | None:
    """Train on all steps, or read the result from the folder if it is of the same tracks.

    Args:
        folder: of the run.
        video: the photographs.
        state: after the last step.
        scene: as tracked.
        interruption: stops the stage, which then begins again with the same command.
        display: shows progress.
        steps: training steps; None: as many as the minutes allow.
        minutes: training time; None: unlimited.

    Returns:
        The scene; None if a signal stopped the stage.
    """
    poses = (scene.ids, scene.means, scene.quats, scene.birth, scene.death)
    tracked = digest_of([*scene.gaussians.tensors().values(), *poses])
    known = read_refined(folder, tracked, scene)
    if known:
        return known
    seconds = 0.0

    def report(training: TrainState, stats: StepStats) -> None:
        nonlocal seconds
        seconds = training.seconds
        if interruption.signal is not None:
            raise _SignalReceived
        if display.is_due and training.progress < 1:
            rate = training.step / seconds
            left_s = seconds / training.progress - seconds
            display.show(training.progress, "training on all steps", [f"{rate:.1f} /s"], left_s=left_s)

    try:
        with display.live_updates():
            found = trained_on_all_steps(
                video, state, scene, steps=steps, minutes=minutes, callbacks=[report]
            )
    except _SignalReceived:
        return None
    save_refined(folder, Refined(found, seconds), tracked)
    return Refined(found, seconds)


def save_refined(folder: TrackFolder, found: Refined, tracked: str) -> None:
    """Write the result of the last stage.

    Args:
        folder: of the run.
        found: the result.
        tracked: digest of the tracked scene from which it was trained.
    """
    scene = found.scene
    motion = {name: getattr(scene, name) for name in _AXES}
    arrays = {**motion, **{_PREFIX + name: tensor for name, tensor in scene.gaussians.tensors().items()}}
    write_arrays(*folder.refined, arrays, {"seconds": found.seconds, "tracked": tracked})


def read_refined(folder: TrackFolder, tracked: str, before: DynamicScene) -> Refined | None:
    """The result of the last stage; None if it is missing, damaged or of other tracks.

    Args:
        folder: of the run.
        tracked: digest of the tracked scene.
        before: the tracked scene.
    """
    path, figures = folder.refined
    row = read_arrays_table(path, figures, tracked=tracked)
    if row is None or not isinstance(row.get("seconds"), float):
        return None

    def read(name: str, like: Tensor, axis: int = 0) -> Tensor:
        """An array of the same type and shape, but for the number of Gaussians along an axis."""
        kind, sizes = np.float32 if like.is_floating_point() else np.int64, tuple(like.shape)

        def fits(found: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
            same = len(found) == len(sizes) and all(
                size == sizes[i] for i, size in enumerate(found) if i != axis
            )
            return same and dtype == kind and found[axis] <= len(before)

        return torch.from_numpy(read_array(path, fits, name))

    try:
        tensors = {name: read(_PREFIX + name, x) for name, x in before.gaussians.tensors().items()}
        motion = {name: read(name, getattr(before, name), axis) for name, axis in _AXES.items()}
        return Refined(replace(before, gaussians=Gaussians(**tensors), **motion), row["seconds"])
    except (OSError, ValueError):
        return None
