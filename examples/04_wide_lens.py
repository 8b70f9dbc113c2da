"""A fisheye of 150 degrees: ray traced, and rasterized with every Gaussian projected to an ellipse.

python examples/04_wide_lens.py --out wide_lens.png
"""

import argparse
import math
from pathlib import Path

import torch

import sfumato
from sfumato.evaluation.saved_images import colour_map

FIELD_OF_VIEW_DEG = 150.0


def scene_all_around(count: int) -> sfumato.Gaussians:
    """Gaussians of every shape in front of a camera at the origin that looks along z."""
    random = torch.Generator().manual_seed(2)
    directions = torch.nn.functional.normalize(torch.randn(count, 3, generator=random), dim=1)
    directions[:, 2] = directions[:, 2].abs()
    return sfumato.Gaussians(
        means=directions * (1 + 2 * torch.rand(count, 1, generator=random)),
        log_scales=0.7 * torch.randn(count, 3, generator=random) - 2.6,
        quats=torch.randn(count, 4, generator=random),
        logit_opacities=torch.randn(count, generator=random) + 1.0,
        sh=torch.randn(count, 1, 3, generator=random),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("wide_lens.png"))
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--gaussians", type=int, default=400)
    given = parser.parse_args()
    side, scene = given.width, scene_all_around(given.gaussians)
    focal_px = side / math.radians(FIELD_OF_VIEW_DEG)  # a pixel is the same angle everywhere
    lens = sfumato.Lens("fisheye")
    camera = sfumato.Camera(torch.eye(4), (focal_px,) * 2, (side / 2,) * 2, (side, side), lens)
    with torch.no_grad():
        # Float64 uses the definition: every Gaussian along every ray, without culling.
        exact = sfumato.raytrace(scene.to(torch.float64), camera).image
        traced = sfumato.raytrace(scene, camera).image
        projected = sfumato.rasterize(scene, camera).image
    panels = [exact.float(), traced, projected]
    for name, image in (("traced", traced), ("projected ellipses", projected)):
        error = (image.double() - exact).abs()
        print(f"{name}: {-10 * math.log10((error**2).mean()):.1f} dB against the definition")
        panels.append(
            torch.from_numpy(colour_map((10 * error.mean(dim=2)).clamp(0, 1).numpy())).float() / 255
        )
    sfumato.save_image(given.out, torch.cat(panels, dim=1))
    print(f"{given.out}: the definition, traced, projected, and the errors of both times ten")


if __name__ == "__main__":
    main()
