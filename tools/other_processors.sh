#!/usr/bin/env bash
# The tests as other processors would run them: without wide or fused instructions, with other libraries' code,
# on one thread. Each variant compiles kernels of its own, which takes some minutes.
#
#     tools/other_processors.sh [tests...]        all tests, or those named
set -uo pipefail
cd "$(dirname "$0")/.."
python="${VENV:-.venv}/bin/python"
cache="${SFUMATO_CACHE:-$PWD/.cache}"
# What every x86-64 processor of the last ten years has.
avx2="+sse4.2,+avx,+avx2,+f16c,+bmi,+bmi2,+lzcnt,+popcnt,+movbe"
failed=()

variant() {
    local name="$1"
    shift
    echo "== $name: $*"
    env "$@" "$python" -m pytest -p no:cacheprovider "${tests[@]}" || failed+=("$name")
}

tests=("${@:-tests}")
variant avx2 SFUMATO_CACHE="$cache/avx2" NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES="$avx2,+fma" \
    OPENBLAS_CORETYPE=Haswell ATEN_CPU_CAPABILITY=avx2 MKL_CBWR=AVX2
variant no-fma SFUMATO_CACHE="$cache/no-fma" NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES="$avx2,-fma" \
    OPENBLAS_CORETYPE=Nehalem ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE
if grep -q avx512f /proc/cpuinfo 2>/dev/null; then
    variant avx512 SFUMATO_CACHE="$cache/avx512" OPENBLAS_CORETYPE=SkylakeX
fi
variant one-thread NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
