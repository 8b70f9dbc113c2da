"""All options of a training run, and their form in ``config.json``."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from math import isfinite
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from sfumato.choices import LARGEST_INTEGER, check_choices
from sfumato.errors import ConfigError
from sfumato.runs.block_file import read_block
from sfumato.training.config import TrainConfig

if TYPE_CHECKING:
    from sfumato.capture.dataset import Capture

_log = logging.getLogger("sfumato")

# Options that may change when a run is resumed: its length and how often it is saved.
MAY_CHANGE = ("train.steps", "train.minutes", "checkpoint_every")


@dataclass(frozen=True)
class CaptureOptions:
    """How photographs are read.

    Attributes:
        downscale: factor by which photographs are reduced, by area average; None: chosen by the time of the
            run, or 1 where it has none (``--steps``).
        test_every: hold out every Nth photograph, sorted by file name, to measure quality; 0: none.
        alpha: meaning of an alpha channel: transparency, or a mask of pixels to ignore; auto: transparency
            in Blender datasets, a mask elsewhere.
        background: red, green and blue in [0, 1] behind transparent photographs; None: white.
        undistort: undistort every photograph to a pinhole camera; off: photographs keep their lens and are
            rendered ray by ray, best with the renderer trace. Panoramas are never undistorted.
    """

    downscale: int | None = None
    test_every: int = 8
    alpha: Literal["auto", "transparency", "mask"] = "auto"
    background: tuple[float, float, float] | None = None
    undistort: bool = True

    def __post_init__(self) -> None:
        check_choices(self)

    def load(self, data: Path, *, seed: int) -> Capture:
        """Read a dataset with these options."""
        from sfumato.capture.dataset import load_capture

        return load_capture(data, **vars(self.completed()), seed=seed)

    def completed(self) -> CaptureOptions:
        """The same options, at full size if no downscale is given."""
        return replace(self, downscale=1) if self.downscale is None else self


@dataclass(frozen=True)
class RunOptions:
    """A run.

    Attributes:
        data: the dataset.
        capture: how it is read.
        train: how to train.
        init: a scene to start from, or None for the dataset's points.
        checkpoint_every: steps between two checkpoints; None: about one a minute.
        block: file that says which part of a scene is trained; None: all of it.
    """

    data: Path
    capture: CaptureOptions = field(default_factory=CaptureOptions)
    train: TrainConfig = field(default_factory=TrainConfig)
    init: Path | None = None
    checkpoint_every: int | None = None
    block: Path | None = None

    def __post_init__(self) -> None:
        if self.checkpoint_every is not None and self.checkpoint_every < 1:
            raise ConfigError(f"checkpoint_every is {self.checkpoint_every}; give at least 1")

    def read_capture(self, data: Path | None = None) -> Capture:
        """Read the dataset, from ``data`` if it was moved.

        Raises:
            SfumatoError: it cannot be read with these options.
        """
        capture = self.capture.load(data or self.data, seed=self.train.seed)
        return capture if self.block is None else read_block(self.block).of(capture)

    def to_plain(self) -> dict[str, Any]:
        """Nested tables of plain values, ready for JSON."""
        return plain(asdict(self))

    def changed(self) -> list[str]:
        """Options that differ from the defaults, as command-line arguments."""
        words = list[str]()
        for name, _, now in differences(RunOptions(self.data).to_plain(), self.to_plain()):
            group, dot, option = _option(name).removeprefix("--").rpartition(".")
            if isinstance(now, bool):
                words.append(f"--{group}{dot}{'' if now else 'no-'}{option}")
            else:
                words += [_option(name), *map(str, now if isinstance(now, list) else [now])]
        return words

    @staticmethod
    def from_plain(values: object, source: Path) -> RunOptions:
        """The options from the result of ``to_plain``.

        Args:
            values: nested tables, untrusted.
            source: the file, named in errors.

        Raises:
            ConfigError: an option is unknown, or of another type.
        """
        return record(RunOptions, values, source)


def check_same_run(old: RunOptions, new: RunOptions) -> None:
    """Refuse to resume a run with options other than its own.

    The path of the dataset may have changed; its content is compared elsewhere.

    Raises:
        ConfigError: an option differs.
    """
    for name, before, now in differences(old.to_plain(), new.to_plain()):
        if name != "data" and name not in MAY_CHANGE:
            raise ConfigError(
                f"{_option(name)} is {now} but the run to resume has {before}; "
                "leave it out, or begin another run"
            )


def check_same_command(old: RunOptions, new: RunOptions, out: Path) -> None:
    """Refuse to resume a run whose options differ from the given ones.

    Args:
        old: of the run in ``out``.
        new: options given now.
        out: the run folder.

    Raises:
        ConfigError: an option differs.
    """
    differing = [
        f"{_option(name)} {before} there, {now} now"
        for name, before, now in differences(old.to_plain(), new.to_plain())
        if name != "checkpoint_every"
    ]
    if differing:
        raise ConfigError(
            f"{out} holds a run already, with other options ({'; '.join(differing)}); give --resume to go "
            "on with it or make it longer, --overwrite to replace it, or another --out"
        )


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Name, old and new value of the differences between two nested tables of options."""
    before = dict(_leaves(old))
    return [(name, before.get(name), now) for name, now in _leaves(new) if before.get(name) != now]


