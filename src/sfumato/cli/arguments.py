"""Command-line arguments parsed into dataclasses; every error is one line."""

from __future__ import annotations

import contextlib
import difflib
import io
import math
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from sfumato.choices import LARGEST_INTEGER
from sfumato.cli.help import Help, set_help
from sfumato.errors import ConfigError

ALL_OPTIONS = "--help-all"
HELP_OPTIONS = frozenset({"-h", "--help", ALL_OPTIONS})
# Terminal widths at which error messages are not wrapped, and at which the panels of the help form one
# column.
_WIDE, _ONE_COLUMN = "4000", "129"
_FRAME = re.compile(r"[╭╮╰╯│─]")
_NEGATIVE = re.compile(r"-[\d.]")
_CHOICE = re.compile(r"invalid choice '(.*)' for argument '(?:.*/)?(.+?)'\. Expected one of \('(.*)'\)")
# Further messages of the parser, and our replacements.
_PLAINER = {
    r"error parsing (-\S+): ('.*)": r"\1 is \2",
    r"error parsing [^-]\S*: (.*)": r"\1",
    r"missing value for argument '(?:.*/)?(.+?)'\. Expected 1 values.*": r"\1 needs a value",
    r"missing value for argument '(?:.*/)?(.+?)'\. Expected (\d+) values.*": (
        r"\1 needs \2 values with spaces between them"
    ),
    r"unrecognized options: (.*)": r"too many arguments: \1",
}
_REGISTRY = ConstructorRegistry()
_EVERYTHING = Help()


@_REGISTRY.primitive_rule
def _numeric(kind: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Parses numbers with plain error messages; accepts 1e4 as a whole number."""
    if kind.type not in (int, float):
        return None
    read = _whole if kind.type is int else _real
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=kind.type.__name__.upper(),
        instance_from_str=lambda words: read(words[0]),
        is_instance=lambda value: isinstance(value, int | kind.type),
        str_from_instance=lambda value: [str(value)],
    )


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r}; give a number") from None


def _whole(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        try:
            as_float = float(text)
        except ValueError:
            as_float = math.nan
        if not math.isfinite(as_float) or as_float != int(as_float):
            raise ValueError(f"{text!r:.60}; give a whole number") from None
        value = int(as_float)
    if abs(value) > LARGEST_INTEGER:
        raise ValueError(f"{text!r:.60}; give a smaller whole number")
    return value


@_REGISTRY.primitive_rule
def _optional(kind: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Shows the type of an optional option without "|None"."""
    inner = [k for k in get_args(kind.type) if k is not NoneType]
    if (
        get_origin(kind.type) not in (Union, UnionType)
        or len(inner) != 1
        or NoneType not in get_args(kind.type)
    ):
        return None
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(inner[0], kind.markers))
    if not isinstance(spec, PrimitiveConstructorSpec):
        return None
    return replace(
        spec,
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: ["None"] if value is None else spec.str_from_instance(value),
    )


def parse(
    kind: Any,
    verb: str,
    arguments: Sequence[str],
    *,
    default: Any = None,
    also: Iterable[str] = (),
    shown: Help = _EVERYTHING,
) -> Any:
    """Parse the arguments of a verb.

    Args:
        kind: a dataclass, or a function that is called with the parsed arguments.
        verb: name of the command.
        arguments: arguments after the verb.
        default: an instance with the default options.
        also: options that the verb parses itself, for hints.
        shown: contents of ``--help``.

    Raises:
        ConfigError: an argument is unknown, missing, or has a wrong value.
        SystemExit: help was requested and printed.
    """
    prog = f"sfumato {verb}"
    given: dict[str, Any] = {"prog": prog, "args": arguments, "registry": _REGISTRY}
    if default is not None:
        given["default"] = default
    if HELP_OPTIONS & set(arguments):
        print(set_help(_help(kind, given), verb, shown, all_options=ALL_OPTIONS in arguments))
        raise SystemExit(0)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint), _columns(_WIDE):
            return tyro.cli(kind, **given)
    except SystemExit as exit:
        if not exit.code:
            raise
        known = [*_options_in_help(kind, given), *also, ALL_OPTIONS]
        message = _unknown_option(arguments, known) or _one_line(complaint.getvalue())
        raise ConfigError(f"{message}; see {prog} --help") from None


def resume_command(verb: str, arguments: Sequence[str]) -> str:
    """The command that resumes a stopped one in the same folder.

    Args:
        verb: name of the command.
        arguments: its arguments; ``--overwrite`` is removed, because it would start again.
    """
    return shlex.join(["sfumato", verb, *(word for word in arguments if word != "--overwrite")])


def _help(kind: Any, given: dict[str, Any]) -> str:
    """The help of the parser, with its panels in one column."""
    shown = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit), _columns(_ONE_COLUMN):
        tyro.cli(kind, **{**given, "args": ["--help"]})
    shown.seek(0)
    return shown.read()


def _options_in_help(kind: Any, given: dict[str, Any]) -> list[str]:
    """Names of the options in the help: after a panel border, a gap or the option's other name."""
    return re.findall(r"(?m)(?:^|  |│ |, )(--?\w[\w.-]*)", _help(kind, given))


def close_to(word: str, known: Iterable[str]) -> str | None:
    """The entry of ``known`` most similar to a word; None if none is similar."""
    plain = {name.lstrip("-").lower(): name for name in known}
    word = word.lstrip("-").lower()
    ends = [name for name in plain if name.endswith(f".{word}")]
    found = ends or difflib.get_close_matches(word, plain, n=1)
    return plain[found[0]] if found else None


def _unknown_option(arguments: Sequence[str], known: Sequence[str]) -> str:
    """An error message for the first unknown option; empty if there is none."""
    names = {name.replace("_", "-") for name in known}
    for argument in arguments:
        word = argument.partition("=")[0]
        if not word.startswith("-") or word in ("-", "--") or _NEGATIVE.match(word):
            continue
        if word.replace("_", "-") not in names:
            meant = close_to(word, known)
            return f"there is no option {word}" + (f"; perhaps you meant {meant}" if meant else "")
    return ""


def _one_line(box: str) -> str:
    """The error message in a panel of the parser, without its border and the repeated help."""
    rows = [_FRAME.sub("", row).strip() for row in box.splitlines()]
    # On simple terminals horizontal rules are dashes. The first rule may follow the title.
    title, *rows = [row if row.strip("-") else "" for row in rows]
    rows = rows[1:] if rows[:1] == [""] else rows
    message = rows[: rows.index("")]
    if title == "Required options":
        missing = [
            row for row, after in zip(message, [*message[1:], ""], strict=True) if "(required)" in after
        ]
        return f"missing: {' and '.join(missing)}"
    words = re.sub(r"\[/?bold\]", "", " ".join(message)).rstrip(".")
    words = f"{words[:1].lower()}{words[1:]}"
    if found := _CHOICE.fullmatch(words):
        given, option, choices = found.groups()
        there_are = choices.replace("', '", " or ")
        return f"{option} is {given!r}; give {there_are}"
    matches = ((re.fullmatch(theirs, words), ours) for theirs, ours in _PLAINER.items())
    return next((found.expand(ours) for found, ours in matches if found), words)


@contextlib.contextmanager
def _columns(width: str) -> Iterator[None]:
    """Context in which the parser sees a terminal of a given width."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = width
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
