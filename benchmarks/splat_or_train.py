"""One scene both ways: splats of a measured cloud, and Gaussians trained on photographs, with and without it.

    python benchmarks/splat_or_train.py [--steps 1500] [--picture OUT.jpg]

The scene is demo/still_life at half its resolution. The cloud is what a scanner would measure from three
places of its path: the true depth there, with the colours of the photographs of these places. All are judged
by the held-out photographs, which stand off the path, as a whole and where the cloud has something.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from harness import print_table, save
from splat import KEPT, of_points

STILL_LIFE = Path(__file__).resolve().parents[1] / "demo/still_life"
# Units of the 16-bit pictures of depth, metres.
DEPTH_UNIT = 0.001
# The held-out view of the figure, and how much it is enlarged.
SHOWN, ENLARGED = 5, 2
# Where less light than this comes from behind, a picture of the splats shows the cloud.
COVERED = 0.99


def scanned(capture):
    """The cloud of the path's pictures of depth."""
    import numpy as np
    from PIL import Image

    import sfumato

    views = {Path(view.name).stem: view for view in capture.views}
    xyz, rgb = [], []
    for path in sorted((capture.path / "depth").glob("path_*.png")):
        view = views[path.stem]
        depth = np.asarray(Image.open(path)).astype(np.float64) * DEPTH_UNIT
        height, width = depth.shape
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        (fx, fy), (cx, cy) = view.camera.focal_px, view.camera.centre_px
        local = np.stack([(x - cx) / fx * depth, (y - cy) / fy * depth, depth], axis=-1)[depth > 0]
        pose = view.camera.camera_from_world.numpy()
        xyz.append((local - pose[:3, 3]) @ pose[:3, :3])
        rgb.append(np.asarray(view.load().rgb)[depth > 0])
    colours = np.concatenate(rgb).astype(np.float32)
    return sfumato.MeasuredCloud(np.concatenate(xyz), colours, colour_range=255.0, up=(0.0, 0.0, 1.0))


def scores(scene, capture, covered) -> dict[str, Any]:
    """PSNR of held-out views, as a whole and over what the cloud covers; and the number of Gaussians."""
    import numpy as np

    import sfumato

    whole, there = [], []
    for view, mask in zip(capture.test_views, covered, strict=True):
        image = sfumato.rasterize(scene, view.camera, sfumato.RasterSettings(depth=False)).image.numpy()
        error = np.square(np.clip(image, 0, 1) - np.asarray(view.load().rgb) / 255)
        whole.append(-10 * np.log10(error.mean()))
        there.append(-10 * np.log10(error[mask].mean()))
    return {"psnr": float(np.mean(whole)), "psnr_covered": float(np.mean(there)), "gaussians": len(scene)}


def write_picture(cloud, camera, path: Path) -> None:
    """A tenth of the points as points of one pixel, of three, and as splats; right all points."""
    import numpy as np
    from PIL import Image

    import sfumato

    some = cloud.select(np.sort(np.random.default_rng(0).permutation(len(cloud))[: len(cloud) // KEPT]))
    splats = sfumato.rasterize(sfumato.splat(some).scene, camera, sfumato.RasterSettings(depth=False)).image
    points = [(some, 0), (some, 1), (cloud, 0)]
    one, three, every = (of_points(these.xyz, these.rgb / 255, camera, half) for these, half in points)
    row = np.clip(np.concatenate([one, three, splats.numpy(), every], axis=1), 0, 1)
    large = (row * 255).round().astype(np.uint8).repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
    Image.fromarray(large).save(path, quality=85)


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--picture", type=Path, help="a picture of points, larger points, splats, all points")
    parser.add_argument("--quick", action="store_true", help="a trial whose numbers mean nothing")
    given = parser.parse_args()
    import sfumato

    capture = sfumato.load_capture(STILL_LIFE, downscale=2)
    cloud = scanned(capture)
    if given.picture:
        write_picture(cloud, capture.test_views[SHOWN].camera, given.picture)
    began = time.perf_counter()
    splats = sfumato.splat(cloud).scene
    found = {"splats, no training": {"seconds": time.perf_counter() - began}}
    settings = sfumato.RasterSettings(depth=False)
    covered = [
        sfumato.rasterize(splats, view.camera, settings).alpha.numpy() > COVERED
        for view in capture.test_views
    ]
    found["splats, no training"] |= scores(splats, capture, covered)
    config = sfumato.TrainConfig(steps=20 if given.quick else given.steps, antialiased=True)
    starts = {"trained from sparse points": None, "trained from the splats": splats}
    for name, init in starts.items():
        state = sfumato.train(capture, config, init=init)
        found[name] = {"seconds": state.seconds} | scores(state.gaussians, capture, covered)
    share = float(sum(mask.mean() for mask in covered) / len(covered))
    print_table(
        f"Held-out views, {share:.0%} of which the cloud covers",
        ["", "PSNR", "PSNR where covered", "Gaussians", "s"],
        [
            [name, one["psnr"], one["psnr_covered"], one["gaussians"], one["seconds"]]
            for name, one in found.items()
        ],
    )
    save("splat_or_train", {"points": len(cloud), "covered": share, "ways": found}, quick=given.quick)


if __name__ == "__main__":
    main()
