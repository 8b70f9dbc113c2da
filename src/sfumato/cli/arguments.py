"""Arguments to dataclasses, with every complaint in one line."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import tyro

from sfumato.errors import ConfigError

Options = TypeVar("Options")

_WIDE = "4000"
_FRAME = re.compile(r"[╭╮╰╯│─]")
_PREFIX = re.compile(r"^(?:Unrecognized options: |Missing from [^:]*: )")


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
    given = {} if default is None else {"default": default}
    if {"-h", "--help"} & set(arguments):
        return tyro.cli(kind, prog=prog, args=arguments, **given)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint), _columns(_WIDE):
            return tyro.cli(kind, prog=prog, args=arguments, **given)
    except SystemExit as exit:
        if not exit.code:
            raise
        raise ConfigError(f"{_one_line(complaint.getvalue())}; see {prog} --help") from None


def _one_line(box: str) -> str:
    """What a framed complaint says, without its frame and the help it repeats."""
    rows = [_FRAME.sub("", row).strip() for row in box.splitlines() if row.strip(" │")]
    # The first row is the title; a rule, empty now, ends the complaint itself.
    end = rows.index("", 1) if "" in rows[1:] else len(rows)
    words = " ".join(rows[1:end])
    hints = [row for row in rows[end:] if row.startswith("-")][:1] if "Perhaps you meant:" in rows else []
    said = words.split(" Got errors:")[0]
    return said + (f"; perhaps you meant {hints[0]}" if hints else "")


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
