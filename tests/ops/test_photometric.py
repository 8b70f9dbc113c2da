import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from sfumato.errors import ConfigError
from sfumato.ops.reference import photometric_loss, ssim, ssim_map
from support.op_scenes import assert_finite_differences


def images(height=14, width=17, seed=0):
    random = torch.Generator().manual_seed(seed)
    image, target = torch.rand(2, height, width, 3, generator=random, dtype=torch.float64)
    return image, target


def blotched_weight(height=14, width=17):
    weight = torch.ones(height, width, dtype=torch.float64)
    weight[2:5, 3:6] = 0.0
    weight[-2:, :4] = 0.5
    return weight


def scipy_ssim_map(image, target):
    """SSIM of one channel with scipy's correlation, zeros beyond the border."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    mx, my = (correlate(x, window, mode="constant") for x in (image, target))
    vx = correlate(image * image, window, mode="constant") - mx * mx
    vy = correlate(target * target, window, mode="constant") - my * my
    cov = correlate(image * target, window, mode="constant") - mx * my
    c1, c2 = 0.01**2, 0.03**2
    return (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))


def test_ssim_agrees_with_a_direct_window():
    image, target = images()
    found = ssim_map(image, target)
    for channel in range(3):
        expected = scipy_ssim_map(image[..., channel].numpy(), target[..., channel].numpy())
        np.testing.assert_allclose(found[..., channel].numpy(), expected, rtol=1e-10)
    assert ssim(image, target).item() == pytest.approx(found.mean().item())


def test_equal_images_have_no_loss():
    image, _ = images()
    assert ssim(image, image).item() == pytest.approx(1.0)
    for weight in (None, blotched_weight()):
        loss = photometric_loss(image, image, weight, ssim_weight=0.2, pixel_loss="l1")
        assert loss.item() == pytest.approx(0.0, abs=1e-12)


def test_known_pixel_terms():
    image, target = torch.full((2, 8, 9, 3), 0.5, dtype=torch.float64)
    image = image + 0.2
    assert photometric_loss(image, target, None, ssim_weight=0.0, pixel_loss="l1").item() == pytest.approx(
        0.2
    )
    assert photometric_loss(image, target, None, ssim_weight=0.0, pixel_loss="mse").item() == pytest.approx(
        0.04
    )


def test_terms_are_weighted_by_the_ssim_weight():
    image, target = images()
    loss = photometric_loss(image, target, None, ssim_weight=0.3, pixel_loss="l1").item()
    expected = 0.7 * (image - target).abs().mean() + 0.3 * (1 - ssim(image, target))
    assert loss == pytest.approx(expected.item())


def test_ones_as_weights_change_nothing():
    image, target = images()
    plain = photometric_loss(image, target, None, ssim_weight=0.2, pixel_loss="mse")
    weighted = photometric_loss(image, target, torch.ones(14, 17).double(), ssim_weight=0.2, pixel_loss="mse")
    torch.testing.assert_close(plain, weighted)


@pytest.mark.parametrize("pixel_loss", ["l1", "mse"])
def test_ignored_pixels_have_no_influence(pixel_loss):
    image, target = images()
    weight = blotched_weight()
    options = {"ssim_weight": 0.2, "pixel_loss": pixel_loss}
    loss = photometric_loss(image, target, weight, **options)
    changed = image.clone()
    changed[weight == 0] = 0.123
    assert photometric_loss(changed, target, weight, **options) == loss
    image.requires_grad_()
    (gradient,) = torch.autograd.grad(photometric_loss(image, target, weight, **options), image)
    assert not gradient[weight == 0].any()
    assert gradient[weight > 0].any()


def test_known_value_with_weights():
    image, target = images()
    weight = blotched_weight()
    loss = photometric_loss(image, target, weight, ssim_weight=0.25, pixel_loss="l1").item()
    w = weight[..., None]
    pixel = (w * (image - target).abs()).sum() / (3 * weight.sum())
    similarity = (w * ssim_map(image * w, target * w)).sum() / (3 * weight.sum())
    assert loss == pytest.approx((0.75 * pixel + 0.25 * (1 - similarity)).item())


def test_all_ignored_is_zero_and_finite():
    image, target = images()
    image.requires_grad_()
    loss = photometric_loss(image, target, torch.zeros(14, 17).double(), ssim_weight=0.2, pixel_loss="l1")
    loss.backward()
    assert loss == 0
    assert not image.grad.any()


@pytest.mark.parametrize("weight", [None, blotched_weight(7, 6)])
@pytest.mark.parametrize("pixel_loss", ["l1", "mse"])
@pytest.mark.slow
def test_gradients(weight, pixel_loss):
    image, target = images(7, 6)

    def loss(image, target):
        return photometric_loss(image, target, weight, ssim_weight=0.2, pixel_loss=pixel_loss)

    assert_finite_differences(loss, {"image": image, "target": target}, step=1e-5)


def test_unknown_pixel_loss_is_named():
    image, target = images()
    with pytest.raises(ConfigError, match="huber"):
        photometric_loss(image, target, None, ssim_weight=0.2, pixel_loss="huber")
