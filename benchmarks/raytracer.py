"""The ray tracer beside Mitsuba 3 on the same Gaussians, and its picture against Mitsuba's.

    python benchmarks/raytracer.py --mitsuba /path/to/python

The other python is one with ``mitsuba>=3.9`` (and LLVM 17 or newer, named by DRJIT_LIBLLVM_PATH where it is
not found by itself). Both run in turns in processes of their own: 20,000 random Gaussians in a cube of side
2, seen from a distance of 4 through 40 degrees at 480x270, forward, and forward with the gradient to every
parameter. Pictures are compared on Gaussians that stand apart, as the two sort overlapping ones differently.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIZE = (480, 270)
FIELD_DEG, DISTANCE = 40.0, 4.0
# The world in which pictures are compared, times the size of the other.
LARGER = 30.0
# Rays of a pixel each way where pictures are compared, at the same places in both.
SAMPLES = 4


def random_scene(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Gaussians of 0.004 to 0.03 in a cube of side 2."""
    random = np.random.default_rng(seed)
    return {
        "means": random.uniform(-1, 1, (count, 3)),
        "scales": np.exp(random.uniform(math.log(0.004), math.log(0.03), (count, 3))),
        "quats": random.standard_normal((count, 4)),
        "opacities": random.uniform(0.05, 0.95, count),
        "colours": random.uniform(0.1, 0.9, (count, 3)),
    }


def separate_scene(side: int = 12) -> dict[str, np.ndarray]:
    """Gaussians on a grid in the image, none behind another."""
    scene = random_scene(side * side, seed=1)
    grid = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(grid * 1.3, grid * 0.7)
    scene["means"] = np.stack([x.ravel(), y.ravel(), scene["means"][:, 2] * 0.02], 1)
    scene["scales"] = np.minimum(scene["scales"], 0.015)
    # Mitsuba meets some ellipsoids twice where they are small against its step of 1e-4 off a surface.
    return {**scene, **{name: LARGER * scene[name] for name in ("means", "scales")}}


def ours(scene: dict[str, np.ndarray], repeats: int, distance: float) -> dict:
    """Times of Sfumato's tracer and its picture."""
    import torch

    from sfumato.ops import trace

    torch.set_num_threads(1)
    names = ("means", "quats", "scales", "opacities", "colours")
    leaves = [torch.tensor(scene[name], dtype=torch.float32, requires_grad=True) for name in names]
    width, height = SIZE
    eye, background = torch.tensor([0.0, 0.0, -distance]), torch.zeros(3)
    weights = torch.rand(height, width, 3) - 0.5

    def directions(width: int, height: int):
        tangent = math.tan(math.radians(FIELD_DEG / 2))
        x = ((torch.arange(width) + 0.5) / width * 2 - 1) * tangent
        y = ((torch.arange(height) + 0.5) / height * 2 - 1) * tangent * height / width
        shape = (height, width)
        return torch.stack([x.expand(shape), y[:, None].expand(shape), torch.ones(shape)], -1)

    def image(rays):
        return trace(*leaves, eye, rays, background, near=0.01, far=1e10).image

    rays = directions(width, height)

    def forward():
        return image(rays)

    def backward():
        (forward() * weights).sum().backward()

    fine = image(directions(width * SAMPLES, height * SAMPLES)).detach()
    picture = fine.reshape(height, SAMPLES, width, SAMPLES, 3).mean((1, 3))
    return {**timed(forward, backward, repeats), "image": picture.numpy().tolist()}


