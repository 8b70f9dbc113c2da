"""Checks of arguments: shapes, with dimensions shared by all tensors of a call, types and numbers."""

import math
from collections.abc import Callable
from numbers import Real
from pathlib import Path
from types import NoneType
from typing import Any

import torch
from torch import Tensor

from sfumato.errors import ConfigError, ShapeError


def check_shapes(*, like: Tensor | None = None, **contracts: tuple[Tensor, str]) -> dict[str, int]:
    """Check tensors against expected shapes such as ``means=(means, "n 3")``.

    Args:
        like: if given, every tensor must have its dtype and device.
        contracts: name -> (tensor, dimensions); a dimension is a number, a letter bound at its
            first use, or "?" for any size.

    Returns:
        The sizes bound to letters.

    Raises:
        ShapeError: naming the tensor, its shape, dtype or device, and the expected one.
    """
    sizes: dict[str, int] = {}
    for name, (tensor, contract) in contracts.items():
        if not isinstance(tensor, torch.Tensor):
            raise ShapeError(f"{name} must be a torch.Tensor, not {type(tensor).__name__}")
        dims = contract.split()
        if tensor.ndim != len(dims):
            raise ShapeError(f"{name} has shape {list(tensor.shape)}, expected [{', '.join(dims)}]")
        for dim, size in zip(dims, tensor.shape, strict=True):
            wanted = int(dim) if dim.isdigit() else size if dim == "?" else sizes.setdefault(dim, size)
            if size != wanted:
                expected = f"[{', '.join(dims)}]" + ("" if dim.isdigit() else f" with {dim} = {wanted}")
                raise ShapeError(f"{name} has shape {list(tensor.shape)}, expected {expected}")
        if like is not None and (tensor.dtype != like.dtype or tensor.device != like.device):
            raise ShapeError(
                f"{name} is {tensor.dtype} on {tensor.device}, expected {like.dtype} on {like.device}"
            )
    return sizes


def check_finite(name: str, tensor: Tensor, hint: str = "") -> None:
    """Reject NaN and infinity in a CPU tensor. Tensors on a GPU are not checked: that would synchronise.

    Args:
        name: of the tensor.
        tensor: [...] floats.
        hint: what to do instead.

    Raises:
        ConfigError: naming the tensor.
    """
    values = tensor.detach()
    if values.device.type != "cpu":
        return
    # A finite sum means finite elements and is cheaper than isfinite of each; the sum alone may overflow.
    if not (bool(values.sum().isfinite()) or bool(values.isfinite().all())):
        raise ConfigError(f"{name} holds NaN or infinity{hint}")


def check_type(name: str, value: Any, *kinds: type) -> None:
    """Check the type of an argument before its attributes are read.

    Args:
        name: of the argument.
        value: what was given.
        kinds: the allowed types.

    Raises:
        ConfigError: naming the argument, its type and the allowed ones.
    """
    if isinstance(value, kinds):
        return
    wanted = " or ".join("None" if kind is NoneType else _with_article(kind) for kind in kinds)
    many = isinstance(value, list | tuple) and value and all(isinstance(item, kinds) for item in value)
    hint = ": give one at a time" if many else ""
    raise ConfigError(f"{name} must be {wanted}, not {_kind_of(value)}{hint}")


def file_path(name: str, value: Any) -> Path:
    """Convert an argument to a path.

    Raises:
        ConfigError: it is neither a string nor a path, or it is empty.
    """
    if not isinstance(value, str | Path) or not str(value):
        given = "empty" if value == "" else _kind_of(value)
        raise ConfigError(f"{name} must be the path of a file or folder, not {given}")
    return Path(value)


def number(name: str, value: Any) -> float:
    """A number that is not NaN; NumPy scalars and tensors of one element are converted.

    Raises:
        ConfigError: naming the argument.
    """
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if not isinstance(value, Real) or math.isnan(value):
        raise ConfigError(f"{name} is {value!r}; give a number")
    return float(value)


def whole_number(name: str, value: Any, *, least: int = 0) -> int:
    """An integer; a float with an integral value is accepted.

    Args:
        name: of the argument.
        value: a Python number, a NumPy scalar or a tensor of one element.
        least: the smallest allowed value.

    Raises:
        ConfigError: naming the argument.
    """
    whole = value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
    is_number = isinstance(whole, Real) and not isinstance(whole, bool)
    if not is_number or not math.isfinite(whole) or whole != int(whole) or whole < least:
        raise ConfigError(f"{name} is {value!r}; give a whole number of at least {least}")
    return int(whole)


def pair(name: str, value: Any, convert: Callable[[str, Any], Any]) -> tuple[Any, Any]:
    """Two numbers, each converted by ``number`` or ``whole_number``.

    Raises:
        ConfigError: naming the argument.
    """
    try:
        first, second = value
    except (TypeError, ValueError):
        raise ConfigError(f"{name} is {value!r}; give two numbers, for x and y") from None
    return convert(name, first), convert(name, second)


def _kind_of(value: Any) -> str:
    return "None" if value is None else _with_article(type(value))


def _with_article(kind: type) -> str:
    return f"{'an' if kind.__name__[:1].lower() in 'aeiou' else 'a'} {kind.__name__}"
