"""Edit scripts: a list of edits as JSON, which can be replayed.

::

    {"version": 1, "edits": [
        {"do": "keep", "where": {"box": {"low": [-1, -1, -1], "high": [1, 1, 1]}}},
        {"do": "delete", "where": {"and": [{"opacity": {"high": 0.05}}, {"size": {"low": 0.5}}]}},
        {"do": "rotate", "degrees": [0, 90, 0]},
        {"do": "tint", "gain": [1, 0.9, 0.8], "where": {"sphere": {"centre": [0, 0, 0], "radius": 1}}},
        {"do": "add", "file": "chair.ply"},
        {"do": "clean"},
        {"do": "delete", "at": 0.5, "where": {"sphere": {"centre": [0, 0, 0], "radius": 1}}}
    ]}

Edits are applied in order. "where" is a selection (:mod:`sfumato.edit.selections`), evaluated on the scene at
that point; keep and delete require it, for other edits it is optional. Relative paths are relative to the
script. Lengths are scene units in the frame of the file, rotations are about its origin.

Dynamic scenes are edited at all times: a selection is evaluated at one time, "at" seconds or the first step,
and the edit applies to the selected Gaussians at all times (:mod:`sfumato.edit.moving`). Three edits are for
dynamic scenes only: {"do": "ride", "file": "hat.ply", "by": [0, -1, 0], "where": ...}, which adds a still
scene that follows the selected Gaussians, {"do": "from", "seconds": 0.5} and {"do": "until", "seconds": 2}.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor

from sfumato.edit import moving, recolour
from sfumato.edit import parameters as arguments
from sfumato.edit.clean import cleaned
from sfumato.edit.inserted import load_inserted
from sfumato.edit.parameters import Argument
from sfumato.edit.selections import Selection, selection_from_plain
from sfumato.errors import ConfigError, FormatError
from sfumato.json_files import read_given_json
from sfumato.outputs import write_json
from sfumato.scene import changes
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.gaussians import Gaussians

MAX_SCRIPT_BYTES = 1 << 22


@dataclass(frozen=True)
class Edit:
    """One edit.

    Attributes:
        name: in ``EDITS``.
        values: its arguments by name.
        where: the Gaussians it applies to; None: all.
        at: for a dynamic scene, the time at which they are selected, seconds; None: its first step.
    """

    name: str
    values: Mapping[str, Any]
    where: Selection | None = None
    at: float | None = None

    def __post_init__(self) -> None:
        moving.check_selection(self.name, self.where)

    @overload
    def __call__(self, scene: Gaussians) -> Gaussians: ...
    @overload
    def __call__(self, scene: DynamicScene) -> DynamicScene: ...
    def __call__(self, scene: Gaussians | DynamicScene) -> Gaussians | DynamicScene:
        """The edited scene."""
        return self._of_still(scene) if isinstance(scene, Gaussians) else self._of_moving(scene)

    def _of_moving(self, scene: DynamicScene) -> DynamicScene:
        time = float(scene.times[0]) if self.at is None else self.at
        still = EDITS.get(self.name, (None,))[0]
        return moving.edited(scene, self.name, self.values, moving.Moment(self.where, time), still)

    def _of_still(self, gaussians: Gaussians) -> Gaussians:
        if self.name not in EDITS or self.at is not None:
            what = self.name if self.name not in EDITS else "at"
            raise ConfigError(f"{what} is for dynamic scenes, and this one is static")
        function = EDITS[self.name][0]
        if self.where is None:
            return function(gaussians, **self.values)
        chosen = self.where.mask(gaussians)
        if self.name == "keep":
            return gaussians.select(chosen)
        return _put_back(gaussians, chosen, function(gaussians.select(chosen), **self.values))

    def plain(self) -> dict[str, Any]:
        """The edit as JSON."""
        values = {key: arguments.to_plain(value) for key, value in self.values.items()}
        at = {} if self.at is None else {"at": self.at}
        return {"do": self.name, **values, **at, **({"where": self.where.plain()} if self.where else {})}

    def paths_mapped(self, function: Callable[[Path], Path]) -> Edit:
        """The same with its paths changed."""
        values = {k: function(v) if isinstance(v, Path) else v for k, v in self.values.items()}
        where = self.where.paths_mapped(function) if self.where else None
        return replace(self, values=values, where=where)


@overload
def replay(scene: Gaussians, edits: Sequence[Edit]) -> Gaussians: ...
@overload
def replay(scene: DynamicScene, edits: Sequence[Edit]) -> DynamicScene: ...
def replay(scene: Gaussians | DynamicScene, edits: Sequence[Edit]) -> Gaussians | DynamicScene:
    """The scene after all edits.

    Args:
        scene: the scene before, still or dynamic; not changed.
        edits: in order.

    Raises:
        SfumatoError: an edit's arguments are out of range, or one of its files is missing or broken.
    """
    for edit in edits:
        scene = edit(scene)
    return scene


def read_script(path: Path) -> tuple[Edit, ...]:
    """The edits of a script.

    Raises:
        ConfigError: the file is missing, or an edit is unknown or has wrong arguments.
        FormatError: the file is not a script.
    """
    edits = edits_from_plain(read_given_json(path, "script of edits", MAX_SCRIPT_BYTES), str(path))
    return tuple(edit.paths_mapped(lambda inner: path.parent / inner) for edit in edits)


def edits_from_plain(document: object, where: str) -> tuple[Edit, ...]:
    """Parse the JSON of a script; paths are not changed.

    Args:
        document: untrusted.
        where: name of the document for errors.

    Raises:
        ConfigError: an edit is unknown or has wrong arguments.
        FormatError: the document is not a script.
    """
    edits = document.get("edits") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(edits, list) or document.get("version") != 1:
        raise FormatError(f'{where} is not a script of edits; it needs {{"version": 1, "edits": [...]}}')
    return tuple(edit_from_plain(edit, f"{where}: edit {i}") for i, edit in enumerate(edits, start=1))


def write_script(path: Path, edits: Sequence[Edit]) -> None:
    """Write edits as JSON; paths become relative to it.

    Args:
        path: the file.
        edits: in order.

    Raises:
        SfumatoError: the file cannot be written.
    """
    folder = path.absolute().parent

    def relative(inner: Path) -> Path:
        try:
            return Path(os.path.relpath(inner.absolute(), folder))
        except ValueError:  # another drive
            return inner.absolute()

    write_json(path, {"version": 1, "edits": [edit.paths_mapped(relative).plain() for edit in edits]})


def edit_from_plain(value: object, where: str) -> Edit:
    """Parse an edit from JSON.

    Args:
        value: untrusted, in the form described above.
        where: context for errors.

    Raises:
        ConfigError: it is unknown or has wrong arguments.
    """
    if not isinstance(value, Mapping) or "do" not in value:
        raise ConfigError(f'{where} must be an object with "do", not {value!r:.60}')
    name = value["do"]
    if not isinstance(name, str) or name not in ARGUMENTS:
        raise ConfigError(f"{where}: there is no edit {name!r:.40}; there are: {', '.join(ARGUMENTS)}")
    where = f"{where}, {name}"
    selection = selection_from_plain(value["where"], where) if "where" in value else None
    at = arguments.from_plain(AT, {"at": value["at"]}, where)["at"] if "at" in value else None
    rest = {key: inner for key, inner in value.items() if key not in ("do", "where", "at")}
    return Edit(name, arguments.from_plain(ARGUMENTS[name], rest, where), selection, at)


def _put_back(gaussians: Gaussians, chosen: Tensor, changed: Gaussians) -> Gaussians:
    """The scene with the chosen Gaussians replaced: in place if their number is the same, else at the end."""
    if not len(changed):
        return gaussians.select(~chosen)
    if len(changed) != int(chosen.sum()):
        return changes.merged(gaussians.select(~chosen), changed)
    return changes.replaced(gaussians, chosen, changed)


def _moved(name: str) -> Callable[..., Gaussians]:
    return lambda gaussians, **values: changes.transformed(gaussians, moving.MATRICES[name](**values))


def _duplicated(gaussians: Gaussians, by: Sequence[float]) -> Gaussians:
    return changes.merged(gaussians, changes.transformed(gaussians, changes.translation(by)))


def _with_file(gaussians: Gaussians, file: Path) -> Gaussians:
    return changes.merged(gaussians, load_inserted(file))


def _nothing(gaussians: Gaussians) -> Gaussians:
    return gaussians.select(torch.zeros(len(gaussians), dtype=torch.bool))


# The function of each edit, which applies to all given Gaussians, and its arguments.
EDITS: dict[str, tuple[Callable[..., Gaussians], tuple[Argument, ...]]] = {
    "keep": (lambda gaussians: gaussians, ()),
    "delete": (_nothing, ()),
    "clean": (cleaned, (Argument("reach", "number", None), Argument("members", "whole", None))),
    "translate": (_moved("translate"), (Argument("by", "vector"),)),
    "rotate": (_moved("rotate"), (Argument("degrees", "vector"),)),
    "scale": (_moved("scale"), (Argument("factor", "number"),)),
    "transform": (_moved("transform"), (Argument("matrix", "matrix"),)),
    "duplicate": (_duplicated, (Argument("by", "vector"),)),
    "paint": (recolour.painted, (Argument("rgb", "vector"),)),
    "tint": (recolour.tinted, (Argument("gain", "vector"),)),
    "saturate": (recolour.saturated, (Argument("factor", "number"),)),
    "fade": (recolour.faded, (Argument("factor", "number"),)),
    "degree": (changes.with_degree, (Argument("degree", "whole"),)),
    "add": (_with_file, (Argument("file", "path"),)),
}
# The arguments of every edit, including those of dynamic scenes.
ARGUMENTS: dict[str, tuple[Argument, ...]] = {
    **{name: parameters for name, (_, parameters) in EDITS.items()},
    **moving.ARGUMENTS,
}
AT = (Argument("at", "number"),)
