"""Selection of the implementation of an operation: the definition in plain torch, or a backend's kernels.

Float64 uses the definitions in ``ops/reference``, on any device. Float32 uses the backend of the tensor's
device: a set of operations by name, each with functions on tensors:

* ``forward`` takes the arguments from ``ops/NAME.py`` and returns the results. An operation with gradients
  also returns a list of tensors saved for its own ``backward``, which are opaque to all others.
* ``backward`` takes the gradients of the results and those results, saved tensors and inputs that it needs;
  it returns the gradients of the inputs.
* ``kept`` takes the inputs of ``forward`` and returns empty tensors like the saved ones, so that torch can
  trace the operation; without it a backend cannot be traced.

A backend is a package with a module per operation, imported at its first call, or a mapping.
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

# Lists in the signatures of operations: before torch 2.7, torch.library reads only the names of ``typing``.
Tensors: TypeAlias = List[Tensor]  # noqa: UP006
Floats: TypeAlias = List[float]  # noqa: UP006
Integers: TypeAlias = List[int]  # noqa: UP006

HOST = torch.device("cpu")

# The operations of each backend, and the backend of each device type, the one that "auto" takes first last:
# kernels for GPUs have not run on one yet, so that a user must ask for them by name.
_OPERATIONS: dict[str, str | Mapping[str, Any]] = {"gpu": "sfumato.ops.gpu", "cpu": "sfumato.ops.cpu"}
_SERVING = {"cuda": "gpu", "cpu": "cpu"}


def available_devices() -> list[str]:
    """The device types of this machine that have a backend, the one that "auto" takes first."""
    return [kind for kind in reversed(_SERVING) if _is_there(kind)]


def device_named(name: str) -> torch.device:
    """The device that a user named.

    Args:
        name: as in ``torch.device``; "auto" for the first of :func:`available_devices`.

    Raises:
        ConfigError: it has no backend, or this machine has no such device.
    """
    there = available_devices()
    wanted = there[0] if name == "auto" else name
    if wanted.partition(":")[0] in there and _is_there(wanted):
        return torch.device(wanted)
    reason = why_no_gpu() if _is_gpu(wanted) else None
    why = f" ({reason})" if reason else ""
    raise ConfigError(f"device {name!r} is not available{why}: give {' or '.join(['auto', *there])}")


def why_no_gpu() -> str | None:
    """What is missing for kernels on a GPU of this machine, in one line; None if nothing is."""
    if not (torch.version.cuda or torch.version.hip):
        return "this torch is built for CPUs only, install its build for CUDA or ROCm"
    if importlib.util.find_spec("triton") is None:
        return "the package triton is not installed, which kernels for GPUs need"
    return None if torch.cuda.is_available() else "torch finds no GPU, look at its driver"


def _is_gpu(name: str) -> bool:
    return name.partition(":")[0] == "cuda"


def _is_there(name: str) -> bool:
    if _is_gpu(name) and why_no_gpu():
        return False
    # Asking for memory would start the driver, which takes memory of the GPU even if it is not used then.
    if name == "cuda":
        return True
    try:
        torch.empty(0, device=name)
    # A build of torch without the device raises one of these.
    except (RuntimeError, AssertionError, NotImplementedError):
        return False
    return True


def uses_definition(tensor: Tensor) -> bool:
    """Whether a tensor is float64 and so uses the definitions in ``ops/reference``.

    Raises:
        ShapeError: there is neither a kernel nor a definition for its dtype and device.
    """
    if tensor.dtype == torch.float64:
        return True
    if tensor.dtype == torch.float32 and tensor.device.type in _SERVING:
        return False
    served = ", ".join(reversed(_SERVING))
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
    """Use a backend for a device type within a ``with`` block.

    Args:
        name: of the backend.
        operations: of a new backend: a package with a module per operation, or a mapping from names to
            objects with the functions; None: the backend is known.
        device_type: as in ``torch.device``.
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
            return _imported(module, backend)
    elif operation in found:
        return found[operation]
    raise ConfigError(f"the {backend} backend has no operation {operation!r}: use another device, or float64")


def _imported(module: str, backend: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "sfumato":
            raise
        raise ConfigError(f"the {backend} backend needs the package {missing.name}: install it") from missing
