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
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import AnalysisPass, register_pass
from numba.core.errors import NumbaError
from numba.core.typed_passes import NopythonTypeInference

from sfumato.ops.cpu.kernel_cache import KernelCache

# Only loops over prange are parallel: each array operation that Numba would split as well takes half a second
# to compile.
_PARALLEL = {
    "prange": True,
    **dict.fromkeys(("numpy", "setitem", "reduction", "inplace_binop", "comprehension", "fusion"), False),
}
# Without "nnan" and "ninf", because NaN and infinity are meaningful.
FAST_MATH = {"nsz", "arcp", "contract", "afn", "reassoc"}

# Numba's fallback threading layer crashes when two threads enter parallel code at once, as when a viewer
# renders while training does; these do not.
_CONCURRENT_LAYERS = ("tbb", "omp")
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


class _PieceLibrary(JITCodeLibrary):
    """LLVM code of a piece of kernels, which is linked into them: no machine code is made of it alone."""

    def _optimize_final_module(self):
        """Nothing: the kernels that it becomes part of are optimised as a whole."""

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name):
        """0, which stands for a function that Python cannot call."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self):
        """What binds globals to machine code, of which there is none."""
        return self

    def set_env(self, env_name, env):
        """Nothing: kernels bind their own."""


@register_pass(mutates_CFG=False, analysis_only=True)
class _ReturnedArrays(AnalysisPass):
    """Refuse pieces that return an array without counting the reference: it would be freed too early."""

    _name = "returned_arrays"

    def __init__(self):
        super().__init__()

    def run_pass(self, state):
        model = state.targetctx.data_model_manager[state.return_type]
        if model.contains_nrt_meminfo() and not state.flags.nrt:
            name = state.func_id.func_qualname
            raise NumbaError(f"{name} returns an array, which needs a decorator _with_arrays")
        return False


class _PieceCompiler(Compiler):
    """Numba's pipeline, up to LLVM code."""

    def define_pipelines(self):
        self.state.library = _PieceLibrary(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        pipelines = super().define_pipelines()
        for pipeline in pipelines:
            pipeline.add_pass_after(_ReturnedArrays, NopythonTypeInference)
            pipeline.finalize()
        return pipelines


def _piece(function, **options):
    """A part of kernels that is compiled into them only; Python cannot call it."""
    return numba.njit(
        function,
        error_model="numpy",
        pipeline_class=_PieceCompiler,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        **options,
    )


def _compile(function, **options):
    compiled = numba.njit(function, error_model="numpy", nogil=True, **options)
    compiled._cache = KernelCache(function)
    return compiled


def scalar(function):
    """Decorator for per-element maths, inlined by LLVM into the calling kernels.

    It counts no references to arrays, which in a loop over Gaussians costs as much as the maths. So it must
    not make or return arrays; see scalar_with_arrays.
    """
    return _piece(function, fastmath=FAST_MATH, _nrt=False)


def scalar_with_arrays(function):
    """The same for a part that makes or returns arrays, and so counts references."""
    return _piece(function, fastmath=FAST_MATH, _nrt=True)


def lane_function(function):
    """Decorator for a part of a lane kernel; lane operators have their own fast-math flags.

    It counts no references either; see lane_function_with_arrays.
    """
    return _piece(function, forceinline=True, _nrt=False)


def lane_function_with_arrays(function):
    """The same for a part that makes or returns arrays, and so counts references."""
    return _piece(function, forceinline=True, _nrt=True)


def serial_kernel(function):
    """Decorator for a serial loop."""
    return _compile(function, fastmath=FAST_MATH)


def kernel(function):
    """Decorator for a parallel loop over Gaussians or pixels in scalar code."""
    return _locked(_compile(function, parallel=dict(_PARALLEL), fastmath=FAST_MATH))


def lane_kernel(function):
    """Decorator for a parallel loop over lanes, without implicit fast-math (see lanes.exp2)."""
    return _locked(_compile(function, parallel=dict(_PARALLEL)))


def _locked(compiled):
    @functools.wraps(compiled.py_func)
    def launch(*args):
        if _layer() in _CONCURRENT_LAYERS:
            return compiled(*args)
        with _PARALLEL_REGION:
            return compiled(*args)

    launch.compiled = compiled
    return launch


def _layer() -> str | None:
    """Numba's threading layer; None before the first parallel kernel has run."""
    try:
        return numba.threading_layer()
    except ValueError:
        return None
