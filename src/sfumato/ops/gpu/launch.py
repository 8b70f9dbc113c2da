"""Launching of kernels on the device of their tensors."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor

# Elements per program of an elementwise kernel: one per lane of four warps.
BLOCK = 128
ELEMENTWISE_WARPS = 4


def start(kernel: Any, programs: int, warps: int, *arguments: Any, **constants: Any) -> None:
    """Launch a kernel on the device of its first tensor.

    Args:
        kernel: a function of ``triton.jit``.
        programs: number of programs.
        warps: of each program.
        arguments: its arguments; tensors must be contiguous.
        constants: its compile-time constants by name.
    """
    device = next(one.device for one in arguments if isinstance(one, Tensor))
    # Triton launches kernels on the current device, which may be another one.
    chosen = (
        contextlib.nullcontext()
        if device.index is None
        else torch.get_device_module(device.type).device(device)
    )
    with chosen:
        # Fused multiply-add regardless of the default of the Triton version.
        kernel[(programs,)](*arguments, num_warps=warps, enable_fp_fusion=True, **constants)


def start_elementwise(kernel: Any, n: int, *arguments: Any, **constants: Any) -> None:
    """Launch a kernel whose programs process ``BLOCK`` of ``n`` elements each; ``n`` is its last argument.

    It should not be specialised on ``n``, for example on multiples of 16, as ``n`` varies between calls.

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
