"""A process of its own in which Triton's interpreter runs the kernels for GPUs on the CPU.

Whether kernels are interpreted is decided when they are imported, so that this process cannot do it.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import get_context

import pytest
import torch

from sfumato.ops.backend import served_by


@contextmanager
def interpreter():
    """Calls a function with arguments in that process, where the GPU's kernels serve the CPU."""
    require_triton()
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=_begin) as pool:
        yield lambda function, *arguments: pool.submit(_call, function, arguments).result()


def require_triton():
    """Skip a test where there is no Triton."""
    if find_spec("triton") is None:
        pytest.skip("the package triton is not installed: kernels for GPUs are not checked")


def _begin():
    os.environ["TRITON_INTERPRET"] = "1"
    torch.set_num_threads(1)


def _call(function, arguments):
    with served_by("gpu", device_type="cpu"):
        return function(*arguments)
