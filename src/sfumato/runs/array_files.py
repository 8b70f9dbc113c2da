"""Arrays in a file, with a table of figures beside them that holds their digest."""

from __future__ import annotations

import hashlib
import io
import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from sfumato.errors import SfumatoError
from sfumato.outputs import write_bytes, write_json
from sfumato.runs.tables import read_table, with_digest

_log = logging.getLogger("sfumato")


def write_arrays(path: Path, figures: Path, arrays: dict[str, Tensor], row: dict[str, Any]) -> None:
    """Write arrays, then a table with a digest of them.

    Args:
        path: of the arrays.
        figures: path of the table.
        arrays: by name.
        row: the table.
    """
    content, named = io.BytesIO(), {name: tensor.numpy() for name, tensor in arrays.items()}
    np.savez_compressed(content, allow_pickle=False, **named)
    path.parent.mkdir(exist_ok=True)
    write_bytes(path, content.getvalue())
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    write_json(figures, with_digest(without_nan({**row, "content": digest})))


def read_arrays_table(path: Path, figures: Path, **based_on: str) -> dict[str, Any] | None:
    """The table beside arrays; None if either is missing, damaged, or based on something else.

    Args:
        path: the arrays.
        figures: the table.
        based_on: name and digest of that on which they must be based.
    """
    try:
        row, content = read_table(figures), path.read_bytes()
    except (SfumatoError, OSError):
        return None
    expected = {**based_on, "content": hashlib.sha256(content).hexdigest()}
    if any(row.get(name) != digest for name, digest in expected.items()):
        _log.warning("%s is not as it was written; it is made again", path)
        return None
    return row


def digest_of(tensors: Iterable[Tensor]) -> str:
    """Digest of tensors, which ties later results to those that they are based on."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.detach().contiguous().numpy().tobytes())
    return found.hexdigest()


def without_nan(value: Any) -> Any:
    """A JSON value with NaN replaced by None, as JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
