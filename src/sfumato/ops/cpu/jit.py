"""Numba's decorators for kernels, and the lock around parallel ones; the cache is in ``kernel_cache``.

Numba's own disk cache is keyed by the source file of the cached function alone, so an edited helper in
another file would leave stale machine code in use; and a damaged cache file makes it raise.
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

# NaN and infinity stay meaningful: "nnan" and "ninf" are left out on purpose.
FAST_MATH = {"nsz", "arcp", "contract", "afn", "reassoc"}

# Numba's fallback threading layer crashes when two threads enter parallel code at once, and a
# viewer thread may render while training does.
_PARALLEL_REGION = threading.Lock()


def _load_tbb() -> None:
    """Load the library of pip's ``tbb``, which lies off the loader's path, so that Numba finds it."""
    if sys.platform.startswith("linux"):
        for library in Path(sys.prefix, "lib").glob("libtbb.so.1?"):
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def _register_lanes() -> int:
    """Float32 numbers in the widest register that Numba will compile for."""
    features = (config.CPU_FEATURES or "").split(",") if config.CPU_NAME else None
    has_avx512 = "+avx512f" in features if features else binding.get_host_cpu_features().get("avx512f")
    return 16 if has_avx512 else 8


# Block sizes of lane kernels follow from it; cached kernels are kept apart by the same features.
REGISTER_LANES = _register_lanes()

_load_tbb()


def target() -> tuple[str | None, str | None]:
    """Processor and features that Numba was told to compile for; None: this machine's."""
    return config.CPU_NAME, config.CPU_FEATURES


def _compile(function, **options):
    compiled = numba.njit(function, error_model="numpy", **options)
    compiled._cache = KernelCache(function)
    return compiled


def scalar(function):
    """Per-element maths, inlined into the kernels that call it."""
    return numba.njit(function, fastmath=FAST_MATH, error_model="numpy", inline="never")


def lane_function(function):
    """A piece of a lane kernel: the lane operators state their own fast-math flags."""
    return numba.njit(function, error_model="numpy", forceinline=True)


def serial_kernel(function):
    """A loop that cannot be split over threads."""
    return _compile(function, fastmath=FAST_MATH)


def kernel(function):
    """A parallel loop over Gaussians or pixels in scalar code."""
    return _locked(_compile(function, parallel=True, fastmath=FAST_MATH))


def lane_kernel(function):
    """A parallel loop whose body works on lanes; no implicit fast-math (see lanes.exp2)."""
    return _locked(_compile(function, parallel=True))


def _locked(compiled):
    @functools.wraps(compiled.py_func)
    def launch(*args):
        with _PARALLEL_REGION:
            return compiled(*args)

    launch.compiled = compiled
    return launch
