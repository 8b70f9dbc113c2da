"""Training on the photographs of all steps together.

Tracking learns colours and shapes from the first step alone. What that step does not show, such as the floor
under an object that leaves, the back of one that turns, or what is born later, is learnt here; and poses are
corrected, as each was found with what was known then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sfumato.capture.dataset import Capture
from sfumato.capture.multiview import MultiViewVideo
from sfumato.capture.points import PointCloud
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.first_step import PENALTIES
from sfumato.tracking.track_state import TrackState
from sfumato.tracking.tracked_motion import TrackedMotion
from sfumato.tracking.trained_poses import TrainedPoses
from sfumato.training.config import Rates, Schedule, TrainConfig
from sfumato.training.loop import Callback, train
from sfumato.training.state import start

# Large for colours and positions, as what the first step does not show changes much; small for sizes and
# opacities, which decide which Gaussian carries a tracked point.
_RATES = Rates(
    means_start=8e-4,
    means_end=8e-6,
    log_scales=5e-3,
    quats=2e-3,
    logit_opacities=2.5e-2,
    sh_base=2e-2,
    cool_from=0.0,
)


def trained_on_all_steps(
    video: MultiViewVideo,
    state: TrackState,
    scene: DynamicScene,
    *,
    steps: int | None,
    minutes: float | None = None,
    callbacks: Sequence[Callback] = (),
) -> DynamicScene:
    """Train all Gaussians on all steps, the moving ones as they are in their first steps, and their poses.

    Gaussians that fade are replaced by others where errors are large. More Gaussians cost more time than
    they bring.

    Args:
        video: the photographs.
        state: after the last step.
        scene: as tracked.
        steps: training steps, each on one photograph; None: as many as the minutes allow.
        minutes: training time; None: unlimited.
        callbacks: called after each step.

    Returns:
        The scene of as many Gaussians or fewer: see ``TrackedMotion``.
    """
    capture, of_step, of_camera = _all_photographs(video, scene)
    colours = state.gains[of_camera], state.offsets[of_camera]
    motion = TrackedMotion(scene, TrainedPoses(scene, state), of_step, *colours)
    config = _config(steps, minutes, state.config.seed)
    training = start(capture, config, cap=len(scene), init=scene.gaussians, parts=[motion])
    # Cameras of a rig see each other: see default_settings.
    training.settings = replace(training.settings, near=state.settings.near)
    return motion.carried(Gaussians(**train(capture, training, callbacks).gaussians.tensors()))


def _config(steps: int | None, minutes: float | None, seed: int) -> TrainConfig:
    """As in the first step, but at full resolution."""
    schedule = Schedule(
        half_resolution_until=0.0, quarter_resolution_until=0.0, refine_from=0.04, refine_until=0.6
    )
    return TrainConfig(
        steps=steps,
        minutes=minutes,
        seed=seed,
        sh_degree=0,
        clearance=0.0,
        random_background=False,
        rates=_RATES,
        schedule=schedule,
        adc=PENALTIES,
    )


def _all_photographs(video: MultiViewVideo, scene: DynamicScene) -> tuple[Capture, list[int], list[int]]:
    """The training photographs of all steps of a scene, and the step and training camera of each."""
    found = [
        (step, number, view)
        for step in range(scene.num_steps)
        for number, camera in enumerate(video.train_cameras)
        if (view := camera.views[step]) is not None
    ]
    points = scene.gaussians.means.numpy()
    capture = replace(
        video.at(0),
        views=tuple(view for _, _, view in found),
        test_names=frozenset(),
        points=PointCloud(points, np.zeros(points.shape, np.uint8)),
        points_are_random=False,
    )
    return capture, [step for step, _, _ in found], [number for _, number, _ in found]
