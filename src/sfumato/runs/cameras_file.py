"""``cameras.json`` of a run folder: the poses that training refined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch

from sfumato.capture.dataset import View
from sfumato.outputs import write_json
from sfumato.scene.cameras import Camera
from sfumato.training.parts.poses import Poses


def write_cameras(
    path: Path, views: Sequence[View], poses: Poses, *, offset: Sequence[float] = (0.0, 0.0, 0.0)
) -> None:
    """Write the given and the refined pose of every training view as JSON.

    Args:
        path: the file.
        views: training views, in the order of ``poses``.
        poses: their corrections.
        offset: of the world frame from the dataset's, as ``Capture.offset``.

    Raises:
        SfumatoError: the file cannot be written.
    """
    cameras = [_described(view, poses.refined(view.camera, k)) for k, view in enumerate(views)]
    summary = {
        f"{name}_{key}": measure([camera[key] for camera in cameras])
        for key in ("rotation_deg", "shift")
        for name, measure in (("median", median), ("max", max))
    }
    write_json(path, {"version": 1, **summary, "offset": list(offset), "cameras": cameras})


def _described(view: View, refined: Camera) -> dict:
    """Name, poses and the size of the correction: degrees, and scene units between the centres."""
    before = view.camera.camera_from_world
    after = refined.camera_from_world.detach().to(before)
    turn = after[:3, :3] @ before[:3, :3].T
    # The sine tells small angles, of which the cosine knows nothing.
    axis = torch.stack([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    angle = torch.atan2(axis.norm() / 2, (turn.trace() - 1) / 2)
    shift = (replace(refined, camera_from_world=after).centre_world - view.camera.centre_world).norm()
    return {
        "name": view.name,
        "rotation_deg": round(float(angle.rad2deg()), 6),
        "shift": float(shift),
        "given": before.tolist(),
        "refined": after.tolist(),
    }