def _option(name: str) -> str:
    if name == "data":
        return "DATA"
    return "--" + name.removeprefix("train.").removeprefix("capture.").replace("_", "-")


def plain(value: Any) -> Any:
    """A value of nested tables of options, ready for JSON."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _leaves(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def record(kind: type, values: object, source: Path) -> Any:
    """A dataclass of options from untrusted nested tables.

    Options missing from the tables, as in files of older versions, take their defaults, with a warning.

    Args:
        kind: the dataclass.
        values: the tables.
        source: the file, named in errors.

    Raises:
        ConfigError: an option is unknown, of another type, or missing and has no default.
    """
    missing: list[str] = []
    found = _record(kind, values, source, "", missing)
    if missing:
        _log.warning("%s is of a version without %s: defaults are taken", source, ", ".join(missing))
    return found


def _record(kind: type, values: object, source: Path, place: str, missing: list[str]) -> Any:
    if not isinstance(values, dict):
        raise ConfigError(f"{source}: {place or 'the whole'} is not a table of options; begin another run")
    known = {f.name: f for f in fields(kind)}
    for name in sorted({str(key) for key in values} - known.keys()):
        raise ConfigError(f"{source}: option {place}{name} is unknown; it was written by another version")
    lacking = sorted(known.keys() - values.keys())
    for name in lacking:
        if known[name].default is MISSING and known[name].default_factory is MISSING:
            raise ConfigError(f"{source}: option {place}{name} is missing; begin another run")
    missing += [place + name for name in lacking]
    kinds = get_type_hints(kind)
    return kind(
        **{
            name: _typed(kinds[name], values[name], source, place + name, missing)
            for name in known
            if name in values
        }
    )


def _typed(kind: Any, value: Any, source: Path, place: str, missing: list[str]) -> Any:
    """``value`` converted to ``kind``, one of the types of options."""
    if isinstance(kind, type) and is_dataclass(kind):
        return _record(kind, value, source, place + ".", missing)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value is None and NoneType in inner:
            return None
        return _typed(next(k for k in inner if k is not NoneType), value, source, place, missing)
    if origin is Literal and value in inner:
        return value
    if origin is tuple and isinstance(value, list):
        kinds = inner[:1] * len(value) if inner[1:] == (...,) else inner
        if len(value) == len(kinds):
            return tuple(_typed(k, v, source, place, missing) for k, v in zip(kinds, value, strict=True))
    if kind is Path and isinstance(value, str) and "\0" not in value:
        return Path(value)
    if kind is bool and isinstance(value, bool):
        return value
    is_whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_INTEGER
    if (kind in (int, float) and is_whole) or (
        kind is float and isinstance(value, float) and isfinite(value)
    ):
        return kind(value)
    if kind is str and isinstance(value, str):
        return value
    # Python refuses to print very long integers.
    is_huge = isinstance(value, int) and abs(value) > LARGEST_INTEGER
    shown = "a huge number" if is_huge else repr(str(value)[:40])
    raise ConfigError(f"{source}: option {place} has the value {shown}, which it cannot have")
