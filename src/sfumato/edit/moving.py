"""Edits of dynamic scenes. Gaussians are selected at one time and edited at all times.

A deleted object is gone at all steps, and a transform applies to whole tracks, about the world origin.
Gaussians that do not exist at the time of the selection are selected if they were born beside selected ones
(see ``leaders``); of the others ``delete`` leaves all, ``keep`` none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfumato.edit.clean import floaters
from sfumato.edit.inserted import load_inserted
from sfumato.edit.leaders import with_followers
from sfumato.edit.parameters import Argument
from sfumato.edit.selections import Selection
from sfumato.errors import ConfigError
from sfumato.scene import changes, dynamic_changes
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.files.dynamic_files import holds_motion, load_dynamic
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Scene

Still = Callable[..., Gaussians]


def matrix_of_rows(matrix: Sequence[Sequence[float]]) -> Tensor:
    """[4, 4] float64 from four rows of four numbers."""
    return torch.tensor(matrix, dtype=torch.float64)


# The matrix of each edit that is a transform.
MATRICES: dict[str, Callable[..., Tensor]] = {
    "translate": changes.translation,
    "rotate": changes.rotation,
    "scale": changes.scaling,
    "transform": matrix_of_rows,
}


@dataclass(frozen=True)
class Moment:
    """A selection of Gaussians at one time.

    Attributes:
        where: the selection; None: all.
        time: at which it is evaluated, seconds.
    """

    where: Selection | None
    time: float

    def rows(self, scene: DynamicScene) -> Tensor:
        """[n] bool of the scene's Gaussians."""
        dynamic_changes.check_within(scene, self.time, self.time)
        if self.where is None:
            return torch.ones(len(scene), dtype=torch.bool)
        now = scene.at(self.time)
        exists = _marked(scene, now, torch.ones(len(now), dtype=torch.bool))
        return with_followers(scene, _marked(scene, now, self.where.mask(now)), exists)


def edited(
    scene: DynamicScene, name: str, values: Mapping[str, Any], chosen: Moment, still: Still | None
) -> DynamicScene:
    """A dynamic scene after one edit.

    Args:
        scene: the scene before, not changed.
        name: of the edit.
        values: its arguments by name.
        chosen: the Gaussians to which it applies.
        still: the same edit of still Gaussians; None for edits of dynamic scenes only.

    Raises:
        SfumatoError: an argument is out of range, or one of its files is missing or broken.
    """
    if name == "add" and chosen.where is not None:
        raise ConfigError("add: files are added to all of a dynamic scene; leave the selection out")
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
    """The scene with some Gaussians transformed at all steps."""
    changed = changes.transformed(scene.gaussians.select(rows), matrix)
    columns = rows[scene.ids]
    means, quats = scene.means.clone(), scene.quats.clone()
    means[:, columns], quats[:, columns] = dynamic_changes.transformed_poses(
        means[:, columns], quats[:, columns], matrix
    )
    gaussians = changes.replaced(scene.gaussians, rows, changed)
    if rows.all():
        # This includes the transformed up axis.
        gaussians = changed
    return replace(scene, gaussians=gaussians, means=means, quats=quats)


def _kept(scene: DynamicScene, rows: Tensor, time: float) -> DynamicScene:
    return dynamic_changes.selected_dynamic(scene, rows)


def _deleted(scene: DynamicScene, rows: Tensor, time: float) -> DynamicScene:
    return dynamic_changes.selected_dynamic(scene, ~rows)


def _cleaned(scene: DynamicScene, rows: Tensor, time: float, **values: Any) -> DynamicScene:
    """Floaters at the given time are removed at all times."""
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
    return dynamic_changes.composed(scene, dynamic_changes.as_dynamic(load_inserted(file), scene.times))


def _with_attached(
    scene: DynamicScene, rows: Tensor, time: float, file: Path, by: Sequence[float] = (0.0, 0.0, 0.0)
) -> DynamicScene:
    placed = changes.transformed(load_inserted(file), changes.translation(by))
    rider = dynamic_changes.riding(placed, scene, rows[scene.ids], time)
    return dynamic_changes.composed(scene, rider)


def _from(scene: DynamicScene, rows: Tensor, time: float, seconds: float) -> DynamicScene:
    return dynamic_changes.cut(scene, start=seconds)


def _until(scene: DynamicScene, rows: Tensor, time: float, seconds: float) -> DynamicScene:
    return dynamic_changes.cut(scene, end=seconds)


def _marked(scene: DynamicScene, now: Scene, mask: Tensor) -> Tensor:
    """[n] bool for a mask of the Gaussians that exist at one time."""
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
    "ride": _with_attached,
    "from": _from,
    "until": _until,
}
# Arguments of the edits for dynamic scenes only.
ARGUMENTS: dict[str, tuple[Argument, ...]] = {
    "ride": (Argument("file", "path"), Argument("by", "vector", None)),
    "from": (Argument("seconds", "number"),),
    "until": (Argument("seconds", "number"),),
}


def check_selection(name: str, where: Selection | None) -> None:
    """Check that an edit has a selection if it needs one, and none if it cannot use one.

    Raises:
        ConfigError: it is missing or not allowed.
    """
    if where is None and name in ("keep", "delete", "ride"):
        raise ConfigError(f"{name} needs a selection of what to {name}{' on' * (name == 'ride')}")
    if where is not None and name in ("from", "until"):
        raise ConfigError(f"{name} is for the whole scene; leave the selection out")
