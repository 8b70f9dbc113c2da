"""A custom training part: a prior that drives opacities to 0 or 1.

    python examples/05_own_part.py demo/still_life --steps 500

A part is one class. It may change the camera or the background of a view, the render before the loss, the
loss, the gradients, and the number of Gaussians; see ``sfumato.Part``.
"""

import argparse
from pathlib import Path

import torch

import sfumato


class OpacityEntropy(sfumato.Part):
    """Adds the mean entropy of the opacities, in nats, to the loss of each view.

    Args:
        weight: of the term.
    """

    name = "opacity_entropy"

    def __init__(self, weight: float):
        self.weight = weight

    def penalty(self, gaussians, shot):
        opacities = gaussians.opacities
        return self.weight * torch.special.entr(torch.stack([opacities, 1 - opacities])).sum(dim=0).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--downscale", type=int, default=4)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--weight", type=float, default=0.05)
    given = parser.parse_args()

    capture = sfumato.load_capture(given.data, downscale=given.downscale)
    config = sfumato.TrainConfig(steps=given.steps)
    for title, parts in (("without", ()), ("with", [OpacityEntropy(given.weight)])):
        state = sfumato.train(capture, config, parts=parts)
        opacities = state.gaussians.opacities
        between = ((opacities > 0.1) & (opacities < 0.9)).float().mean()
        quality = sfumato.evaluate(state.gaussians, capture.test_views, background=state.background)
        print(f"{title} the prior: {between:.1%} of opacities in 0.1 to 0.9, {quality.psnr:.2f} dB")


if __name__ == "__main__":
    main()
