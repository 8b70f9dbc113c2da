"""JSON files, and checked access to their values."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from sfumato.capture.readers.source import read_bytes
from sfumato.errors import CaptureError

_MAX_JSON_BYTES = 1 << 30


def read_json(path: Path) -> object:
    """The document in a JSON file.

    Raises:
        CaptureError: it cannot be read, is not JSON, or is too large.
    """
    if path.is_file() and path.stat().st_size > _MAX_JSON_BYTES:
        raise CaptureError(f"{path} is larger than 1 GiB; too large for a camera file")
    try:
        return json.loads(read_bytes(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CaptureError(f"{path} is not JSON ({error}); write it again") from None


def read_object(path: Path) -> dict:
    """The object in a JSON file.

    Raises:
        CaptureError: see ``read_json``; or it is not an object.
    """
    values = read_json(path)
    if not isinstance(values, dict):
        raise CaptureError(f"{path} holds no JSON object; write it again")
    return values


def number(value: object, key: str, where: str) -> float:
    """A JSON number as a finite float.

    Raises:
        CaptureError: it is not a finite number.
    """
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass
    raise CaptureError(f"{where}: {key} must hold finite numbers, not {value!r:.60}")


def numbers(value: object, count: int, key: str, where: str) -> np.ndarray:
    """A JSON list of ``count`` finite numbers as float64 [count].

    Raises:
        CaptureError: it is not such a list.
    """
    if not isinstance(value, list) or len(value) != count:
        raise CaptureError(f"{where}: {key} must be a list of {count} numbers, not {value!r:.60}")
    return np.array([number(item, key, where) for item in value], dtype=np.float64)


def text(values: dict, key: str, where: str) -> str:
    """The text under a key.

    Raises:
        CaptureError: there is none.
    """
    value = values.get(key)
    if not isinstance(value, str):
        raise CaptureError(f"{where}: {key} must be a text, not {value!r:.60}")
    return value


def pixels(value: object, key: str, where: str) -> int:
    """A JSON number that counts pixels.

    Raises:
        CaptureError: it is not a positive integer.
    """
    count = number(value, key, where)
    if count != int(count) or count < 1:
        raise CaptureError(f"{where}: {key} must be a whole number of pixels, not {value!r:.60}")
    return int(count)
