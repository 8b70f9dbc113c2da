"""One Gaussian: what its parameters mean, and where its gradients point.

python examples/01_one_gaussian.py --out one_gaussian.png
"""

import argparse
import math
from pathlib import Path

import torch

import sfumato


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("one_gaussian.png"))
    parser.add_argument("--width", type=int, default=320)
    given = parser.parse_args()
    width, height = given.width, given.width * 3 // 4

    turn = math.radians(30)
    scene = sfumato.Gaussians(
        means=torch.tensor([[0.2, 0.0, 4.0]]),  # x right, y down, z forward
        log_scales=torch.tensor([[0.8, 0.2, 0.2]]).log(),  # standard deviations, scene units
        quats=torch.tensor([[math.cos(turn / 2), 0.0, 0.0, math.sin(turn / 2)]]),  # w, x, y, z
        logit_opacities=torch.tensor([2.0]),  # opacity 0.88
        sh=(torch.tensor([[[0.9, 0.6, 0.2]]]) - 0.5) / 0.28209479,  # degree 0: one colour from all sides
    ).map(torch.Tensor.requires_grad_)
    camera = sfumato.Camera(
        camera_from_world=torch.eye(4),
        focal_px=(float(width), float(width)),
        centre_px=(width / 2, height / 2),
        size_px=(width, height),
    )

    render = sfumato.rasterize(scene, camera)
    sfumato.save_image(given.out, render)
    peak = float(render.alpha.detach().max())
    opacity = float(scene.opacities.detach())
    print(f"{given.out}: {width}x{height}, alpha up to {peak:.2f}, opacity {opacity:.2f}")

    # How the parameters have to move to brighten the right half of the picture.
    render.image[:, width // 2 :].mean().backward()
    print("mean towards", scene.means.grad[0].sign().int().tolist(), "in x, y, z")
    assert scene.means.grad[0, 0] > 0, "a move to the right brightens the right half"


if __name__ == "__main__":
    main()
