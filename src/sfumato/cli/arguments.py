"""Arguments to dataclasses, with every complaint in one line."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from sfumato.errors import ConfigError

_WIDE = "4000"
_FRAME = re.compile(r"[╭╮╰╯│─]")
_REGISTRY = ConstructorRegistry()


@_REGISTRY.primitive_rule
def _optional(kind: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Shows an option that may be left out as what it is when it is given."""
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


def parse(kind: Any, verb: str, arguments: Sequence[str], *, default: Any = None) -> Any:
    """Parse the arguments of a verb.

    Args:
        kind: a dataclass, or a function that is called with what was parsed.
        verb: name of the command.
        arguments: after the verb.
        default: an instance whose values stand for options that are not given.

    Raises:
        ConfigError: an argument is unknown, missing, or has a wrong value.
        SystemExit: help was asked for and printed.
    """
    prog = f"sfumato {verb}"
    given: dict[str, Any] = {"prog": prog, "args": arguments, "registry": _REGISTRY}
    if default is not None:
        given["default"] = default
    if {"-h", "--help"} & set(arguments):
        return tyro.cli(kind, **given)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint), _columns(_WIDE):
            return tyro.cli(kind, **given)
    except SystemExit as exit:
        if not exit.code:
            raise
        raise ConfigError(f"{_one_line(complaint.getvalue())}; see {prog} --help") from None


def _one_line(box: str) -> str:
    """What a framed complaint says, without its frame and the help that it repeats."""
    rows = [_FRAME.sub("", row).strip() for row in box.splitlines()]
    # Rules are dashes where the terminal has no better; the first one after the title may stay there.
    title, *rows = [row if row.strip("-") else "" for row in rows]
    rows = rows[1:] if rows[:1] == [""] else rows
    said = rows[: rows.index("")]
    if title == "Required options":
        missing = [row for row, after in zip(said, [*said[1:], ""], strict=True) if "(required)" in after]
        return f"missing: {' and '.join(missing)}"
    hints = [row for row in rows if row.startswith("-")] if "Perhaps you meant:" in rows else []
    words = re.sub(r"\[/?bold\]", "", " ".join(said)).rstrip(".")
    return f"{words[:1].lower()}{words[1:]}" + (f"; perhaps you meant {hints[0]}" if hints else "")


@contextlib.contextmanager
def _columns(width: str) -> Iterator[None]:
    """While this lasts, texts are not wrapped."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = width
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
