"""The hierarchy of free rays: building, refitting, and rays per second.

    python benchmarks/bvh.py --scene scene.ply

Random: a cube of Gaussians, so many that a ray through its middle blends some twenty of them; real: a
scene that was trained. Coherent rays are those of a camera, row by row; random ones go from anywhere
to anywhere, each seeing the spherical harmonics of degree 3 from its own origin. A ray is counted once,
with or without its gradient.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from harness import best_seconds, hand_over, in_process, print_table, save, variants

from sfumato.ops import constants
from sfumato.ops.trace_rays import Hierarchy, trace_rays
from sfumato.scene.files import load

COUNT, RAYS = 1_000_000, 1 << 16
BARS_S = {"build": 2.0, "refit": 0.2}


def random_scene(count: int) -> dict[str, torch.Tensor]:
    """Gaussians all over a cube of side 2, smaller the more there are."""
    random = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=random)

    return {
        "means": torch.rand(count, 3, generator=random) * 2 - 1,
        "quats": normal(count, 4),
        "scales": (normal(count, 3) * 0.4).exp() * 0.01 * (20_000 / count) ** 0.5,
        "opacities": (normal(count) * 2).sigmoid(),
        "features": normal(count, 16, 3) * 0.3,
    }


def real_scene(path: Path) -> dict[str, torch.Tensor]:
    """Gaussians of a file."""
    g = load(path)
    sh = torch.zeros(len(g.means), 16, 3)
    sh[:, : g.sh.shape[1]] = g.sh
    values = (g.means, g.quats, g.log_scales.exp(), g.logit_opacities.sigmoid(), sh)
    return dict(zip(("means", "quats", "scales", "opacities", "features"), values, strict=True))


def rays(means: torch.Tensor, count: int, kind: str) -> dict[str, torch.Tensor]:
    """Origins and directions of coherent or random rays around the middle of a scene."""
    centre = means.median(0).values
    reach = (means - centre).abs().quantile(0.7).item() if len(means) < 1 << 24 else 1.0
    random = torch.Generator().manual_seed(1)
    if kind == "random":
        origins, targets = torch.randn(2, count, 3, generator=random) * reach + centre
        return {"origins": origins, "directions": targets - origins}
    side = int(count**0.5)
    y, x = torch.meshgrid(*[torch.linspace(-0.5, 0.5, side)] * 2, indexing="ij")
    directions = torch.stack([x, y, torch.ones_like(x)], -1).reshape(-1, 3)
    origins = centre - torch.tensor([0.0, 0.0, 2.5 * reach])
    return {"origins": origins.expand(len(directions), 3).clone(), "directions": directions}


def measure(scene: dict[str, torch.Tensor], count: int, seconds: float) -> dict[str, Any]:
    """Seconds of building and refitting, rays per second."""
    parts = [scene[name] for name in ("means", "quats", "scales", "opacities")]
    tree = Hierarchy.build(*parts)
    found = {
        "gaussians": len(parts[0]),
        "build": best_seconds(lambda: Hierarchy.build(*parts), seconds=seconds),
        "refit": best_seconds(lambda: tree.refit(*parts), seconds=seconds),
    }
    options = {"near": constants.NEAR, "far": constants.FAR, "degree": 3, "hierarchy": tree}
    leaves = {name: value.clone().requires_grad_() for name, value in scene.items()}
    for kind in ("coherent", "random"):
        inputs = {**rays(parts[0], count, kind), "background": torch.zeros(3)}

        def forward(given, inputs=inputs):
            return trace_rays(**given, **inputs, **options)

        def with_gradient(forward=forward):
            torch.autograd.grad(sum(output.sum() for output in forward(leaves)), list(leaves.values()))

        num = len(inputs["origins"])
        found[kind] = num / best_seconds(lambda f=forward: f(scene), seconds=seconds)
        found[f"{kind} with gradient"] = num / best_seconds(with_gradient, seconds=seconds)
    return found


def main() -> None:
    """Measure every variant in its own process, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scene", type=Path, help="a trained scene")
    parser.add_argument("--quick", action="store_true", help="a trial whose numbers mean nothing")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        shrunk = 100 if given.quick else 1
        scenes = {"random": random_scene(COUNT // shrunk)}
        if given.scene:
            scenes["real"] = real_scene(given.scene)
        seconds = 0.1 if given.quick else 1.5
        hand_over({name: measure(scene, RAYS // shrunk, seconds) for name, scene in scenes.items()})
        return
    arguments = ["--measure"] + ["--quick"] * given.quick
    arguments += ["--scene", str(given.scene)] if given.scene else []
    results = {name: in_process(__file__, arguments, environment) for name, environment in variants().items()}
    names = list(next(iter(results.values()))["random"])
    rows = [
        [f"{scene}, {name}", *(values[part] for part in names)]
        for name, found in results.items()
        for scene, values in found.items()
    ]
    print_table("Free rays: seconds, and rays per second", ["", *names], rows)
    most = max(results, key=lambda name: name.endswith("threads"))
    for part, bar in BARS_S.items():
        print(
            f"bar: {part} of {COUNT:,} under {bar} s; measured {results[most]['random'][part]:.2f} s ({most})"
        )
    save("bvh", results, quick=given.quick)


if __name__ == "__main__":
    main()
