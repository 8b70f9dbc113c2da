"""Quality by distance and angle from the nearest training view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.envelope.error_calibration import ViewErrors
from sfumato.envelope.next_photographs import CandidateRender
from sfumato.envelope.trust import Calibration, decibels
from sfumato.scene.cameras import Camera

# Edges of the bins: distances as shares of the scene's median depth, angles between viewing directions.
_DISTANCES, _ANGLES_DEG = (0.05, 0.15, 0.35, 0.75), (10.0, 25.0, 45.0)


@dataclass(frozen=True)
class ViewDistance:
    """Position of a view relative to the training views.

    Attributes:
        distance: of its centre from that of the nearest training camera, scene units.
        angle_deg: between the viewing directions of the two.
    """

    distance: float
    angle_deg: float


def distance_from(camera: Camera, training: Sequence[Camera]) -> ViewDistance:
    """Position of a camera relative to the nearest training camera."""
    centres = torch.stack([other.centre_world.double() for other in training])
    distances = (centres - camera.centre_world.double()).norm(dim=1)
    row = int(distances.argmin())
    one, other = (c.camera_from_world[2, :3].double() for c in (camera, training[row]))
    sine = float(torch.linalg.cross(one, other).norm())
    return ViewDistance(float(distances[row]), math.degrees(math.atan2(sine, float(one @ other))))


def curve(
    calibration: Calibration,
    training: Sequence[Camera],
    depth: float,
    measured: Sequence[ViewErrors],
    rendered: Sequence[CandidateRender],
) -> list[dict[str, float | int | None]]:
    """Expected and measured PSNR of views by distance and angle from the training views, nearest first.

    Args:
        calibration: from values of pixels to errors.
        training: cameras of the training views.
        depth: median distance of the scene from them, scene units.
        measured: held-out views.
        rendered: views without a photograph, for the expected PSNR of bins that have no held-out view.

    Returns:
        Rows of ``distance`` and ``angle_deg`` (means), ``expected_psnr``, ``measured_psnr`` (None without
        photographs) and ``pixels``.
    """
    groups: dict[tuple[int, int, bool], list[tuple[ViewDistance, Tensor, Tensor | None]]] = {}
    for view in measured:
        offset = distance_from(view.camera, training)
        groups.setdefault((*_group(offset, depth), True), []).append((offset, view.values, view.measured))
    for one in rendered:
        offset = distance_from(one.camera, training)
        group = _group(offset, depth)
        if (*group, True) not in groups:
            groups.setdefault((*group, False), []).append((offset, one.values.reshape(-1), None))
    rows = []
    for key in sorted(groups):
        views = groups[key]
        offsets = [offset for offset, _, _ in views]
        expected = calibration.expected(torch.cat([values for _, values, _ in views]))
        squares = calibration.mean_square(expected)
        known = [errors for _, _, errors in views if errors is not None]
        rows.append(
            {
                "distance": sum(offset.distance for offset in offsets) / len(offsets),
                "angle_deg": sum(offset.angle_deg for offset in offsets) / len(offsets),
                "expected_psnr": decibels(float(squares.mean())),
                "measured_psnr": decibels(float((torch.cat(known) ** 2).mean())) if known else None,
                "pixels": len(squares),
            }
        )
    return rows


def _group(offset: ViewDistance, depth: float) -> tuple[int, int]:
    share = offset.distance / depth if depth > 0 else 0.0
    return sum(share > edge for edge in _DISTANCES), sum(offset.angle_deg > edge for edge in _ANGLES_DEG)
