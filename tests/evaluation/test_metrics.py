"""Metrics against closed forms and an independent restatement."""

import math

import pytest
import torch

from sfumato.errors import ShapeError
from sfumato.evaluation.metrics import psnr, ssim
from sfumato.ops.reference.photometric import ssim as definition


def pair(h=24, w=31, noise=0.1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand((h, w, 3), generator=generator)
    image = (target + noise * torch.randn((h, w, 3), generator=generator)).clamp(0, 1)
    return image, target


def test_psnr_of_a_constant_difference():
    target = torch.full((5, 6, 3), 0.5)
    assert psnr(target + 0.1, target) == pytest.approx(20.0, abs=1e-4)
    assert psnr(target, target) == math.inf


def test_psnr_clamps_the_render():
    target = torch.ones(4, 4, 3)
    image = torch.full((4, 4, 3), 1.7)
    image[0, 0, 0] = 0.0
    assert psnr(image, target) == pytest.approx(10 * math.log10(48))


def test_psnr_is_exact_for_small_differences():
    target = torch.full((100, 100, 3), 0.25, dtype=torch.float64)
    assert psnr(target + 1e-6, target) == pytest.approx(120.0, abs=1e-6)


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("size", [(24, 31), (3, 40)])
def test_ssim_agrees_with_its_definition(noise, size):
    image, target = pair(*size, noise=noise)
    assert ssim(image, target) == pytest.approx(float(definition(image.double(), target.double())), abs=1e-9)


def test_ssim_of_constant_images_far_from_the_border():
    image, target = torch.full((401, 401, 3), 0.2), torch.full((401, 401, 3), 0.4)
    inside = (2 * 0.2 * 0.4 + 1e-4) / (0.2**2 + 0.4**2 + 1e-4)
    assert ssim(image, target) == pytest.approx(inside, abs=0.02)


def test_ssim_is_one_for_equal_images_and_symmetric():
    image, target = pair()
    assert ssim(target, target) == pytest.approx(1.0, abs=1e-12)
    assert ssim(image, target) == pytest.approx(ssim(target, image), abs=1e-12)
    assert ssim(1 - target, target) < 0


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_shapes_are_checked(metric):
    with pytest.raises(ShapeError, match="target has shape"):
        metric(torch.zeros(4, 5, 3), torch.zeros(5, 4, 3))
