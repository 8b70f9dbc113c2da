"""Starting kernels on the device of their tensors."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor

# Elements of an elementwise kernel's program: one a lane of four warps.
BLOCK = 128
ELEMENTWISE_WARPS = 4


def start(kernel: Any, programs: int, warps: int, *arguments: Any, **constants: Any) -> None:
    """Start a kernel on the device of its first tensor.

    Args:
        kernel: a function of ``triton.jit``.
        programs: how many programs run it.
        warps: of each program.
        arguments: its arguments, tensors contiguous.
        constants: its compile-time constants by name.
    """
    device = next(one.device for one in arguments if isinstance(one, Tensor))
    # Triton starts kernels on the current device, which may be another one.
    chosen = (
        contextlib.nullcontext()
        if device.index is None
        else torch.get_device_module(device.type).device(device)
    )
    with chosen:
        # Multiplications and additions are fused whatever the default of the version is.
        kernel[(programs,)](*arguments, num_warps=warps, enable_fp_fusion=True, **constants)


def start_elementwise(kernel: Any, n: int, *arguments: Any, **constants: Any) -> None:
    """Start a kernel whose programs take ``BLOCK`` of ``n`` elements each; ``n`` is its last argument.

    It should not be compiled for values of ``n``, such as multiples of 16, as these change from call to call.

    Args:
        kernel: a function of ``triton.jit`` with the constant ``BLOCK``.
        n: number of elements.
        arguments: the arguments before ``n``.
        constants: its other compile-time constants by name.
    """
    start(kernel, programs_over(n), ELEMENTWISE_WARPS, *arguments, n, **constants, BLOCK=BLOCK)


def programs_over(n: int) -> int:
    """Number of programs of an elementwise kernel over ``n`` elements."""
    return -(-n // BLOCK)
