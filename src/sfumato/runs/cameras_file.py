"""``cameras.json`` of a run folder: the poses that training refined, written and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from sfumato.capture.dataset import View
from sfumato.errors import FormatError
from sfumato.json_files import read_json
from sfumato.outputs import write_json
from sfumato.scene.cameras import Camera
from sfumato.training.parts.poses import Poses

_MOST_BYTES = 64 << 20
_RIGID = 1e-4


def write_cameras(
    path: Path, views: Sequence[View], poses: Poses, *, offset: Sequence[float] = (0.0, 0.0, 0.0)
) -> None:
    """Write the given and the refined pose of every training view as JSON.

    Args:
        path: the file.
        views: training views, in the order of ``poses``.
        poses: their corrections.
        offset: of the world frame from the dataset's, see ``Capture.offset``.

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


def with_refined_poses(path: Path, views: Sequence[View]) -> tuple[View, ...]:
    """Training views with the poses refined in training; unchanged if there are none.

    Args:
        path: of ``cameras.json``, untrusted; it may be missing.
        views: training views.

    Raises:
        FormatError: the file is damaged, or belongs to other views.
    """
    if not path.is_file():
        return tuple(views)
    try:
        document = read_json(path, _MOST_BYTES)
        rows = document.get("cameras") if isinstance(document, dict) else None
        known = {row["name"]: (_pose(row["given"]), _pose(row["refined"])) for row in rows or []}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise FormatError(f"{path} cannot be read: {error}; train again to have it") from error
    return tuple(_corrected(view, known, path) for view in views)


def _pose(rows: object) -> Tensor:
    """[4, 4] float64, rigid.

    Raises:
        ValueError: it is not such a matrix.
    """
    pose = torch.tensor(rows, dtype=torch.float64)
    if pose.shape != (4, 4) or not bool(pose.isfinite().all()):
        raise ValueError("a pose is not a matrix of 4 x 4 numbers")
    turn = pose[:3, :3]
    if float((turn @ turn.T - torch.eye(3, dtype=torch.float64)).abs().max()) > _RIGID:
        raise ValueError("a pose is not a rigid motion")
    return pose


def _corrected(view: View, known: Mapping[str, tuple[Tensor, Tensor]], path: Path) -> View:
    camera = view.camera
    given, refined = known.get(view.name, (None, None))
    if given is None or refined is None or not torch.allclose(given, camera.camera_from_world, atol=_RIGID):
        raise FormatError(
            f"{path} does not belong to these photographs: {view.name} has another pose; train again"
        )
    correction = refined @ torch.linalg.inv(given)
    shutter = camera.shutter
    if shutter is not None:
        end = correction @ shutter.camera_from_world_end
        shutter = replace(shutter, camera_from_world_end=end)
    return replace(view, camera=replace(camera, camera_from_world=refined, shutter=shutter))


def _described(view: View, refined: Camera) -> dict:
    """Name, poses and the size of the correction: rotation in degrees, and translation in scene units."""
    before = view.camera.camera_from_world
    after = refined.camera_from_world.detach().to(before)
    turn = after[:3, :3] @ before[:3, :3].T
    # By sine and cosine, as the cosine alone is inaccurate for small angles.
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
