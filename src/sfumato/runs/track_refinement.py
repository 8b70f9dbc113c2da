"""The last stage of a tracked run: training on all steps together, and its result in the run folder."""

from __future__ import annotations

from dataclasses import dataclass

from sfumato.capture.multiview import MultiViewVideo
from sfumato.display import Display
from sfumato.runs.interruption import Interruption
from sfumato.runs.track_folder import TrackFolder, digest_of
from sfumato.scene.dynamic import DynamicScene
from sfumato.tracking.all_steps import trained_on_all_steps
from sfumato.tracking.motion_since_birth import MotionSinceBirth
from sfumato.tracking.track_state import TrackState
from sfumato.training.state import TrainState
from sfumato.training.step import StepStats


@dataclass(frozen=True)
class Refined:
    """The scene after the last stage.

    Attributes:
        scene: with the motion that was tracked.
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
    known, motion = folder.read_refined(tracked, scene.gaussians), MotionSinceBirth(scene)
    if known:
        return Refined(motion.carried(known[0]), known[1])
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
                video, state, motion, steps=steps, minutes=minutes, callbacks=[report]
            )
    except _SignalReceived:
        return None
    folder.save_refined(found, seconds, tracked)
    return Refined(motion.carried(found), seconds)
