"""Eq. 11 to 17 of the derivation: the loss and its gradient to the image."""

import pytest
import torch

from sfumato import ops
from sfumato.ops.reference import photometric_loss, ssim
from support.equation_scenes import agree, differences, equations

COUNT = 7 * 6 * 3


def images():
    random = torch.Generator().manual_seed(0)
    return torch.rand(2, 7, 6, 3, generator=random, dtype=torch.float64)


def loss(image, target, ssim_weight=0.2, pixel_loss="l1"):
    return photometric_loss(image, target, None, ssim_weight=ssim_weight, pixel_loss=pixel_loss)


def gradient(image, target, function=photometric_loss, **options):
    leaf = image.clone().requires_grad_()
    function(leaf, target, None, **{"ssim_weight": 0.2, "pixel_loss": "l1", **options}).backward()
    return leaf.grad


@equations(11, 14)
def test_the_loss_and_its_part_of_structure():
    image, target = images()
    agree(loss(image, target, 1.0), 1 - ssim(image, target), 1e-12)
    agree(loss(image, target), 0.8 * loss(image, target, 0.0) + 0.2 * loss(image, target, 1.0), 1e-12)
    # Not halved: the loss of two uncorrelated images is 1.
    assert loss(torch.zeros_like(image), torch.ones_like(image), 1.0).item() == pytest.approx(1, abs=1e-2)


@equations(12, 13)
def test_squared_and_absolute_differences():
    image, target = images()
    squares, absolutes = 0.0, 0.0
    for row in range(7):
        for column in range(6):
            for channel in range(3):
                difference = image[row, column, channel] - target[row, column, channel]
                squares, absolutes = squares + difference**2, absolutes + difference.abs()
    agree(loss(image, target, 0.0, "mse"), squares / COUNT, 1e-12)
    agree(loss(image, target, 0.0, "l1"), absolutes / COUNT, 1e-12)


@equations(15)
@pytest.mark.parametrize("pixel_loss", ["l1", "mse"])
def test_gradient_of_the_loss_is_that_of_its_parts(pixel_loss):
    image, target = images()
    parts = [gradient(image, target, ssim_weight=share, pixel_loss=pixel_loss) for share in (0.0, 1.0)]
    found = gradient(image, target, pixel_loss=pixel_loss)
    agree(found, 0.8 * parts[0] + 0.2 * parts[1], 1e-12)
    # Along random sign vectors, which reveal an error in any entry at a fraction of the cost of testing each.
    signs = 2.0 * torch.randint(2, (8, *image.shape), generator=torch.Generator().manual_seed(1)) - 1.0

    def moved(along):
        return loss(image + torch.tensordot(along, signs.double(), 1), target, pixel_loss=pixel_loss)

    wanted = differences(moved, torch.zeros(8, dtype=torch.float64), step=1e-5)
    agree((signs * found).sum(dim=(1, 2, 3)), wanted, 1e-6)


@equations(16, 17)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradients_of_squared_and_absolute_differences(dtype):
    image, target = (each.to(dtype) for each in images())
    # Float32 uses the kernel, which implements both formulas.
    squared = gradient(image, target, ops_loss, ssim_weight=0.0, pixel_loss="mse")
    absolute = gradient(image, target, ops_loss, ssim_weight=0.0)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    agree(squared, 2 / COUNT * (image - target), tolerance)
    agree(absolute, torch.sign(image - target) / COUNT, tolerance)


def ops_loss(image, target, weight, **options):
    return ops.photometric_loss(image, target, weight, **options)
