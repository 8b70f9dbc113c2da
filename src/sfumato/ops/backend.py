"""Which implementation serves a tensor: the definition in plain torch, or compiled kernels."""

import torch
from torch import Tensor

from sfumato.errors import ShapeError


def uses_definition(tensor: Tensor) -> bool:
    """Whether float64 sends this call to the definitions in ``ops/reference``.

    Raises:
        ShapeError: there is neither a kernel nor a definition for the tensor's dtype and device.
    """
    if tensor.dtype == torch.float64:
        return True
    if tensor.dtype == torch.float32 and tensor.device.type == "cpu":
        return False
    raise ShapeError(f"no kernel for {tensor.dtype} on {tensor.device}: use float32 or float64 on the CPU")


def as_array(tensor: Tensor):
    """Contiguous numpy view (or copy) of a CPU tensor, for kernels."""
    return tensor.detach().contiguous().numpy()
