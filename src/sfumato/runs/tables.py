"""JSON tables in a run folder, with errors for damaged ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from sfumato.errors import ConfigError, FormatError
from sfumato.json_files import read_json

# Large enough for metrics, which list every held-out view.
_MAX_TABLE_BYTES = 1 << 28


def read_table(path: Path) -> dict[str, Any]:
    """The table in a JSON file of a run folder; its content is untrusted.

    Raises:
        ConfigError: the file cannot be read.
        FormatError: it is damaged.
    """
    try:
        document = read_json(path, _MAX_TABLE_BYTES)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise FormatError(f"{path} is damaged: {error}; begin another run") from None
    if not isinstance(document, dict):
        raise FormatError(f"{path} is damaged: it is not a table; begin another run")
    if document.get("digest", _digest(document)) != _digest(document):
        raise FormatError(f"{path} is damaged: it is not as it was written; begin another run")
    return document


def with_digest(document: dict[str, Any]) -> dict[str, Any]:
    """A table with a digest of its content, by which ``read_table`` detects damage."""
    return document | {"digest": _digest(document)}


def _digest(document: dict[str, Any]) -> str:
    content = {key: value for key, value in document.items() if key != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
