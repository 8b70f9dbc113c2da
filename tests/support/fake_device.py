"""A device that holds no numbers: waiting for one, or mixing it with tensors of the host, is an error.

It is torch's ``meta``, whose operations give tensors of the right shapes and dtypes. Those of the package run
as torch traces them, so that its backend has nothing to compute, and would keep nothing for a backward pass.
"""

from contextlib import contextmanager
from types import SimpleNamespace

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sfumato.ops.backend import served_by

DEVICE = torch.device("meta")
_KEEPS_NOTHING = SimpleNamespace(kept=lambda *inputs: [], empty_tree=lambda means: [means.new_empty(1)])
_NAMES = ("adam", "colour", "composite", "covariance", "mesh_hits", "photometric", "project", "trace")
_OPERATIONS = dict.fromkeys((*_NAMES, "trace_rays"), _KEEPS_NOTHING)
# Bring tensors from one device to another, which is what they are for.
_COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)


class _OneDevice(TorchDispatchMode):
    """Refuses what torch lets pass: operations of the package, and indices, with tensors of the host."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function not in _COPIES:
            tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
            # Numbers of the host, as of one element, are handed on without waiting.
            takes_numbers = function.namespace != "sfumato"
            devices = {tensor.device for tensor in tensors if not (takes_numbers and tensor.ndim == 0)}
            if DEVICE in devices and len(devices) > 1:
                raise RuntimeError(f"{function} got tensors of the host together with those of the device")
            if function.namespace == "sfumato" and DEVICE not in devices:
                raise RuntimeError(f"{function} got tensors of the host alone")
        return function(*args, **(kwargs or {}))


@contextmanager
def fake_device():
    """Serve tensors of the device while this lasts."""
    with served_by("fake", _OPERATIONS, DEVICE.type), _OneDevice():
        yield DEVICE
