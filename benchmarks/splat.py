"""Splats of a measured cloud: time and memory, holes, and pictures beside those of points.

    python benchmarks/splat.py CLOUD

CLOUD is a coloured one, such as of a scanned statue. The first part splats a million points of a made-up
surface. The second looks for holes from 20 views, each so far away that a pixel is as large as the points are
apart. The third renders a tenth of the points as points and as splats, beside a picture of all of them.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import hand_over, in_process, print_table, save

POINTS = 1_000_000
LIMIT_S, LIMIT_BYTES = 20.0, 2 << 30
VIEWS = 20
# Of the points that the pictures are made from: one in so many.
KEPT = 10
PICTURE_PX = 240
# The lion's own frame has z upwards; views stand around that axis.
UP = (0.0, 0.0, 1.0)


def write_made_up(path: Path, count: int) -> None:
    """A bumpy sphere of random points with colours, as binary PLY."""
    import numpy as np

    unit = np.random.default_rng(0).standard_normal((count, 3))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    bumps = 1 + 0.05 * np.sin(12 * unit[:, 0]) * np.sin(9 * unit[:, 1]) * np.sin(11 * unit[:, 2])
    rows = np.empty(count, [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    rows["xyz"], rows["rgb"] = unit * bumps[:, None], 127 + 120 * unit
    names = "".join(f"property float {axis}\n" for axis in "xyz")
    names += "".join(f"property uchar {name}\n" for name in ("red", "green", "blue"))
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {count}\n{names}end_header\n"
    path.write_bytes(head.encode() + rows.tobytes())


def measure(count: int) -> dict[str, Any]:
    """Seconds from the file to the file, and the peak of this process."""
    import sfumato
    from sfumato import machine

    with tempfile.TemporaryDirectory() as folder:
        cloud = Path(folder) / "cloud.ply"
        write_made_up(cloud, count)
        began, began_cpu = time.perf_counter(), time.process_time()
        found = sfumato.splat(cloud)
        sfumato.save(found.scene, Path(folder) / "scene.ply")
        seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    return {
        "points": count,
        "gaussians": len(found.scene),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_memory_bytes": machine.peak_memory_bytes(),
    }


def views_around(xyz, spacing: float, size_px: int | None = None):
    """Cameras on a spiral round points; a pixel is as large as the spacing, or the picture has a size."""
    import numpy as np
    import torch

    import sfumato

    low, high = np.percentile(xyz, (0.5, 99.5), axis=0)
    centre, radius = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    away = 4 * radius
    size = size_px or 2 * math.ceil(radius / spacing)
    # Of a sphere of this radius the picture is as wide as the picture.
    focal = size / 2 * math.sqrt(away**2 - radius**2) / radius
    for i in range(VIEWS):
        z = 0.8 * (1 - (2 * i + 1) / VIEWS) + 0.1
        turn = i * math.pi * (3 - math.sqrt(5))
        direction = np.array(
            [math.sqrt(1 - z * z) * math.cos(turn), math.sqrt(1 - z * z) * math.sin(turn), z]
        )
        forward = -direction
        right = np.cross(forward, UP)
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
        pose[:3, 3] = -pose[:3, :3] @ (centre + away * direction)
        yield sfumato.Camera(torch.from_numpy(pose), (focal, focal), (size / 2, size / 2), (size, size))


def projected(xyz, camera):
    """Pixels [n, 2] and depths [n] of points."""
    import numpy as np

    pose = camera.camera_from_world.numpy()
    local = xyz @ pose[:3, :3].T + pose[:3, 3]
    at = local[:, :2] / local[:, 2:] * camera.focal_px + np.array(camera.centre_px)
    return np.floor(at).astype(int), local[:, 2]


def front_of_points(xyz, camera, half: int):
    """[h, w] rows of the nearest point at each pixel, -1 for none; each fills (2 half + 1)^2 pixels."""
    import numpy as np

    width, height = camera.size_px
    at, depth = projected(xyz, camera)
    found, nearest = np.full(height * width, -1), np.full(height * width, np.inf)
    for dx in range(-half, half + 1):
        for dy in range(-half, half + 1):
            x, y = at[:, 0] + dx, at[:, 1] + dy
            inside = np.flatnonzero((x >= 0) & (x < width) & (y >= 0) & (y < height))
            order = inside[np.argsort(-depth[inside], kind="stable")]
            pixels = y[order] * width + x[order]
            closer = depth[order] < nearest[pixels]
            # The last write to a pixel is that of the nearest point.
            nearest[pixels[closer]], found[pixels[closer]] = depth[order][closer], order[closer]
    return found.reshape(height, width)


def holes(cloud, found) -> dict[str, Any]:
    """Of the pixels inside the outline of the points, how many let a tenth, and half, of it through."""
    import numpy as np
    from scipy.ndimage import binary_closing, binary_erosion

    import sfumato

    xyz = cloud.xyz - np.array(found.offset)
    inside_px = tenth = half = 0
    uncovered = []
    for camera in views_around(xyz, found.spacing):
        hit = front_of_points(xyz, camera, 0) >= 0
        # Points leave gaps of a pixel or two, holes of the surface are larger; the outline itself is soft.
        inside = binary_erosion(binary_closing(hit, iterations=1, structure=np.ones((3, 3))), iterations=2)
        alpha = sfumato.rasterize(found.scene, camera, sfumato.RasterSettings(depth=False)).alpha.numpy()
        inside_px += int(inside.sum())
        tenth += int((alpha[inside] < 0.9).sum())
        half += int((alpha[inside] < 0.5).sum())
        uncovered.append(int((~hit[inside]).sum()))
    return {
        "pixels": inside_px,
        "a_tenth_through_splats": tenth / inside_px,
        "half_through_splats": half / inside_px,
        "holes_of_points": sum(uncovered) / inside_px,
    }


def pictures(cloud) -> dict[str, float]:
    """PSNR of a tenth of the points, drawn in several ways, beside a picture of all points."""
    import numpy as np

    import sfumato

    rows = np.random.default_rng(0).permutation(len(cloud))[: len(cloud) // KEPT]
    some = cloud.select(np.sort(rows))
    found = sfumato.splat(some)
    scene, xyz = found.scene, some.xyz - np.array(found.offset)
    settings = sfumato.RasterSettings(depth=False)
    errors: dict[str, list[float]] = {}
    for camera in views_around(xyz, found.spacing, PICTURE_PX):
        truth, mask = all_points(cloud.xyz - np.array(found.offset), cloud.rgb / 255, camera)
        drawn = {
            f"points of {2 * half + 1} px": of_points(xyz, some.rgb / 255, camera, half) for half in range(3)
        }
        drawn["splats, composited"] = sfumato.rasterize(scene, camera, settings).image.numpy()
        drawn["splats, normalised weights"] = sfumato.render_surface(scene, camera).image.numpy()
        for name, image in drawn.items():
            errors.setdefault(name, []).append(float(np.square(image - truth)[mask].mean()))
    return {name: float(np.mean(-10 * np.log10(each))) for name, each in errors.items()}


def of_points(xyz, rgb, camera, half: int):
    """[h, w, 3] picture of points on black, squares of 2 half + 1 pixels."""
    import numpy as np

    rows = front_of_points(xyz, camera, half)
    return np.where(rows[..., None] >= 0, rgb[rows], 0)


def all_points(xyz, rgb, camera):
    """[h, w, 3] means of the frontmost points at each pixel, and [h, w] where there are some inside."""
    import numpy as np
    from scipy.ndimage import binary_closing, binary_erosion

    width, height = camera.size_px
    front = front_of_points(xyz, camera, 1)
    at, depth = projected(xyz, camera)
    ahead = ((at >= 0) & (at < (width, height))).all(axis=1)
    pixels = (at[:, 1] * width + at[:, 0])[ahead]
    # What is on the surface lies within some pixels of the nearest point around.
    pixel = float(depth.mean()) / camera.focal_px[0]
    near = depth[ahead] < depth[front.ravel()[pixels]] + 4 * pixel
    pixels, colours = pixels[near], rgb[ahead][near]
    counts = np.bincount(pixels, minlength=width * height)
    sums = np.stack([np.bincount(pixels, colours[:, i], width * height) for i in range(3)], axis=1)
    image = (sums / np.maximum(counts, 1)[:, None]).reshape(height, width, 3)
    there = (counts > 0).reshape(height, width)
    return image, binary_erosion(binary_closing(there), iterations=2) & there


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cloud", nargs="?", type=Path)
    parser.add_argument("--quick", action="store_true", help="a trial whose numbers mean nothing")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        hand_over(measure(given.measure))
        return
    speed = in_process(__file__, ["--measure", str(5000 if given.quick else POINTS)])
    rows = [[speed["points"], speed["seconds"], speed["cpu_seconds"], speed["peak_memory_bytes"] / 2**30]]
    print_table("A made-up surface", ["points", "s", "s of processors", "peak GiB"], rows)
    if not given.quick:
        kept = speed["seconds"] < LIMIT_S and speed["peak_memory_bytes"] < LIMIT_BYTES
        print(f"{'within' if kept else 'NOT WITHIN'} {LIMIT_S:g} s and {LIMIT_BYTES / 2**30:g} GiB")
    results: dict[str, Any] = {"speed": speed}
    if given.cloud:
        import sfumato

        cloud = sfumato.read_cloud(given.cloud)
        results["holes"] = holes(cloud, sfumato.splat(cloud))
        results["pictures"] = pictures(cloud)
        shares = results["holes"]
        print_table(
            "Holes, of the pixels inside",
            ["drawn as", "share"],
            [
                ["points of 1 px", f"{shares['holes_of_points']:.4%}"],
                ["splats, a tenth of the light passes", f"{shares['a_tenth_through_splats']:.4%}"],
                ["splats, half of the light passes", f"{shares['half_through_splats']:.4%}"],
            ],
        )
        print_table(
            "A tenth of the points", ["drawn as", "PSNR"], [[*row] for row in results["pictures"].items()]
        )
    save("splat", results, quick=given.quick)


if __name__ == "__main__":
    main()