def mitsubas(scene: dict[str, np.ndarray], repeats: int, distance: float) -> dict:
    """The same of Mitsuba."""
    import drjit as dr
    import mitsuba as mi

    mi.set_variant("llvm_ad_rgb")
    quats = scene["quats"] / np.linalg.norm(scene["quats"], axis=1, keepdims=True)
    ellipsoids = {
        "type": "ellipsoids",
        "centers": mi.TensorXf(scene["means"].astype(np.float32)),
        "scales": mi.TensorXf(scene["scales"].astype(np.float32)),
        "quaternions": mi.TensorXf(quats[:, [1, 2, 3, 0]].astype(np.float32)),
        "opacities": mi.TensorXf(scene["opacities"][:, None].astype(np.float32)),
        "sh_coeffs": mi.TensorXf(((scene["colours"] - 0.5) / 0.28209479177387814).astype(np.float32)),
        "extent": 3.33,
    }
    width, height = SIZE
    view = mi.ScalarTransform4f().look_at(origin=[0, 0, -distance], target=[0, 0, 0], up=[0, -1, 0])
    film = {"type": "hdrfilm", "width": width, "height": height, "rfilter": {"type": "box"}}
    sensor = {"type": "perspective", "fov": FIELD_DEG, "fov_axis": "x", "to_world": view, "film": film}
    world = mi.load_dict(
        {
            "type": "scene",
            "integrator": {"type": "volprim_rf_basic", "max_depth": 256, "srgb_primitives": False},
            "sensor": {**sensor, "sampler": {"type": "independent", "sample_count": 1}},
            "gaussians": ellipsoids,
        }
    )
    parameters = mi.traverse(world)
    moving = [key for key in parameters.keys() if key.startswith("gaussians.")]  # noqa: SIM118
    weights = mi.TensorXf((np.random.default_rng(0).random((height, width, 3)) - 0.5).astype(np.float32))

    def forward():
        image = mi.render(world, spp=1)
        dr.eval(image)
        dr.sync_thread()

    def backward():
        for key in moving:
            if dr.is_diff_v(parameters[key]):
                dr.enable_grad(parameters[key])
        image = mi.render(world, parameters, spp=1)
        dr.backward(dr.sum(image * weights, axis=None))
        for key in moving:
            if dr.is_diff_v(parameters[key]):
                dr.eval(dr.grad(parameters[key]))
        dr.sync_thread()

    grid = {"type": "stratified", "sample_count": SAMPLES**2, "jitter": False}
    regular = mi.load_dict({**sensor, "sampler": grid})
    picture = np.array(mi.render(world, sensor=regular, spp=SAMPLES**2))[..., :3]
    return {**timed(forward, backward, repeats), "image": picture.tolist()}


def timed(forward, backward, repeats: int) -> dict:
    """Shortest seconds of each after one to warm up."""
    found = {}
    for name, work in (("forward_s", forward), ("with_gradient_s", backward)):
        work()
        times = []
        for _ in range(repeats):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        found[name] = min(times)
    return found


def measured(
    python: str, who: str, scene: dict[str, np.ndarray], repeats: int, distance: float = DISTANCE
) -> dict:
    """What ``who`` finds in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder, "scene.npz"), Path(folder, "out.json")
        np.savez(given, **scene)
        command = [python, __file__, "--as", who, str(given), str(out), "--repeats", str(repeats)]
        command += ["--distance", str(distance)]
        subprocess.run(command, check=True)
        return json.loads(out.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mitsuba", help="a python that has mitsuba")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one run of each; not kept")
    parser.add_argument("--distance", type=float, default=DISTANCE, help=argparse.SUPPRESS)
    parser.add_argument("--as", nargs=3, dest="part", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        who, scene, out = given.part
        result = {"sfumato": ours, "mitsuba": mitsubas}[who](
            dict(np.load(scene)), given.repeats, given.distance
        )
        Path(out).write_text(json.dumps(result))
        return
    # Mitsuba's python need not have what the harness needs.
    from harness import print_table, save

    repeats = 1 if given.quick else given.repeats
    pythons = {"sfumato": sys.executable} | ({"mitsuba": given.mitsuba} if given.mitsuba else {})
    crowd, apart = random_scene(20_000), separate_scene()
    found = {who: measured(python, who, crowd, repeats) for who, python in pythons.items()}
    images = {
        who: np.array(measured(python, who, apart, 1, LARGER * DISTANCE)["image"])
        for who, python in pythons.items()
    }
    results = {who: {k: v for k, v in result.items() if k != "image"} for who, result in found.items()}
    if "mitsuba" in found:
        for key in ("forward_s", "with_gradient_s"):
            results[f"times_faster_{key.removesuffix('_s')}"] = found["mitsuba"][key] / found["sfumato"][key]
        error = ((images["mitsuba"] - images["sfumato"]) ** 2).mean()
        results["psnr_against_mitsuba_db"] = -10 * math.log10(error)
    rows = [
        (who, result["forward_s"] * 1e3, result["with_gradient_s"] * 1e3) for who, result in found.items()
    ]
    print_table("20,000 Gaussians, 480x270", ("", "forward, ms", "with gradient, ms"), rows)
    print({key: value for key, value in results.items() if not isinstance(value, dict)})
    save("raytracer", results, quick=given.quick)


if __name__ == "__main__":
    main()
