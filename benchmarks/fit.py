"""Images as 2D Gaussians: PSNR and time against count, beside JPEG of equal size.

    python benchmarks/fit.py DATA [--counts 3000 9000] [--steps 1000] [--images kodim01 ...]

DATA holds the folder kodak. JPEG is Pillow's, optimised, at the highest quality whose file is not larger than
that of the Gaussians. Processor time of the fit is given too, since others may use the machine. The PSNR is
that of the file as it is decoded.
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path
from typing import Any

from harness import hand_over, in_process, print_table, save


def measure(path: Path, count: int, steps: int) -> dict[str, Any]:
    """One image at one count."""
    import sfumato
    from sfumato.fitting.fit_image import read_target

    target = read_target(path)
    sfumato.fit(target[:64, :64], count=9, steps=2)  # compiles
    began, began_cpu = time.perf_counter(), time.process_time()
    found = sfumato.fit(target, count=count, steps=steps)
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    data = found.encoded()
    began = time.perf_counter()
    image = found.render()
    render_s = time.perf_counter() - began
    result = {
        "image": path.stem,
        "count": count,
        "steps": steps,
        "bytes": len(data),
        "bits_per_pixel": 8 * len(data) / target[..., 0].numel(),
        "psnr": sfumato.psnr(image, target),
        "ssim": sfumato.ssim(image, target),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "render_s": render_s,
    }
    return result | jpeg(target, len(data))


def jpeg(target: Any, most: int) -> dict[str, Any]:
    """The best JPEG of an image [h, w, 3] with at most so many bytes."""
    import numpy as np
    import torch
    from PIL import Image

    import sfumato
    from sfumato.render.png import to_uint8

    picture, best = Image.fromarray(to_uint8(target)), b""
    for quality in range(1, 96):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality, optimize=True)
        if best and len(file.getvalue()) > most:
            break
        best = file.getvalue()
    image = torch.from_numpy(np.array(Image.open(io.BytesIO(best)))).float() / 255
    return {
        "jpeg_bytes": len(best),
        "jpeg_psnr": sfumato.psnr(image, target),
        "jpeg_ssim": sfumato.ssim(image, target),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", nargs="+", default=[])
    parser.add_argument("--counts", type=int, nargs="+", default=[3000, 9000])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        hand_over(measure(given.data, given.one, given.steps))
        return
    pictures = sorted((given.data / "kodak").glob("*.png"))
    pictures = [path for path in pictures if not given.images or path.stem in given.images]
    results = []
    for count in given.counts:
        for path in pictures:
            words = [str(path), "--one", str(count), "--steps", str(given.steps)]
            results.append(in_process(__file__, words))
            print(results[-1], flush=True)
    columns = (
        "bytes",
        "psnr",
        "ssim",
        "jpeg_bytes",
        "jpeg_psnr",
        "jpeg_ssim",
        "seconds",
        "cpu_seconds",
        "render_s",
    )
    rows = [[f"{one['image']}, {one['count']:,}", *(one[name] for name in columns)] for one in results]
    for count in given.counts:
        chosen = [one for one in results if one["count"] == count]
        rows.append(
            [f"mean, {count:,}", *(sum(one[name] for one in chosen) / len(chosen) for name in columns)]
        )
    print_table("Kodak images as 2D Gaussians", ["image, count", *columns], rows)
    save("fit", results, quick=bool(given.images))


if __name__ == "__main__":
    main()
