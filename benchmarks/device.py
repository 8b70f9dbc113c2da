"""The rasterizer on a device: its parts, frames a second, memory, and the device's own limits.

    python benchmarks/device.py [--device cuda] [--gaussians 300000] [--size 1920 1080] [--quick]

Random Gaussians of 0.7 to 6 px fill the picture. Before anything is timed, a small picture and its gradients
are compared with the definitions in float64, and two runs bit for bit. One table, in under five minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from harness import print_table, save

import sfumato
from sfumato import ops

SIGMA_PX, DISTANCE, FOCAL = (0.7, 6.0), 4.0, 1.2
FIELDS = ("means", "log_scales", "quats", "logit_opacities", "sh")


def scene(count: int, width: int, height: int, device: str, dtype=torch.float32) -> sfumato.Gaussians:
    """Gaussians that fill the picture of :func:`camera`, of log-uniform size."""
    random = torch.Generator().manual_seed(0)

    def uniform(*shape):
        return torch.rand(*shape, generator=random, dtype=torch.float64)

    depth = DISTANCE * (0.5 + uniform(count, 1))
    places = (uniform(count, 2) - 0.5) * torch.tensor([width, height]) / (FOCAL * width)
    low, high = torch.tensor(SIGMA_PX, dtype=torch.float64).log()
    pixel = (depth / (FOCAL * width)).log()
    fields = {
        "means": torch.cat([places * depth, depth], 1),
        "log_scales": low + (high - low) * uniform(count, 3) + pixel,
        "quats": torch.randn(count, 4, generator=random, dtype=torch.float64),
        "logit_opacities": 4 * uniform(count) - 2,
        "sh": 0.3 * torch.randn(count, 16, 3, generator=random, dtype=torch.float64),
    }
    return sfumato.Gaussians(**{name: value.to(device, dtype) for name, value in fields.items()})


def camera(width: int, height: int, device: str, dtype=torch.float32) -> sfumato.Camera:
    """A pinhole that looks along z."""
    pose = torch.eye(4, device=device, dtype=dtype)
    focal = FOCAL * width
    return sfumato.Camera(
        pose, focal_px=(focal, focal), centre_px=(width / 2, height / 2), size_px=(width, height)
    )


def drawn(count: int, width: int, height: int, device: str, dtype=torch.float32) -> list[torch.Tensor]:
    """A picture and the gradient of its sum of squares in every field, on the host."""
    given = scene(count, width, height, device, dtype).map(torch.Tensor.requires_grad_)
    image = sfumato.rasterize(given, camera(width, height, device, dtype)).image
    grads = torch.autograd.grad(image.square().sum(), [getattr(given, field) for field in FIELDS])
    return [tensor.detach().to("cpu", torch.float64) for tensor in (image, *grads)]


def compared(device: str) -> list[tuple[str, float]]:
    """Largest relative errors against float64 on the host, and whether two runs are the same bits."""
    found, again = drawn(300, 80, 60, device), drawn(300, 80, 60, device)
    wanted = drawn(300, 80, 60, "cpu", torch.float64)
    errors = [
        (f"relative error: {name}", float((got - target).norm() / target.norm()))
        for name, got, target in zip(("picture", *FIELDS), found, wanted, strict=True)
    ]
    same = all(torch.equal(one, other) for one, other in zip(found, again, strict=True))
    return [*errors, ("two runs are the same bits (1 yes)", float(same))]


def milliseconds(work: Callable[[], object], device: str, seconds: float) -> float:
    """The median time of one call, after one to compile and three to warm up."""
    wait = torch.get_device_module(device).synchronize
    for _ in range(4):
        work()
    wait()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        began = time.perf_counter()
        work()
        wait()
        times.append(1000 * (time.perf_counter() - began))
    return sorted(times)[len(times) // 2]


def limits(device: str, seconds: float) -> list[tuple[str, float]]:
    """Bytes copied and multiply-adds of a float32 matrix product, a second."""
    megabytes = torch.ones(64 * 2**20, device=device)
    other, side = torch.empty_like(megabytes), 4096 if device != "cpu" else 1024
    matrix = torch.ones(side, side, device=device)
    copy = milliseconds(lambda: other.copy_(megabytes), device, seconds)
    product = milliseconds(lambda: matrix @ matrix, device, seconds)
    return [
        ("copied, GB/s", 2 * megabytes.nbytes / copy / 1e6),
        ("multiply-adds of a matrix product, G/s", side**3 / product / 1e6),
    ]


def parts(count: int, width: int, height: int, device: str, seconds: float) -> list[tuple[str, float]]:
    """Milliseconds of each operation, forward, and of the gradient of each."""
    given, seen = scene(count, width, height, device), camera(width, height, device)
    pose, focal = torch.eye(4, device=device), FOCAL * width
    lens = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], device=device)
    target, size = torch.rand(height, width, 3, device=device), {"width": width, "height": height}
    opacities = given.logit_opacities.sigmoid()
    covariances = ops.covariance(given.quats, given.log_scales.exp())
    projected = ops.project(given.means, covariances, pose, lens, **size, opacities=opacities)
    colours = ops.colour(given.sh, given.means, pose[:3, 3], 3)
    black = torch.zeros(3, device=device)
    calls: dict[str, tuple[Callable[..., Any], list[torch.Tensor]]] = {
        "covariance": (ops.covariance, [given.quats, given.log_scales.exp()]),
        "project": (
            lambda m, c: ops.project(m, c, pose, lens, **size, opacities=opacities)[:2],
            [given.means, covariances],
        ),
        "colour": (lambda sh, m: ops.colour(sh, m, pose[:3, 3], 3), [given.sh, given.means]),
        "composite": (
            lambda m, c, o, v: ops.composite(m, c, o, v, projected.depth, projected.radius_px, black, **size),
            [projected.mean_px, projected.conic, opacities, colours],
        ),
        "loss": (lambda image: ops.photometric_loss(image, target), [torch.rand_like(target)]),
    }
    rows = []
    for name, (operation, tensors) in calls.items():
        leaves = [tensor.detach().requires_grad_() for tensor in tensors]
        rows.append((f"{name}, ms", milliseconds(lambda f=operation, a=leaves: f(*a), device, seconds)))
        outputs = operation(*leaves)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        pulls = [torch.rand_like(output) for output in outputs]

        def back(outputs=outputs, leaves=leaves, pulls=pulls):
            return torch.autograd.grad(outputs, leaves, pulls, retain_graph=True)

        rows.append((f"{name}, gradient, ms", milliseconds(back, device, seconds)))
    frame = milliseconds(lambda: sfumato.rasterize(given, seen), device, seconds)
    return [*rows, ("frame, ms", frame), ("frames a second", 1000 / frame)]


def memory(count: int, width: int, height: int, device: str) -> list[tuple[str, float]]:
    """Most bytes that torch held for a picture and its gradient; the host does not count them."""
    module = torch.get_device_module(device)
    if not hasattr(module, "max_memory_allocated"):
        return []
    module.reset_peak_memory_stats()
    given = scene(count, width, height, device).map(torch.Tensor.requires_grad_)
    sfumato.rasterize(given, camera(width, height, device)).image.sum().backward()
    return [("most memory, MB", module.max_memory_allocated() / 1e6)]


def main() -> None:
    """Compare, measure, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--gaussians", type=int, default=300_000, help="how many")
    parser.add_argument("--size", type=int, nargs=2, default=(1920, 1080), help="width and height, px")
    parser.add_argument("--quick", action="store_true", help="a trial whose numbers mean nothing")
    given = parser.parse_args()
    count, size = (2000, (96, 64)) if given.quick else (given.gaussians, tuple(given.size))
    seconds = 0.05 if given.quick else 2.0
    rows = compared(given.device)
    rows += parts(count, *size, given.device, seconds)
    rows += memory(count, *size, given.device) + limits(given.device, seconds)
    print_table(f"{count:,} Gaussians at {size[0]}x{size[1]} on {given.device}", ("what", "value"), rows)
    save(f"device_{given.device}", dict(rows), quick=given.quick)


if __name__ == "__main__":
    main()
