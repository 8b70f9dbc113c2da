"""Shape contracts: dimensions are named once and hold for all tensors of a call."""

import torch
from torch import Tensor

from sfumato.errors import ShapeError


def check_shapes(*, like: Tensor | None = None, **contracts: tuple[Tensor, str]) -> dict[str, int]:
    """Check tensors against contracts such as ``means=(means, "n 3")``.

    Args:
        like: if given, every tensor must have its dtype and device.
        contracts: name -> (tensor, dimensions); a dimension is a number, a letter bound at its
            first use, or "?" for any size.

    Returns:
        The sizes bound to letters.

    Raises:
        ShapeError: naming the tensor, what it is and what it should be.
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
                expected = f"[{', '.join(dims)}] with {dim} = {wanted}"
                raise ShapeError(f"{name} has shape {list(tensor.shape)}, expected {expected}")
        if like is not None and (tensor.dtype != like.dtype or tensor.device != like.device):
            raise ShapeError(
                f"{name} is {tensor.dtype} on {tensor.device}, expected {like.dtype} on {like.device}"
            )
    return sizes
