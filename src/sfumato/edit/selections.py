"""Selections as values: named tests with arguments, joined by and, or, not.

As JSON, one key each::

    {"box": {"low": [x, y, z], "high": [x, y, z]}}      {"sphere": {"centre": [x, y, z], "radius": r}}
    {"plane": {"normal": [x, y, z], "offset": d}}       {"opacity": {"low": a, "high": b}}
    {"size": {"low": a, "high": b}}                     {"colour": {"rgb": [r, g, b], "within": d}}
    {"cluster": {"near": [x, y, z], "link": length}}    {"largest": {"link": length}}
    {"masks": {"data": folder, "masks": folder, "share": s}}             {"floaters": {}}
    {"polygon": {"camera_from_world": [4 rows], "focal_px": [fx, fy], "centre_px": [cx, cy],
                 "points_px": [[x, y], ...]}}
    {"brush": {"camera_from_world": [4 rows], "focal_px": [fx, fy], "centre_px": [cx, cy], "radius_px": r,
               "points_px": [[x, y], ...]}}
    {"not": selection}      {"and": [selection, ...]}      {"or": [selection, ...]}

As command-line text, "box:0,0,0,1,1,1 and not opacity:..0.1 or sphere:0,0,0,2": arguments in the order
above; "and" binds tighter than "or", and parentheses join what belongs together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from sfumato.edit import parameters as arguments
from sfumato.edit.clean import floaters
from sfumato.edit.clusters import in_cluster, in_largest_cluster
from sfumato.edit.mask_files import read_masked_views
from sfumato.edit.masked_views import SHARE, in_masks
from sfumato.edit.outlines import in_polygon, under_brush
from sfumato.edit.parameters import Argument
from sfumato.edit.select import (
    beyond_plane,
    colour_near,
    in_box,
    in_sphere,
    opacity_between,
    size_between,
)
from sfumato.errors import ConfigError
from sfumato.scene.gaussians import Gaussians

_DEEPEST = 100


class Selection(Protocol):
    """A selection of Gaussians."""

    def mask(self, gaussians: Gaussians) -> Tensor:
        """[n] bool, True for selected Gaussians."""
        ...

    def plain(self) -> dict[str, Any]:
        """The selection as JSON."""
        ...

    def paths_mapped(self, function: Callable[[Path], Path]) -> Selection:
        """The same with its paths changed."""
        ...


@dataclass(frozen=True)
class Test:
    """A test of each Gaussian.

    Attributes:
        name: in ``TESTS``.
        values: its arguments by name.
    """

    __test__ = False

    name: str
    values: Mapping[str, Any]

    def mask(self, gaussians: Gaussians) -> Tensor:
        """[n] bool, True for selected Gaussians."""
        return TESTS[self.name][0](gaussians, **self.values)

    def plain(self) -> dict[str, Any]:
        """The selection as JSON."""
        return {self.name: {key: arguments.to_plain(value) for key, value in self.values.items()}}

    def paths_mapped(self, function: Callable[[Path], Path]) -> Test:
        """The same with its paths changed."""
        values = {k: function(v) if isinstance(v, Path) else v for k, v in self.values.items()}
        return Test(self.name, values)


@dataclass(frozen=True)
class Joined:
    """A logical combination of selections.

    Attributes:
        how: "and", "or", or "not", which has one part.
        parts: one or more.
    """

    how: str
    parts: tuple[Selection, ...]

    def mask(self, gaussians: Gaussians) -> Tensor:
        """[n] bool, True for selected Gaussians."""
        masks = [part.mask(gaussians) for part in self.parts]
        if self.how == "not":
            return ~masks[0]
        return reduce(torch.logical_and if self.how == "and" else torch.logical_or, masks)

    def plain(self) -> dict[str, Any]:
        """The selection as JSON."""
        parts = [part.plain() for part in self.parts]
        return {self.how: parts[0] if self.how == "not" else parts}

    def paths_mapped(self, function: Callable[[Path], Path]) -> Joined:
        """The same with its paths changed."""
        return Joined(self.how, tuple(part.paths_mapped(function) for part in self.parts))


def in_mask_files(gaussians: Gaussians, data: Path, masks: Path, share: float = SHARE) -> Tensor:
    """Select Gaussians marked in the masks of a dataset's photographs.

    Args:
        gaussians: the scene.
        data: the posed dataset.
        masks: folder of masks, named like the photographs.
        share: least fraction of marked pictures among those in whose frame the centre lies.

    Returns:
        [n] bool.

    Raises:
        CaptureError: the dataset or a mask is broken, or there is none.
    """
    return in_masks(gaussians, read_masked_views(data, masks), share)


_PINHOLE = (
    Argument("camera_from_world", "matrix"),
    Argument("focal_px", "pair"),
    Argument("centre_px", "pair"),
)
_RANGE = (Argument("low", "number", 0.0), Argument("high", "number", None))
TESTS: dict[str, tuple[Callable[..., Tensor], tuple[Argument, ...]]] = {
    "box": (in_box, (Argument("low", "vector"), Argument("high", "vector"))),
    "sphere": (in_sphere, (Argument("centre", "vector"), Argument("radius", "number"))),
    "plane": (beyond_plane, (Argument("normal", "vector"), Argument("offset", "number"))),
    "opacity": (opacity_between, _RANGE),
    "size": (size_between, _RANGE),
    "colour": (colour_near, (Argument("rgb", "vector"), Argument("within", "number"))),
    "cluster": (in_cluster, (Argument("near", "vector"), Argument("link", "number"))),
    "largest": (in_largest_cluster, (Argument("link", "number"),)),
    "floaters": (floaters, (Argument("reach", "number", None), Argument("members", "whole", None))),
    "polygon": (in_polygon, (*_PINHOLE, Argument("points_px", "points"))),
    "brush": (under_brush, (*_PINHOLE, Argument("radius_px", "number"), Argument("points_px", "points"))),
    "masks": (
        in_mask_files,
        (Argument("data", "path"), Argument("masks", "path"), Argument("share", "number", SHARE)),
    ),
}


def selection_from_plain(value: object, where: str, depth: int = 0) -> Selection:
    """Parse a selection from JSON.

    Args:
        value: untrusted, in the form described above.
        where: context for errors.
        depth: of nesting.

    Raises:
        ConfigError: it is not a selection.
    """
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ConfigError(
            f'{where}: a selection is an object with one key, such as {{"box": ...}}, not {value!r:.60}'
        )
    if depth > _DEEPEST:
        raise ConfigError(f"{where}: selections are nested too deeply; {_DEEPEST} is the most")
    ((name, inner),) = value.items()
    if name == "not":
        return Joined("not", (selection_from_plain(inner, where, depth + 1),))
    if name in ("and", "or"):
        if not isinstance(inner, list) or not inner:
            raise ConfigError(f"{where}: {name!r} takes a list of selections, not {inner!r:.60}")
        return Joined(name, tuple(selection_from_plain(part, where, depth + 1) for part in inner))
    return Test(name, arguments.from_plain(_known(name, where), inner, f"{where}: {name}"))


def selection_from_text(text: str, where: str) -> Selection:
    """Parse a selection from command-line text.

    Args:
        text: such as "box:0,0,0,1,1,1 and not opacity:..0.1".
        where: the option, for errors.

    Raises:
        ConfigError: it is not a selection.
    """
    return _from_text(text, where, 0)


def _from_text(text: str, where: str, depth: int) -> Selection:
    if depth > _DEEPEST:
        raise ConfigError(f"{where}: selections are nested too deeply; {_DEEPEST} is the most")
    for how in ("or", "and"):
        parts = _parts(text, f" {how} ")
        if len(parts) > 1:
            return Joined(how, tuple(_from_text(part, where, depth + 1) for part in parts))
    text = text.strip()
    if text.startswith("not "):
        return Joined("not", (_from_text(text[4:], where, depth + 1),))
    if text.startswith("(") and text.endswith(")"):
        return _from_text(text[1:-1], where, depth + 1)
    name, _, values = text.partition(":")
    return Test(name, arguments.from_text(_known(name, where), values, f"{where} {name}"))


def _parts(text: str, between: str) -> list[str]:
    """Split text at separators outside of parentheses."""
    pieces = text.split(between)
    parts, open_now = pieces[:1], 0
    for before, piece in pairwise(pieces):
        open_now = max(0, open_now + before.count("(") - before.count(")"))
        if open_now:
            parts[-1] += between + piece
        else:
            parts.append(piece)
    return parts


def _known(name: object, where: str) -> tuple[Argument, ...]:
    if name not in TESTS:
        raise ConfigError(f"{where}: there is no selection {name!r:.40}; there are: {', '.join(TESTS)}")
    return TESTS[name][1]
