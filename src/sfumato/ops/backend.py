"""Which implementation serves a tensor: the definition in plain torch, or the kernels of a backend.

Float64 goes to the definitions in ``ops/reference``, on any device. Float32 goes to the backend of the
tensor's device: a set of operations by name, each with functions on tensors:

* ``forward`` takes what ``ops/NAME.py`` hands on and returns the results. An operation with gradients also
  returns a list of tensors that its own ``backward`` wants kept; nobody else looks into it.
* ``backward`` takes the gradients of the results, the results, what was kept and the inputs, or those of
  these that it needs, and returns the gradients of the inputs.
* ``kept`` takes the inputs of ``forward`` and makes empty tensors like those it would keep, so that torch
  can trace the operation; a backend without it cannot be traced.

A backend is a package with a module per operation, which is imported at its first call, or a mapping.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any, List, TypeAlias  # noqa: UP035

import torch
from torch import Tensor

from sfumato.errors import ConfigError, ShapeError

# Lists in the signatures of operations: before torch 2.7 these are read only by the names of ``typing``.
Tensors: TypeAlias = List[Tensor]  # noqa: UP006
Floats: TypeAlias = List[float]  # noqa: UP006
Integers: TypeAlias = List[int]  # noqa: UP006

HOST = torch.device("cpu")

# The operations of each backend, and which backend serves a type of device, the fastest device last.
_OPERATIONS: dict[str, str | Mapping[str, Any]] = {"cpu": "sfumato.ops.cpu"}
_SERVING = {"cpu": "cpu"}


def available_devices() -> list[str]:
    """The types of device that this machine has and a backend serves, the fastest first."""
    return [kind for kind in reversed(_SERVING) if _is_there(kind)]


def device_named(name: str) -> torch.device:
    """The device that a user named.

    Args:
        name: as of ``torch.device``; "auto" for the fastest that is on this machine.

    Raises:
        ConfigError: no backend serves it, or this machine has none.
    """
    there = available_devices()
    wanted = there[0] if name == "auto" else name
    if wanted.partition(":")[0] in there and _is_there(wanted):
        return torch.device(wanted)
    raise ConfigError(f"device {name!r} is not available: give {' or '.join(['auto', *there])}")


def _is_there(name: str) -> bool:
    try:
        torch.empty(0, device=name)
    # A build of torch without the device asserts, or lacks the operation.
    except (RuntimeError, AssertionError, NotImplementedError):
        return False
    return True


def uses_definition(tensor: Tensor) -> bool:
    """Whether float64 sends this call to the definitions in ``ops/reference``.

    Raises:
        ShapeError: there is neither a kernel nor a definition for the tensor's dtype and device.
    """
    if tensor.dtype == torch.float64:
        return True
    if tensor.dtype == torch.float32 and tensor.device.type in _SERVING:
        return False
    served = ", ".join(_SERVING)
    raise ShapeError(
        f"no kernel for {tensor.dtype} on {tensor.device}: use float32 on {served}, or float64 anywhere"
    )


def implementation(operation: str, tensor: Tensor) -> Any:
    """The functions of an operation for the device of a float32 tensor.

    Raises:
        ConfigError: its backend lacks the operation.
    """
    return _find(_SERVING[tensor.device.type], operation)


@contextlib.contextmanager
def served_by(
    name: str, operations: str | Mapping[str, Any] | None = None, device_type: str = "cpu"
) -> Iterator[None]:
    """Let a backend serve the tensors of a type of device for a while.

    Args:
        name: of the backend.
        operations: of a new backend: a package with a module per operation, or a mapping from names to
            objects with the functions; None: the backend is known.
        device_type: as of ``torch.device``.
    """
    operations_before, serving_before = dict(_OPERATIONS), dict(_SERVING)
    if operations is not None:
        _OPERATIONS[name] = operations
    _SERVING[device_type] = name
    _find.cache_clear()
    try:
        yield
    finally:
        _OPERATIONS.clear()
        _OPERATIONS.update(operations_before)
        _SERVING.clear()
        _SERVING.update(serving_before)
        _find.cache_clear()


@functools.cache
def _find(backend: str, operation: str) -> Any:
    found = _OPERATIONS[backend]
    if isinstance(found, str):
        module = f"{found}.{operation}"
        if importlib.util.find_spec(module):
            return importlib.import_module(module)
    elif operation in found:
        return found[operation]
    raise ConfigError(f"the {backend} backend has no operation {operation!r}: use another device, or float64")
