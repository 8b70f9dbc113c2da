"""Help of a command: in plain columns, only the common options unless all are requested."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

_NARROWEST, _WIDEST, _COLUMN = 60, 100, 26
_EDGE = re.compile(r"^│ (.*?) *│$")
_TITLE = re.compile(r"^╭─ (.*?) ─+╮$")
_OPTION_NAME = re.compile(r"(?<![\w.-])--?[a-z][\w.-]*")
# In docstrings the default is None, followed by its meaning; the help shows only the meaning.
_PLAINER = {
    r" *\(default: (?:None|False|)\)": "",
    r"([;,]) None: ": r"\1 by default ",
    r"^None: ": "by default ",
    r"\(default: True\)": "(on by default)",
    r"``": "",
}


@dataclass(frozen=True)
class Help:
    """Contents of the help of a command.

    Attributes:
        common: names of the options that ``--help`` shows, without dashes; None: all.
        examples: complete example commands.
    """

    common: Collection[str] | None = None
    examples: tuple[str, ...] = ()


@dataclass
class _Group:
    title: str
    words: str = ""
    entries: list[tuple[str, str]] = field(default_factory=list)


def set_help(framed: str, verb: str, shown: Help, *, all_options: bool) -> str:
    """Reformat the help of a command.

    Args:
        framed: help of the parser, with its panels in one column.
        verb: name of the command.
        shown: contents.
        all_options: also show options that are not common.
    """
    head, groups = _read(framed.splitlines())
    width = min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)
    usage, *description = [paragraph for paragraph in head if paragraph]
    lines = [usage.replace("[-h] ", ""), ""]
    for paragraph in description:
        lines += [*textwrap.wrap(paragraph, width), ""]
    hidden = 0
    for group in groups:
        entries = [
            entry for entry in group.entries if all_options or _is_common(entry[0], shown.common, group.title)
        ]
        hidden += len(group.entries) - len(entries)
        if entries:
            lines += [*textwrap.wrap(f"{group.title}: {group.words}", width), *_columns(entries, width), ""]
    if hidden:
        lines += [f"{hidden} more options: sfumato {verb} --help-all", ""]
    if shown.examples:
        lines += ["Examples:", *(f"  {example}" for example in shown.examples), ""]
    return "\n".join(lines[:-1])


def _read(lines: list[str]) -> tuple[list[str], list[_Group]]:
    """Paragraphs before the first panel, and the panels: arguments and options of the command first."""
    head, groups = list[str](), list[_Group]()
    for line in lines:
        if title := _TITLE.match(line):
            groups.append(_Group(title[1].replace("positional ", "").capitalize()))
        elif not groups:
            head.append(line.strip())
        elif row := _EDGE.match(line):
            _take(groups[-1], row[1])
    for group in groups:
        group.entries = [entry for entry in group.entries if entry[0] != "-h, --help"]
    return head, sorted(groups, key=lambda group: group.title not in ("Arguments", "Options"))


def _take(group: _Group, row: str) -> None:
    """Add a row of a panel: a name, or the continuation of a name's help or of the title's text."""
    words = row.strip()
    if set(words) == {"─"}:
        return
    if row.startswith(" ") and group.entries:
        name, before = group.entries[-1]
        group.entries[-1] = name, f"{before} {words}".strip()
    elif group.title == "Arguments" or words.startswith("-"):
        # Short names are on the same row as their help, separated by a gap.
        name, _, rest = words.partition("  ")
        group.entries.append((_invocation(name), rest.strip()))
    else:
        group.words = f"{group.words} {words}".strip()


def _invocation(name: str) -> str:
    """Shorten ``-o PATH, --out PATH`` to ``-o, --out PATH``."""
    return re.sub(r"^(-\w) (\S+), (--\S+) \2$", r"\1, \3 \2", name)


def _is_common(name: str, common: Collection[str] | None, title: str) -> bool:
    names = {option.lstrip("-") for option in _OPTION_NAME.findall(name)}
    return common is None or title == "Arguments" or not names.isdisjoint(common)


def _columns(entries: list[tuple[str, str]], width: int) -> Iterator[str]:
    """Lines with names in the left column and their help in the right one."""
    for name, words in entries:
        for theirs, ours in _PLAINER.items():
            words = re.sub(theirs, ours, words)
        rows = textwrap.wrap(words, width - _COLUMN) or [""]
        if len(name) + 4 > _COLUMN:
            yield f"  {name}"
            name = ""
        for row in rows:
            yield f"  {name:{_COLUMN - 2}}{row}".rstrip()
            name = ""
