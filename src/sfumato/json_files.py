"""Untrusted JSON files: bounded in size, with one-line errors."""

from __future__ import annotations

import json
from pathlib import Path

from sfumato.errors import ConfigError, FormatError


def read_json(path: Path, most_bytes: int) -> object:
    """The document in a JSON file, UTF-8 with or without a byte order mark.

    Args:
        path: the file.
        most_bytes: larger files are rejected without being read.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large or not JSON; the message is one line.
    """
    if path.stat().st_size > most_bytes:
        raise ValueError(f"it is larger than {most_bytes >> 20} MiB")
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"it is not JSON: {' '.join(str(error).split())}") from None


def read_given_json(path: Path, kind: str, most_bytes: int) -> object:
    """The document in a JSON file that the user gave.

    Args:
        path: the file.
        kind: what it should be, such as "script of edits", for errors.
        most_bytes: larger files are rejected without being read.

    Raises:
        ConfigError: it cannot be read.
        FormatError: it is too large or not JSON.
    """
    try:
        return read_json(path, most_bytes)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:
        raise FormatError(f"{path} is not a {kind}: {error}; write it again") from None
