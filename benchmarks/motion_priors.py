"""The priors on how neighbours move: forward and gradient, by the kernel and by the definition in float32.

    python benchmarks/motion_priors.py

Gaussians lie all over a cube, each with twenty neighbours. The definition is what one would write in plain
torch, with as many threads as the kernel.
"""

from __future__ import annotations

import argparse
import os

import torch
from harness import best_seconds, hand_over, in_process, print_table, save, variants

from sfumato.maths.neighbours import near_neighbours
from sfumato.ops import motion_priors, reference

COUNTS, NEIGHBOURS = (4_000, 40_000), 20


def scene(count: int) -> dict[str, torch.Tensor]:
    """Inputs of a step in which everything moves by about a tenth of the distance of neighbours."""
    random = torch.Generator().manual_seed(0)
    before, quats = torch.rand(count, 3, generator=random), torch.randn(count, 4, generator=random)
    rows, weights, distances = near_neighbours(before, NEIGHBOURS)
    return {
        "means": before + 0.1 * distances.mean() * torch.randn(count, 3, generator=random),
        "quats": quats + 0.05 * torch.randn(count, 4, generator=random),
        "previous_means": before,
        "previous_quats": quats,
        "neighbours": rows,
        "weights": weights,
        "rest_distances": distances,
    }


def measure(count: int, seconds: float) -> dict[str, float]:
    """Milliseconds of forward and gradient by either way."""
    inputs = scene(count)
    leaves = [inputs.pop(name).requires_grad_() for name in ("means", "quats")]

    def milliseconds(operation):
        def work():
            torch.autograd.grad(operation(*leaves, **inputs).sum(), leaves)

        return 1000 * best_seconds(work, seconds=seconds)

    kernel, definition = milliseconds(motion_priors), milliseconds(reference.motion_priors)
    return {"kernel_ms": kernel, "torch_ms": definition, "ratio": definition / kernel}


def main() -> None:
    """Measure every variant in its own process, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a trial whose numbers mean nothing")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        torch.set_num_threads(int(os.environ["NUMBA_NUM_THREADS"]))
        counts = (100,) if given.quick else COUNTS
        hand_over({f"{count:,} Gaussians": measure(count, 0.1 if given.quick else 2.0) for count in counts})
        return
    arguments = ["--measure"] + ["--quick"] * given.quick
    results = {name: in_process(__file__, arguments, environment) for name, environment in variants().items()}
    rows = [
        [f"{count}, {name}", *values.values()]
        for name, found in results.items()
        for count, values in found.items()
    ]
    print_table("Forward and gradient", ["", "kernel, ms", "torch, ms", "ratio"], rows)
    save("motion_priors", results, quick=given.quick)


if __name__ == "__main__":
    main()
