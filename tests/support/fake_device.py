"""A device without data: synchronising with it, or mixing its tensors with those of the host, is an error.

It is torch's ``meta``, whose operations give tensors of the right shapes and dtypes. Those of the package run
as torch traces them, so that its backend has nothing to compute, and would keep nothing for a backward pass.
"""

from contextlib import contextmanager
from types import SimpleNamespace

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sfumato.ops.backend import served_by

DEVICE = torch.device("meta")
_KEEPS_NOTHING = SimpleNamespace(kept=lambda *inputs: [], empty_tree=lambda means: [means.new_empty(1)])
_NAMES = ("adam", "colour", "composite", "covariance", "mesh_hits", "opacity_and_scale", "photometric")
_OPERATIONS = dict.fromkeys((*_NAMES, "project", "trace", "trace_rays"), _KEEPS_NOTHING)
# Copies between devices are allowed.
_COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)


class _OneDevice(TorchDispatchMode):
    """Refuses host tensors in operations of the package and as indices, which torch would accept."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function not in _COPIES:
            tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
            # Scalars and one-element tensors of the host are passed on without synchronisation.
            takes_numbers = function.namespace != "sfumato"
            devices = {tensor.device for tensor in tensors if not (takes_numbers and tensor.ndim == 0)}
            if DEVICE in devices and len(devices) > 1:
                raise RuntimeError(f"{function} got tensors of the host together with those of the device")
            if function.namespace == "sfumato" and DEVICE not in devices:
                raise RuntimeError(f"{function} got tensors of the host alone")
        return function(*args, **(kwargs or {}))


class _NoWaitingCopy(TorchDispatchMode):
    """Refuses copies to the device that the host waits for."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs, waits = kwargs or {}, False
        if function is torch.ops.aten._to_copy.default and kwargs.get("device") == DEVICE != args[0].device:
            waits = not kwargs.get("non_blocking")
        if function is torch.ops.aten.copy_.default and args[0].device == DEVICE != args[1].device:
            waits = not any(args[2:])
        if waits:
            raise RuntimeError("the host waits for a copy to the device")
        return function(*args, **kwargs)


class _NoNewTensor(TorchFunctionMode):
    """Refuses ``new_tensor`` on the device, whose copy no dispatch mode sees."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.Tensor.new_tensor and args[0].device == DEVICE:
            raise RuntimeError("the host waits for new_tensor on the device")
        return function(*args, **(kwargs or {}))


@contextmanager
def without_waiting():
    """Context in which the host must not wait for copies to the device."""
    with _NoWaitingCopy(), _NoNewTensor():
        yield


@contextmanager
def fake_device():
    """Context in which tensors of the device are supported."""
    with served_by("fake", _OPERATIONS, DEVICE.type), _OneDevice():
        yield DEVICE
