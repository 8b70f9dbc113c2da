"""Near and far planes for operations: from numbers, or from tensors without waiting for the device."""

import torch
from torch import Tensor


def limits_like(near: float | Tensor, far: float | Tensor, like: Tensor) -> Tensor:
    """[2, 1] float64 near and far on the device of ``like``; [2, m] where one of them is [m]."""

    def row(limit: float | Tensor) -> Tensor:
        if isinstance(limit, Tensor):
            return limit.detach().to(like.device, torch.float64).reshape(-1)
        return like.new_full((1,), limit, dtype=torch.float64)

    return torch.stack(torch.broadcast_tensors(row(near), row(far)))
