"""Reading of checkpoint files, which are untrusted."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfumato.errors import FormatError

KIND = "sfumato checkpoint"
_PLAIN = (dict, list, tuple, str, int, float, bool, type(None))


def read_content(path: Path) -> dict[str, Any]:
    """The content of a file; only tensors and plain values are created from it.

    Args:
        path: the file.

    Raises:
        FormatError: it is missing, damaged, hostile or no checkpoint.
    """
    try:
        _check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FormatError:
        raise
    except Exception as error:
        # The errors of torch and zipfile on broken files are not documented; all mean a damaged file.
        raise FormatError(f"checkpoint {path} is damaged ({one_line(error)})") from error
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise FormatError(f"{path} is not a checkpoint of a run")
    _check_tensors(content, path)
    return content


def _check_archive(path: Path) -> None:
    """Refuse compressed archives, which could expand to any size, and modified ones."""
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        compressed = any(m.compress_type != zipfile.ZIP_STORED for m in members)
        if compressed or sum(m.file_size for m in members) > size:
            raise FormatError(f"checkpoint {path} claims more data than the file has")
        # Torch does not read members that are marked as folders, which leaves tensors uninitialised.
        if any(m.external_attr for m in members):
            raise FormatError(f"checkpoint {path} is damaged (a part of it is marked as a folder)")
        # Torch does not verify the checksums.
        broken = archive.testzip()
    if broken is not None:
        raise FormatError(f"checkpoint {path} is damaged (the checksum of {broken} is wrong)")


def _check_tensors(content: dict[str, Any], path: Path) -> None:
    size, total = path.stat().st_size, 0
    for name, value in _walk(content, ""):
        if not isinstance(value, Tensor):
            if not isinstance(value, _PLAIN):
                raise FormatError(
                    f"checkpoint {path}: {name} is of the unexpected type {type(value).__name__}"
                )
            continue
        if value.layout != torch.strided or value.is_quantized or not value.is_contiguous():
            raise FormatError(f"checkpoint {path}: {name} is not a plain tensor")
        total += value.numel() * value.element_size()
        if total > size:
            raise FormatError(f"checkpoint {path} claims more data than the file has")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise FormatError(f"checkpoint {path}: {name} holds NaN or infinity")


def _walk(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(item, f"{name}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _walk(item, name)


def one_line(error: BaseException) -> str:
    """The message of an error, shortened to one line."""
    return " ".join(str(error).split())[:120] or type(error).__name__
