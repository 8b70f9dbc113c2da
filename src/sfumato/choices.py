"""Allowed values of options."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from sfumato.errors import ConfigError

# Largest integer option: larger values overflow floats or exceed any memory.
LARGEST_INTEGER = 2**63 - 1


def check_choices(options: object, prefix: str = "") -> None:
    """Check that the ``Literal`` fields of a dataclass have one of their values; Python itself does not.

    Args:
        options: an instance of the dataclass.
        prefix: put before field names in errors.

    Raises:
        ConfigError: naming the field and the allowed values.
    """
    kind = cast(Hashable, type(options))
    for name, (choices, is_many) in _choices(kind).items():
        given = getattr(options, name)
        for value in given if is_many and isinstance(given, tuple) else (given,):
            # True equals 1 in Python, but is not accepted for it.
            if not any(value == choice and type(value) is type(choice) for choice in choices):
                *most, last = map(str, choices)
                raise ConfigError(f"{prefix}{name} is {str(value)[:40]!r}; give {', '.join(most)} or {last}")


@cache
def _choices(kind: Any) -> dict[str, tuple[tuple[Any, ...], bool]]:
    """The allowed values of each ``Literal`` field, and whether the field is a tuple of them."""
    found = {}
    for name, hint in get_type_hints(kind).items():
        # An optional field is a union of None and a Literal.
        for part in (hint, *get_args(hint)):
            if get_origin(part) is Literal:
                none = (None,) if type(None) in get_args(hint) else ()
                found[name] = (get_args(part) + none, get_origin(hint) is tuple)
    return found
