"""How much of each Gaussian is visible."""

import pytest
import torch

from sfumato.render.settings import RasterSettings
from sfumato.render.visibility import contributions, visible_shares
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians

CAMERA = Camera(torch.eye(4, dtype=torch.float64), (12.0, 12.0), (6.0, 5.0), (12, 10))
SETTINGS = RasterSettings(depth=False)


def scene(places, opacities, dtype=torch.float64):
    count = len(places)
    return Gaussians(
        torch.tensor(places, dtype=dtype),
        torch.full((count, 3), 0.1, dtype=dtype).log(),
        torch.tensor([[1.0, 0, 0, 0]], dtype=dtype).expand(count, 4).clone(),
        torch.tensor(opacities, dtype=dtype).logit(),
        torch.full((count, 1, 3), -9.0, dtype=dtype),
    )


def test_what_is_in_front_hides_a_share():
    # A large transparent one before the second, and a third one aside of both.
    gaussians = scene([(0.0, 0, 1), (0.0, 0, 2), (0.6, 0, 2)], (0.5, 0.9, 0.9))
    log_scales = gaussians.log_scales.clone()
    log_scales[0] = torch.tensor([1.0, 1.0, 0.01], dtype=torch.float64).log()
    gaussians = Gaussians(**{**gaussians.tensors(), "log_scales": log_scales})
    shares = visible_shares(gaussians, CAMERA, SETTINGS)
    torch.testing.assert_close(shares[1:], torch.full_like(shares[1:], 0.5), atol=0.03, rtol=0)


@pytest.mark.slow
def test_shares_are_sums_of_the_contributions_to_all_pixels():
    places, opacities = [(0.0, 0, 1), (0.05, 0, 1.5), (-0.1, 0.1, 2)], [0.5, 0.95, 0.7]
    gaussians = scene(places, opacities)
    apart = [scene([place], [opacity]) for place, opacity in zip(places, opacities, strict=True)]
    sums, alone = torch.zeros(2, 3, dtype=torch.float64)
    for y in range(10):
        for x in range(12):
            rows, weights = contributions(gaussians, CAMERA, SETTINGS, x + 0.5, y + 0.5)
            sums[rows] += weights
            for row in range(3):
                alone[row] += contributions(apart[row], CAMERA, SETTINGS, x + 0.5, y + 0.5)[1].sum()
    shares = visible_shares(gaussians, CAMERA, SETTINGS)
    assert shares[2] < 0.6
    torch.testing.assert_close(shares, sums / alone, atol=0.03, rtol=0)


def test_gaussians_outside_the_image_have_no_share():
    shares = visible_shares(
        scene([(9.0, 0, 1), (0.0, 0, -1), (0.0, 0, 2)], (0.9, 0.9, 1e-4)), CAMERA, SETTINGS
    )
    assert shares.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.kernels
def test_the_kernels_agree_with_the_definition():
    places, opacities = [(0.0, 0, 1), (0.1, 0, 2), (0.3, 0.1, 3)], (0.6, 0.9, 0.8)
    exact = visible_shares(scene(places, opacities), CAMERA, SETTINGS)
    found = visible_shares(scene(places, opacities, torch.float32), CAMERA, SETTINGS)
    torch.testing.assert_close(found.double(), exact, atol=1e-5, rtol=1e-4)
