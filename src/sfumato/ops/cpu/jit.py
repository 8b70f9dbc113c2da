"""Numba decorators for kernels, and the lock around parallel ones; the cache is in ``kernel_cache``.

Numba's own disk cache is keyed only by the source file of the cached function, so it would use stale machine
code after an edit of a helper in another file; and it raises on a damaged cache file.
"""

import ctypes
import functools
import sys
import threading
from pathlib import Path

import numba
from llvmlite import binding
from numba import config

from sfumato.ops.cpu.kernel_cache import KernelCache

# Without "nnan" and "ninf", because NaN and infinity are meaningful.
FAST_MATH = {"nsz", "arcp", "contract", "afn", "reassoc"}

# Numba's fallback threading layer crashes when two threads enter parallel code at once, and a
# viewer thread may render while training does.
_PARALLEL_REGION = threading.Lock()


def _load_tbb() -> None:
    """Load the library of the pip package ``tbb``, which Numba would not find on the loader's path."""
    if sys.platform.startswith("linux"):
        for library in Path(sys.prefix, "lib").glob("libtbb.so.1?"):
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def _register_lanes() -> int:
    """Number of float32 lanes of the widest register that Numba compiles for."""
    features = (config.CPU_FEATURES or "").split(",") if config.CPU_NAME else None
    has_avx512 = "+avx512f" in features if features else binding.get_host_cpu_features().get("avx512f")
    return 16 if has_avx512 else 8


# Determines the block sizes of lane kernels; the cache distinguishes kernels by the same CPU features.
REGISTER_LANES = _register_lanes()

_load_tbb()


def target() -> tuple[str | None, str | None]:
    """Processor and features that Numba is configured to compile for; None: this machine's."""
    return config.CPU_NAME, config.CPU_FEATURES


def _compile(function, **options):
    compiled = numba.njit(function, error_model="numpy", **options)
    compiled._cache = KernelCache(function)
    return compiled


def scalar(function):
    """Decorator for per-element maths, inlined by LLVM into the calling kernels."""
    return numba.njit(function, fastmath=FAST_MATH, error_model="numpy", inline="never")


def lane_function(function):
    """Decorator for a part of a lane kernel; lane operators have their own fast-math flags."""
    return numba.njit(function, error_model="numpy", forceinline=True)


def serial_kernel(function):
    """Decorator for a serial loop."""
    return _compile(function, fastmath=FAST_MATH)


def kernel(function):
    """Decorator for a parallel loop over Gaussians or pixels in scalar code."""
    return _locked(_compile(function, parallel=True, fastmath=FAST_MATH))


def lane_kernel(function):
    """Decorator for a parallel loop over lanes, without implicit fast-math (see lanes.exp2)."""
    return _locked(_compile(function, parallel=True))


def _locked(compiled):
    @functools.wraps(compiled.py_func)
    def launch(*args):
        with _PARALLEL_REGION:
            return compiled(*args)

    launch.compiled = compiled
    return launch
