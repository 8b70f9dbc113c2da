"""Edits of scenes that move. What is selected at one moment is meant at all times.

A ball that is deleted is gone throughout, and what is moved, turned or scaled has its whole track moved,
turned and scaled, about the origin of the world. Gaussians that do not exist at the moment of a selection are
not selected: ``delete`` leaves them, ``keep`` does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfumato.edit.clean import floaters
from sfumato.edit.parameters import Argument
from sfumato.edit.selections import Selection
from sfumato.errors import ConfigError
from sfumato.scene import changes, dynamic_changes
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.files import load
from sfumato.scene.files.dynamic_files import holds_motion, load_dynamic
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Scene

Still = Callable[..., Gaussians]


def matrix_of_rows(matrix: Sequence[Sequence[float]]) -> Tensor:
    """[4, 4] float64 of four rows of four numbers."""
    return torch.tensor(matrix, dtype=torch.float64)


# The matrix of each edit that moves, turns or scales.
MATRICES: dict[str, Callable[..., Tensor]] = {
    "translate": changes.translation,
    "rotate": changes.rotation,
    "scale": changes.scaling,
    "transform": matrix_of_rows,
}


@dataclass(frozen=True)
class Moment:
    """Which Gaussians an edit is for: those selected at a moment.

    Attributes:
        where: the selection; None: all.
        time: the moment at which it is made, seconds.
    """

    where: Selection | None
    time: float

    def rows(self, scene: DynamicScene) -> Tensor:
        """[n] bool of the scene's Gaussians."""
        dynamic_changes.check_within(scene, self.time, self.time)
        if self.where is None:
            return torch.ones(len(scene), dtype=torch.bool)
        now = scene.at(self.time)
        return _marked(scene, now, self.where.mask(now))


def edited(
    scene: DynamicScene, name: str, values: Mapping[str, Any], chosen: Moment, still: Still | None
) -> DynamicScene:
    """A scene that moves after one edit.

    Args:
        scene: the scene before; it stays as it is.
        name: of the edit.
        values: its arguments by name.
        chosen: the Gaussians it is for.
        still: what it does to still Gaussians; None for edits of scenes that move alone.

    Raises:
        SfumatoError: an argument is out of range, or a file it names is missing or broken.
    """
    if name == "add" and chosen.where is not None:
        raise ConfigError("add: a scene that moves is added to as a whole; leave the selection out")
    rows = chosen.rows(scene)
    if name in MATRICES:
        return _transformed(scene, rows, MATRICES[name](**values))
    if name in _MOVING:
        return _MOVING[name](scene, rows, chosen.time, **values)
    assert still is not None
    # Colours, opacities and degrees of SH are the same at all times.
    if chosen.where is None:
        return replace(scene, gaussians=still(scene.gaussians, **values))
    changed = still(scene.gaussians.select(rows), **values)
    return replace(scene, gaussians=changes.replaced(scene.gaussians, rows, changed))


def _transformed(scene: DynamicScene, rows: Tensor, matrix: Tensor) -> DynamicScene:
    """The scene with some Gaussians moved, turned and scaled at all steps."""
    changed = changes.transformed(scene.gaussians.select(rows), matrix)
    columns = rows[scene.ids]
    means, quats = scene.means.clone(), scene.quats.clone()
    means[:, columns], quats[:, columns] = dynamic_changes.transformed_poses(
        means[:, columns], quats[:, columns], matrix
    )
    gaussians = changes.replaced(scene.gaussians, rows, changed)
    if rows.all():
        # Which way is up turns along.
        gaussians = changed
    return replace(scene, gaussians=gaussians, means=means, quats=quats)


def _kept(scene: DynamicScene, rows: Tensor, time: float) -> DynamicScene:
    return dynamic_changes.selected_dynamic(scene, rows)


def _deleted(scene: DynamicScene, rows: Tensor, time: float) -> DynamicScene:
    return dynamic_changes.selected_dynamic(scene, ~rows)


def _cleaned(scene: DynamicScene, rows: Tensor, time: float, **values: Any) -> DynamicScene:
    """Floaters at the moment are removed throughout."""
    now = scene.at(time)
    assert now.identities is not None
    among = now.select(rows[now.identities])
    return dynamic_changes.selected_dynamic(scene, ~_marked(scene, among, floaters(among, **values)))


def _duplicated(scene: DynamicScene, rows: Tensor, time: float, by: Sequence[float]) -> DynamicScene:
    copy = dynamic_changes.selected_dynamic(scene, rows)
    moved = dynamic_changes.transformed_dynamic(copy, changes.translation(by))
    return dynamic_changes.composed(scene, moved)


def _with_file(scene: DynamicScene, rows: Tensor, time: float, file: Path) -> DynamicScene:
    if holds_motion(file):
        return dynamic_changes.composed(scene, load_dynamic(file))
    return dynamic_changes.composed(scene, dynamic_changes.standing(load(file), scene.times))


def _ridden(
    scene: DynamicScene, rows: Tensor, time: float, file: Path, by: Sequence[float] = (0.0, 0.0, 0.0)
) -> DynamicScene:
    placed = changes.transformed(load(file), changes.translation(by))
    rider = dynamic_changes.riding(placed, scene, rows[scene.ids], time)
    return dynamic_changes.composed(scene, rider)


def _from(scene: DynamicScene, rows: Tensor, time: float, seconds: float) -> DynamicScene:
    return dynamic_changes.cut(scene, start=seconds)


def _until(scene: DynamicScene, rows: Tensor, time: float, seconds: float) -> DynamicScene:
    return dynamic_changes.cut(scene, end=seconds)


def _marked(scene: DynamicScene, now: Scene, mask: Tensor) -> Tensor:
    """[n] bool: the Gaussians of a scene that are marked among those of a moment."""
    assert now.identities is not None
    rows = torch.zeros(len(scene), dtype=torch.bool)
    rows[now.identities[mask]] = True
    return rows


_MOVING: dict[str, Callable[..., DynamicScene]] = {
    "keep": _kept,
    "delete": _deleted,
    "clean": _cleaned,
    "duplicate": _duplicated,
    "add": _with_file,
    "ride": _ridden,
    "from": _from,
    "until": _until,
}
# Arguments of the edits that are for scenes that move alone.
ARGUMENTS: dict[str, tuple[Argument, ...]] = {
    "ride": (Argument("file", "path"), Argument("by", "vector", None)),
    "from": (Argument("seconds", "number"),),
    "until": (Argument("seconds", "number"),),
}


def check_meant(name: str, where: Selection | None) -> None:
    """Refuse selections that an edit has no use for, or lacks.

    Raises:
        ConfigError: it does.
    """
    if where is None and name in ("keep", "delete", "ride"):
        raise ConfigError(f"{name} needs a selection of what to {name}{' on' * (name == 'ride')}")
    if where is not None and name in ("from", "until"):
        raise ConfigError(f"{name} is for the whole scene; leave the selection out")
