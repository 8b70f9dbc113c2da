"""Arguments of edits and selections, as JSON and as command-line text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard

from sfumato.errors import ConfigError

# Numbers of each kind in text; points take what is left.
_COUNTS = {"number": 1, "whole": 1, "path": 1, "pair": 2, "vector": 3, "matrix": 16, "points": 2}
_WORDS = {
    "number": "a number",
    "whole": "a whole number",
    "path": "a path",
    "pair": "a list of 2 numbers",
    "vector": "a list of 3 numbers",
    "matrix": "4 lists of 4 numbers",
    "points": "a list of up to 4096 lists of 2 numbers",
}
_MOST_POINTS = 4096
REQUIRED = object()


@dataclass(frozen=True)
class Argument:
    """One argument.

    Attributes:
        name: as in JSON and in Python.
        kind: its type; a matrix is [4, 4], row by row; points are any number of pairs, and the last argument.
        default: value if it is left out.
    """

    name: str
    kind: Literal["number", "whole", "path", "pair", "vector", "matrix", "points"]
    default: Any = REQUIRED


def from_plain(parameters: Sequence[Argument], values: object, where: str) -> dict[str, Any]:
    """Parse arguments from a JSON object.

    Args:
        parameters: the known arguments.
        values: the untrusted object.
        where: context for errors.

    Returns:
        Values by name, without those that take their default.

    Raises:
        ConfigError: one is unknown, missing or of another kind.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where} must hold an object, not {values!r:.60}")
    known = {parameter.name: parameter for parameter in parameters}
    for name in values:
        if name not in known:
            raise ConfigError(f"{where} has no {name!r}; there are: {', '.join(known) or 'none'}")
    for name, parameter in known.items():
        if name not in values and parameter.default is REQUIRED:
            raise ConfigError(f"{where} lacks {name!r}, {_WORDS[parameter.kind]}")
    return {name: _plain_value(known[name], value, where) for name, value in values.items()}


def from_text(parameters: Sequence[Argument], text: str, where: str) -> dict[str, Any]:
    """Parse arguments from text: ``1,2,3,0.5``, ``0.1..0.9`` for a low and a high number, ``name=value,...``.

    Args:
        parameters: the known arguments.
        text: the text.
        where: context for errors.

    Returns:
        Values by name, without those that take their default.

    Raises:
        ConfigError: there are too few or too many, or one is of another kind.
    """
    if [parameter.name for parameter in parameters] == ["low", "high"] and ".." in text:
        low, high = text.split("..", 1)
        pairs = {"low": low, "high": high}
        return {name: _number(word, where) for name, word in pairs.items() if word.strip()}
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if words and "=" in words[0]:
        return _named(parameters, words, where)
    values: dict[str, Any] = {}
    for parameter in parameters:
        count = len(words) // 2 * 2 if parameter.kind == "points" else _COUNTS[parameter.kind]
        if not words and parameter.default is not REQUIRED:
            break
        if len(words) < max(count, 1):
            raise ConfigError(f"{where} takes {_form(parameters)}, not {text!r}")
        values[parameter.name] = _value_of_words(parameter, words[:count], where)
        words = words[count:]
    if words:
        raise ConfigError(f"{where} takes {_form(parameters)}, not {text!r}")
    return values


def to_plain(value: object) -> Any:
    """A value in JSON form."""
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    return value.as_posix() if isinstance(value, Path) else value


def _named(parameters: Sequence[Argument], words: Sequence[str], where: str) -> dict[str, Any]:
    known = {parameter.name: parameter for parameter in parameters if _COUNTS[parameter.kind] == 1}
    values = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in known:
            raise ConfigError(f"{where} has no {name!r}; there are: {', '.join(known) or 'none'}")
        values[name] = _value_of_words(known[name], [text], where)
    return values


def _form(parameters: Sequence[Argument]) -> str:
    forms = {
        "pair": "{0}x,{0}y",
        "vector": "{0}x,{0}y,{0}z",
        "matrix": "16 numbers row by row",
        "points": "X,Y,X,Y,...",
    }
    if [parameter.kind for parameter in parameters] == ["vector"]:
        return "3 numbers with commas between them"
    words = []
    for parameter in parameters:
        form = forms.get(parameter.kind, "{0}").format(
            parameter.name.upper() + "_" * (parameter.kind in ("pair", "vector"))
        )
        words.append(form if parameter.default is REQUIRED else f"[{form}]")
    return ",".join(words) or "nothing"


def _value_of_words(parameter: Argument, words: Sequence[str], where: str) -> Any:
    if parameter.kind == "path":
        return Path(words[0])
    numbers = tuple(_number(word, where) for word in words)
    if parameter.kind == "matrix":
        return tuple(numbers[row : row + 4] for row in range(0, 16, 4))
    if parameter.kind == "points":
        if len(numbers) > 2 * _MOST_POINTS:
            raise ConfigError(f"{where}: {parameter.name} must be {_WORDS['points']}")
        return tuple(numbers[at : at + 2] for at in range(0, len(numbers), 2))
    return numbers if parameter.kind in ("pair", "vector") else _of_kind(parameter, numbers[0], where)


def _plain_value(parameter: Argument, value: object, where: str) -> Any:
    where = f"{where}: {parameter.name}"
    if parameter.kind == "path":
        if isinstance(value, str) and value and "\0" not in value:
            return Path(value)
    elif parameter.kind in ("pair", "vector"):
        if _is_list(value, _COUNTS[parameter.kind]):
            return tuple(_finite(item, where) for item in value)
    elif parameter.kind in ("matrix", "points"):
        rows, columns = (4, 4) if parameter.kind == "matrix" else (None, 2)
        if _is_list(value, rows) and len(value) <= _MOST_POINTS and all(_is_list(r, columns) for r in value):
            return tuple(tuple(_finite(item, where) for item in row) for row in value)
    else:
        return _of_kind(parameter, _finite(value, where), where)
    raise ConfigError(f"{where} must be {_WORDS[parameter.kind]}, not {value!r:.60}")


def _is_list(value: object, count: int | None) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and count in (None, len(value))


def _of_kind(parameter: Argument, value: float, where: str) -> float | int:
    if parameter.kind == "number":
        return value
    if value != int(value):
        raise ConfigError(f"{where}: {parameter.name} must be a whole number, not {value:g}")
    return int(value)


def _number(word: str, where: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise ConfigError(f"{where}: {word.strip()!r:.40} is not a number") from None
    return _finite(value, where)


def _finite(value: object, where: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) <= 1e30:
        raise ConfigError(f"{where}: {value!r:.40} is not a finite number")
    return float(value)
