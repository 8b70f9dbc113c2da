"""The view that the page opens with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sfumato.envelope.candidates import low_resolution
from sfumato.maths.spread import evenly
from sfumato.paths.best_view import orbit_of_best_view
from sfumato.paths.look import field_of_view_deg
from sfumato.scene.cameras import Camera
from sfumato.scene.image_points import image_points
from sfumato.viewer.extent import SceneExtent
from sfumato.viewer.subject import Subject
from sfumato.viewer.trusted import KnownTrust

# Number of views rendered to choose the initial one.
_OPENINGS = 6


def opening_of(subject: Subject, placing: SceneExtent) -> dict[str, Any]:
    """Manifest entries: the chosen view, the initial camera or, without cameras, a position and target.

    With a chosen view also its vertical field of view, with cameras their median one, degrees.
    """
    if subject.view is not None:
        view = subject.view
        opening = {"at": list(view.position), "to": list(view.target), "fov_deg": view.fov_deg}
        return {"first": -1, "opening": opening, "fov_deg": view.fov_deg}
    cameras = [photograph.camera for photograph in subject.photographs]
    if cameras:
        fov_deg = float(np.median([field_of_view_deg(camera) for camera in cameras]))
        return {"first": _first(subject, placing), "opening": None, "fov_deg": fov_deg}
    told: dict[str, Any] = {"first": 0, "opening": None, "fov_deg": None}
    if len(subject.gaussians) and subject.chooses_view:
        orbit = orbit_of_best_view(subject.gaussians, placing.up)
        told["opening"] = {"at": orbit.start.tolist(), "to": orbit.target.tolist()}
    return told


def _first(subject: Subject, placing: SceneExtent) -> int:
    """Index of the initial camera."""
    trained = [(i, one.camera) for i, one in enumerate(subject.photographs) if not one.held_out]
    if subject.trust and trained:
        return opening(subject.trust, trained, placing.middle)
    return trained[0][0] if trained else 0


def opening(known: KnownTrust, cameras: Sequence[tuple[int, Camera]], middle: Sequence[float]) -> int:
    """Index of the initial camera: of those that see the centre of the scene, the least expected error.

    Args:
        known: trust of the scene.
        cameras: training cameras with their indices, at least one.
        middle: [3] centre of the orbit, world frame.
    """
    point = torch.tensor([middle], dtype=torch.float64)
    seeing = [one for one in cameras if _sees(one[1], point)] or list(cameras)
    some = [seeing[i] for i in evenly(len(seeing), _OPENINGS)]
    errors = {number: float(known.trust.render(low_resolution(camera)).mean()) for number, camera in some}
    return min(errors, key=lambda number: errors[number])


def _sees(camera: Camera, point: torch.Tensor) -> bool:
    """Whether a point [1, 3] projects well inside the image."""
    pixels, z = image_points(camera, point)
    inside = (
        0.2 * side < at < 0.8 * side for at, side in zip(pixels[0].tolist(), camera.size_px, strict=True)
    )
    return bool(z > 0) and all(inside)
