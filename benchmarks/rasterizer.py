"""Speed of the rasterizer against a plain scalar loop and against the machine's own limit.

    python benchmarks/rasterizer.py

Setting: 100 000 random Gaussians with standard deviations of 0.7 to 6 px on 640x480, about 17.4
million pairs of a Gaussian and a pixel whose alpha reaches 1/255. "Compositing" is the blending
alone and its gradient, "whole step" everything from the 3D Gaussians to their gradients.

Operations per lane, counted in sfumato/ops/cpu/raster/blend.py with d = 3 channels and AVX-512, a
fused multiply-add as two; selections, shifts and logic are not counted:
  forward: exponent 5, of its column 3, exp2 11, clamp 1, blend 2, colours 6 = 28
  backward: exponent to blend 20, dot product 6, own, remaining and pull 6, moments 2,
            colour gradients 3, sums over lanes 10 = 47
Bytes per block: forward 40 for 32 lanes (record 36, list 4); backward 112 for 64 lanes
(the same, and 72 of sums read and written). The rest stays in registers with AVX-512.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from harness import best_seconds, hand_over, in_process, print_table, save, variants

COUNT, WIDTH, HEIGHT = 100_000, 640, 480
SIGMA_PX, OPACITY = (0.7, 6.0), (0.05, 0.95)
FLOPS = {"forward": 28, "backward": 47}
BYTES_PER_BLOCK = {"forward": 40, "backward": 112}
BAR_MS = 150.0


def ellipses(count: int) -> dict[str, np.ndarray]:
    """Random ellipses over the whole picture: axes log-uniform, opacities uniform."""
    random = np.random.default_rng(0)
    sigma = np.exp(random.uniform(*np.log(SIGMA_PX), (count, 2)))
    angle = random.uniform(0, np.pi, count)
    axes = np.stack([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    inverse = np.einsum("nij,nj,nkj->nik", axes, sigma**-2.0, axes)
    found = {
        "mean": random.uniform(0, 1, (count, 2)) * (WIDTH, HEIGHT),
        "conic": np.stack([inverse[:, 0, 0], inverse[:, 0, 1], inverse[:, 1, 1]], 1),
        "opacity": random.uniform(*OPACITY, count),
        "depth": random.uniform(1, 10, count),
        "colour": random.uniform(0, 1, (count, 3)),
        "sigma": sigma,
        "angle": angle,
    }
    return {name: values.astype(np.float32) for name, values in found.items()}


def compositing(count: int, seconds: float) -> dict[str, Any]:
    """Seconds of the parts of compositing, and how many lanes and pairs they work on."""
    from plain import composite, count_pairs

    from sfumato.ops.cpu.raster import blend as cpu
    from sfumato.ops.cpu.raster import splats
    from sfumato.ops.cpu.raster.tiles import bin_tiles

    e = ellipses(count)
    geometry = e["mean"], e["conic"], e["opacity"]
    radius = np.full((count, 2), 40, np.int32)
    tiles = bin_tiles(*geometry, e["depth"], radius, WIDTH, HEIGHT)
    order, rank, mask = tiles.order, tiles.pair_rank, tiles.pair_mask
    records = splats.splat_records(order, *geometry, e["colour"])
    image, alpha = np.empty((HEIGHT, WIDTH, 3), np.float32), np.empty((HEIGHT, WIDTH), np.float32)
    channels, black = (0, 0, 0), np.zeros(3, np.float32)
    plain_image = np.zeros_like(image)

    def forward():
        records = splats.splat_records(order, *geometry, e["colour"])
        cpu.composite_forward(channels, records, black, tiles, WIDTH, HEIGHT, image, alpha)

    def plain():
        plain_image[:] = 0
        return composite(order, rank, tiles.tile_starts, *geometry, e["colour"], WIDTH, HEIGHT, plain_image)

    forward()
    to_image = np.random.default_rng(1).normal(size=image.shape).astype(np.float32)
    to_alpha = np.empty((0, 0, 1), np.float32)
    columns, row = splats.sums_layout(3, False)

    def backward():
        sums = np.zeros((rank.size, row), np.float32)
        cpu.composite_backward(channels, (), records, image, alpha, to_image, to_alpha, tiles, sums)
        shapes = (count, 2), (0, 2), (count, 3), (count,), (count, 3)
        found = splats.SplatGradients(*(np.zeros(shape, np.float32) for shape in shapes))
        splats.gather_gradients(tiles, sums, columns, e["conic"], e["opacity"], found)

    blended = int(plain().sum())
    difference = float(np.abs(image - plain_image).max())
    assert difference < 1e-3, f"the yardstick blends something else: {difference}"
    wide = (mask | (mask >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    return {
        "pairs": int(count_pairs(*geometry, WIDTH, HEIGHT).sum()),
        "blended": blended,
        "lanes": {"forward": 32 * _bits(mask), "backward": 64 * _bits(wide)},
        "seconds": {
            "binning": best_seconds(
                lambda: bin_tiles(*geometry, e["depth"], radius, WIDTH, HEIGHT), seconds=seconds
            ),
            "forward": best_seconds(forward, seconds=seconds),
            "backward": best_seconds(backward, seconds=seconds),
            "plain forward": best_seconds(plain, seconds=seconds),
        },
    }


def whole_step(count: int, seconds: float) -> dict[str, float]:
    """Seconds of sfumato.rasterize and of its backward pass, SH degree 3, all gradients."""
    import time

    import torch

    from sfumato import Camera, Gaussians, RasterSettings, rasterize
    from sfumato.ops.constants import BLUR_PX2

    torch.set_num_threads(1)
    e = {name: torch.from_numpy(values) for name, values in ellipses(count).items()}
    random = torch.Generator().manual_seed(0)
    focal = 500.0
    depth = e["depth"][:, None]
    across = (e["mean"] - torch.tensor([WIDTH / 2, HEIGHT / 2])) / focal * depth
    # Thin discs that face the camera: with the projection's blur, the ellipses of ``compositing``.
    sigma = (e["sigma"].square() - BLUR_PX2).sqrt()
    half, nothing = e["angle"] / 2, torch.zeros(count)
    scene = Gaussians(
        torch.cat([across, depth], 1),
        (torch.cat([sigma, torch.full((count, 1), 0.01)], 1) * depth / focal).log(),
        torch.stack([half.cos(), nothing, nothing, half.sin()], 1),
        e["opacity"].logit(),
        0.2 * torch.randn(count, 16, 3, generator=random),
    ).map(torch.Tensor.requires_grad_)
    camera = Camera(torch.eye(4), (focal, focal), (WIDTH / 2, HEIGHT / 2), (WIDTH, HEIGHT))
    to_image = torch.randn(HEIGHT, WIDTH, 3, generator=random)
    times = {"forward": [], "backward": []}
    spent = 0.0
    while spent < 2 * seconds or len(times["forward"]) < 3:
        start = time.perf_counter()
        image = rasterize(scene, camera, RasterSettings(depth=False)).image
        middle = time.perf_counter()
        image.backward(to_image)
        end = time.perf_counter()
        times["forward"].append(middle - start)
        times["backward"].append(end - middle)
        spent += end - start
        scene.map(lambda tensor: setattr(tensor, "grad", None) or tensor)
    return {name: min(found) for name, found in times.items()}


def _bits(mask: np.ndarray) -> int:
    return int(np.unpackbits(mask.view(np.uint8)).sum())


def measure(count: int, quick: bool) -> dict[str, Any]:
    """Everything for the threads and the instruction set of this process."""
    from roofline import bytes_per_s, fma_per_s

    seconds = 0.1 if quick else 1.5
    found = compositing(count, seconds)
    found["whole step"] = whole_step(count, seconds)
    found["fma_per_s"], found["bytes_per_s"] = fma_per_s(quick=quick), bytes_per_s(quick=quick)
    found["of_peak"] = {}
    for part, flops in FLOPS.items():
        lanes, taken = found["lanes"][part], found["seconds"][part]
        blocks = lanes / (32 if part == "forward" else 64)
        found["of_peak"][part] = {
            "arithmetic": lanes * flops / taken / (2 * found["fma_per_s"]),
            "arithmetic of blended pairs": found["blended"] * flops / taken / (2 * found["fma_per_s"]),
            "L1": blocks * BYTES_PER_BLOCK[part] / taken / found["bytes_per_s"]["L1"]["load"],
        }
    return found


def show(results: dict[str, dict[str, Any]]) -> None:
    """Print the tables."""
    some = next(iter(results.values()))
    print(f"{some['pairs'] / 1e6:.1f} million pairs reach 1/255, {some['blended'] / 1e6:.1f} are blended")
    rows = [
        [
            f"{name}: {part}",
            1e3 * taken,
            found["pairs"] / taken / 1e6,
            1e9 * taken / found["pairs"],
            *[f"{share:.0%}" for share in found["of_peak"].get(part, {}).values()],
        ]
        for name, found in results.items()
        for part, taken in found["seconds"].items()
    ]
    headings = ["compositing", "ms", "10^6 pairs/s", "ns/pair", "of FMA peak", "blended pairs", "of L1 loads"]
    print_table("Compositing", headings, [[*row, *[""] * (7 - len(row))] for row in rows])
    rows = []
    for name, found in results.items():
        parts = {part: 1e3 * taken for part, taken in found["whole step"].items()}
        rows.append([name, *parts.values(), sum(parts.values()), found["pairs"] / sum(parts.values()) / 1e3])
    print_table(
        "Whole step: 3D Gaussians with SH degree 3 to gradients",
        ["", "forward ms", "backward ms", "together ms", "10^6 pairs/s"],
        rows,
    )
    bar = [row for row in rows if row[0].startswith("1 thread")][-1]
    print(f"bar: one core with AVX2 takes at most {BAR_MS:.0f} ms; measured {bar[3]:.0f} ms ({bar[0]})")


def main() -> None:
    """Measure every variant in its own process, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a trial whose numbers mean nothing")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        hand_over(measure(COUNT // 20 if given.quick else COUNT, given.quick))
        return
    arguments = ["--measure"] + ["--quick"] * given.quick
    results = {name: in_process(__file__, arguments, environment) for name, environment in variants().items()}
    show(results)
    save("rasterizer", results, quick=given.quick)


if __name__ == "__main__":
    main()
