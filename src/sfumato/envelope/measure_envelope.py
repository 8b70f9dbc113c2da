"""The envelope of a scene: the content of ``envelope.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sfumato.display import Display
from sfumato.envelope import error_calibration as calibration
from sfumato.envelope.candidates import Candidate, beside
from sfumato.envelope.curve import curve
from sfumato.envelope.floaters import Floaters, floaters_by_support
from sfumato.envelope.next_photographs import best_views, render_candidate
from sfumato.envelope.refits import refit
from sfumato.envelope.sightings import Sightings, gather
from sfumato.envelope.trust import Trust
from sfumato.evaluation.held_out import HeldOutView
from sfumato.evaluation.scenes import evaluate
from sfumato.render.settings import Settings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians

# Number of training cameras beside which candidate views are rendered, and of views suggested.
_STARTS, _NEXT = 12, 5
# Relative tolerance of the depth in the middle of a candidate, against the distance of its target.
_SAME_PLACE = 0.25


@dataclass(frozen=True)
class Envelope:
    """Where a scene can be trusted.

    Attributes:
        trust: the expected error of any view.
        document: for ``envelope.json``.
    """

    trust: Trust
    document: dict[str, Any]


def measure_envelope(
    gaussians: Gaussians,
    training: Sequence[HeldOutView],
    held_out: Sequence[HeldOutView],
    settings: Settings,
    depth: float,
    display: Display,
) -> Envelope:
    """Measure where a scene can be trusted.

    Args:
        gaussians: the scene.
        training: training views; at least one.
        held_out: views for the calibration of the expected error, which needs at least two.
        settings: of the renderer that it was trained with.
        depth: median distance of the scene from the training cameras, scene units.
        display: where progress is shown.
    """
    with display.counting("collecting evidence", "training views") as progress:
        evidence = gather(gaussians, training, settings, progress=progress)
    with display.counting("training again on half of the views", "steps") as progress:
        refits = refit(gaussians, training, settings, progress=progress)
    plain = Trust(gaussians.detach(), evidence, settings, refits=refits)
    with display.counting("evaluating", "held-out views") as progress:
        errors = calibration.compare(plain, held_out, progress=progress)
    trust = replace(plain, calibration=calibration.fitted(errors)) if len(errors) > 1 else plain
    cameras = [view.camera for view in training]
    candidates = beside(cameras, _depths(evidence, gaussians, cameras, depth), _STARTS)
    renders = []
    with display.counting("rendering", "candidate views") as progress:
        for candidate in candidates:
            renders.append(render_candidate(trust, candidate.camera))
            progress(len(renders), len(candidates))
    # Views whose target is occluded, or whose camera is inside an object, are not suggested.
    is_allowed = [
        abs(view.distance - candidate.distance) <= _SAME_PLACE * candidate.distance
        for view, candidate in zip(renders, candidates, strict=True)
    ]
    chosen = best_views(trust, renders, _NEXT, is_allowed)
    pixels, views = calibration.rank_correlations(errors)
    floaters = floaters_by_support(gaussians, evidence)
    document = {
        "version": 1,
        "curve": curve(trust.calibration, cameras, depth, errors, renders),
        "calibration": calibration.crossed_shares(errors),
        "spearman": pixels,
        "spearman_views": views,
        "held_out_views": len(errors),
        "floaters": floaters.counts() | _without(gaussians, floaters, held_out, settings),
        "next_photographs": [
            {
                "centre": candidates[one.row].camera.centre_world.tolist(),
                "direction": candidates[one.row].camera.camera_from_world[2, :3].tolist(),
                "gain": one.gain,
                "says": says(candidates[one.row], training[candidates[one.row].beside].name),
            }
            for one in chosen
        ],
    }
    return Envelope(trust, document)


def _without(
    gaussians: Gaussians, floaters: Floaters, held_out: Sequence[HeldOutView], settings: Settings
) -> dict[str, float | None]:
    """PSNR of the held-out views in dB, with and without the floaters."""
    stays = ~floaters.mask
    if not bool(stays.any()):
        return {}
    scenes = {"psnr": gaussians, "psnr_without": gaussians.select(stays)}
    return {name: evaluate(scene, held_out, settings, lpips=False).psnr for name, scene in scenes.items()}


def says(candidate: Candidate, name: str) -> str:
    """The suggested camera position in words."""
    return (
        f"From where {name} was taken go {candidate.move} by {candidate.share:.0%} of the distance to what "
        "it shows, and look at the same point."
    )


def _depths(
    evidence: Sightings, gaussians: Gaussians, cameras: Sequence[Camera], depth: float
) -> list[float]:
    """Depth of what each camera looks at: the median of the Gaussians near its axis."""
    means, found = gaussians.means.detach().double(), []
    for camera in cameras:
        pose = camera.camera_from_world.double()
        seen = means @ pose[:3, :3].T + pose[:3, 3]
        near_axis = (seen[:, 2] > 0) & (seen[:, :2].norm(dim=1) < 0.3 * camera.half_image * seen[:, 2])
        near_axis &= evidence.views > 0
        found.append(float(seen[near_axis, 2].median()) if bool(near_axis.any()) else depth)
    return found
