"""The machine's own measured limits: fused multiply-adds, and loads and stores of each memory.

    python benchmarks/roofline.py

The kernels use the same lanes as the package's, so a limit is what compiled Python can reach here.
"""

from __future__ import annotations

import argparse

import numba
import numpy as np
from harness import best_seconds, hand_over, in_process, print_table, save, variants
from numba import prange

from sfumato.ops.cpu.simd import lanes as ln

# Bytes per thread that fit the first cache, fit the second, and fit none.
MEMORIES = {"L1": 16 << 10, "L2": 256 << 10, "DRAM": 128 << 20}
_STEP = 8 * 16


def _make_fma(width):
    @numba.njit(parallel=True, error_model="numpy")
    def fma(threads, rounds, out):
        for thread in prange(threads):
            factor, term = ln.spread(width, np.float32(0.999)), ln.spread(width, np.float32(0.001))
            # Enough independent sums to hide the latency, few enough for 16 registers.
            a, b, c, d = term, term + term, term + factor, factor
            e, f, g, h = a + a, b + b, c + c, d + d
            i, j = e + f, g + h
            for _ in range(rounds):
                a, b = a * factor + term, b * factor + term
                c, d = c * factor + term, d * factor + term
                e, f = e * factor + term, f * factor + term
                g, h = g * factor + term, h * factor + term
                i, j = i * factor + term, j * factor + term
            ln.store(out, thread * width, a + b + c + d + e + f + g + h + i + j)

    return fma


@numba.njit(parallel=True, error_model="numpy")
def _load(values, size, rounds, out):
    for thread in prange(values.size // size):
        base = thread * size
        a, b = ln.load(16, values, base), ln.load(16, values, base + 16)
        c, d, e, f, g, h = a, b, a, b, a, b
        for _ in range(rounds):
            for i in range(base, base + size, 128):
                a, b = a + ln.load(16, values, i), b + ln.load(16, values, i + 16)
                c, d = c + ln.load(16, values, i + 32), d + ln.load(16, values, i + 48)
                e, f = e + ln.load(16, values, i + 64), f + ln.load(16, values, i + 80)
                g, h = g + ln.load(16, values, i + 96), h + ln.load(16, values, i + 112)
        ln.store(out, thread * 16, a + b + c + d + e + f + g + h)


@numba.njit(parallel=True, error_model="numpy")
def _store(values, size, rounds):
    for thread in prange(values.size // size):
        base = thread * size
        for turn in range(rounds):
            value = ln.spread(16, np.float32(turn))
            for i in range(base, base + size, 64):
                ln.store(values, i, value)
                ln.store(values, i + 16, value)
                ln.store(values, i + 32, value)
                ln.store(values, i + 48, value)


def fma_per_s(*, quick: bool = False) -> float:
    """Fused multiply-adds of single numbers per second, on as many threads as Numba has."""
    threads, rounds, rates = numba.get_num_threads(), 10_000 if quick else 2_000_000, []
    for width in (8, 16):
        fma, out = _make_fma(width), np.zeros(threads * width, np.float32)
        seconds = best_seconds(lambda f=fma, o=out: f(threads, rounds, o), seconds=0.1 if quick else 1.0)
        rates.append(threads * rounds * 10 * width / seconds)
    return max(rates)


def bytes_per_s(*, quick: bool = False) -> dict[str, dict[str, float]]:
    """Bytes loaded and stored per second for each memory, on as many threads as Numba has."""
    threads, found = numba.get_num_threads(), {}
    out = np.zeros(threads * 16, np.float32)
    for memory, num_bytes in MEMORIES.items():
        size = num_bytes // 4 // (16 if quick and memory == "DRAM" else 1) // _STEP * _STEP
        rounds = max(1, (1 << (20 if quick else 26)) // size)
        values = np.zeros(threads * size, np.float32)
        moved, limit = values.nbytes * rounds, 0.1 if quick else 1.0
        load = best_seconds(lambda v=values, s=size, r=rounds: _load(v, s, r, out), seconds=limit)
        store = best_seconds(lambda v=values, s=size, r=rounds: _store(v, s, r), seconds=limit)
        found[memory] = {"load": moved / load, "store": moved / store}
    return found


def main() -> None:
    """Measure with one thread and with all, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a trial whose numbers mean nothing")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        hand_over({"fma_per_s": fma_per_s(quick=given.quick), "bytes_per_s": bytes_per_s(quick=given.quick)})
        return
    arguments = ["--measure"] + ["--quick"] * given.quick
    results = {name: in_process(__file__, arguments, env) for name, env in variants().items()}
    rows = [
        [name, found["fma_per_s"] / 1e9, *(
            rate / 1e9 for memory in MEMORIES for rate in found["bytes_per_s"][memory].values()
        )]
        for name, found in results.items()
    ]  # fmt: skip
    moves = [f"{memory} {way} GB/s" for memory in MEMORIES for way in ("load", "store")]
    print_table("Measured limits", ["", "FMA, 10^9/s", *moves], rows)
    save("roofline", results, quick=given.quick)


if __name__ == "__main__":
    main()
