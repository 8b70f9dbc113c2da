"""Fit a picture with 2D Gaussians through gsplat's interface, and print the PSNR.

    python examples/02_fit_an_image.py photo.jpg --out fit.png

Gaussians on a plane in front of an orthographic camera form the picture; the default target is two discs.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sfumato import psnr, rasterization, save_image


def target(photo: Path | None, width: int) -> torch.Tensor:
    if photo:
        image = Image.open(photo).convert("RGB")
        image = image.resize((width, round(width * image.height / image.width)))
        return torch.from_numpy(np.asarray(image, np.float32) / 255)
    y, x = torch.meshgrid(torch.linspace(-1, 1, width), torch.linspace(-1, 1, width), indexing="ij")
    sun, hill = (x - 0.2) ** 2 + (y + 0.2) ** 2 < 0.2, x**2 + (y - 2) ** 2 < 2
    return torch.stack([0.3 + 0.6 * sun, 0.4 + 0.3 * hill, 0.7 - 0.5 * sun], -1).clamp(0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=Path("fit.png"))
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--gaussians", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()
    image = target(given.photo, given.width)
    height, width, n = *image.shape[:2], given.gaussians
    torch.manual_seed(0)
    means = torch.cat([torch.rand(n, 2) * torch.tensor([width, height]), torch.ones(n, 1)], 1)
    raw = [means, torch.randn(n, 4), torch.ones(n, 3), torch.zeros(n), torch.zeros(n, 3)]
    raw = [tensor.requires_grad_() for tensor in raw]
    rates = 0.5, 0.02, 0.03, 0.05, 0.05
    adam = torch.optim.Adam([{"params": [t], "lr": r} for t, r in zip(raw, rates, strict=True)])
    camera = {"viewmats": torch.eye(4)[None], "Ks": torch.eye(3)[None], "camera_model": "ortho"}
    for step in range(given.steps):
        m, quats, log_scales, opacities, colours = raw
        splats = m, quats, log_scales.exp(), opacities.sigmoid(), colours.sigmoid()
        render = rasterization(*splats, width=width, height=height, **camera)[0][0]
        adam.zero_grad()
        (render - image).abs().mean().backward()
        adam.step()
        if step % 50 == 0 or step == given.steps - 1:
            print(f"step {step:4}: {psnr(render.detach(), image):.2f} dB")
    save_image(given.out, torch.cat([image, render.detach()], 1))


if __name__ == "__main__":
    main()
