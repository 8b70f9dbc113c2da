"""Fitting a small image: quality, determinism, sizes, and errors."""

import numpy as np
import pytest
import torch

from sfumato import FittedImage, fit, load_fitted, psnr
from sfumato.errors import ConfigError, FormatError, ShapeError
from sfumato.fitting.ellipses_2d import COLOUR_FROM_RGB, RGB_FROM_COLOUR, conics, draw, weights
from sfumato.fitting.quantiser import Quantiser


def discs(width=48, height=32):
    """Two discs and a slope, [height, width, 3]."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    first = ((x - 15) ** 2 + (y - 14) ** 2 < 64).float()
    second = ((x - 34) ** 2 + (y - 18) ** 2 < 100).float()
    return torch.stack([0.2 + 0.6 * first, 0.3 + 0.5 * second, 0.4 + 0.4 * x / width], dim=-1)


@pytest.fixture(scope="module")
def fitted():
    return fit(discs(), count=60, steps=150)


@pytest.mark.slow
def test_a_small_image_is_fitted_well(fitted):
    image = fitted.render()
    assert image.shape == (32, 48, 3) and len(fitted) == 60 and fitted.size_px == (48, 32)
    # The mean colour alone has 13 dB.
    assert psnr(image, discs()) > 27


def test_a_file_gives_the_same_image(fitted, tmp_path):
    path = tmp_path / "image.g2d"
    fitted.save(path)
    found = load_fitted(path)
    assert isinstance(found, FittedImage) and path.read_bytes() == found.encoded() == fitted.encoded()
    assert torch.equal(found.render(), fitted.render())


def test_the_same_seed_gives_the_same_bytes():
    first, second, other = (fit(discs(), count=20, steps=12, seed=seed).encoded() for seed in (1, 1, 2))
    assert first == second != other


def test_other_sizes_show_the_same_image(fitted):
    own, larger, smaller = fitted.render(), fitted.render((96, 64)), fitted.render((24, 16))
    assert larger.shape == (64, 96, 3) and smaller.shape == (16, 24, 3)
    assert torch.equal(smaller, own.reshape(16, 2, 24, 2, 3).mean(dim=(1, 3)))
    # Averages of a finer grid approximate the coarse pixels of a smooth image.
    assert (larger.reshape(32, 2, 48, 2, 3).mean(dim=(1, 3)) - own).abs().mean() < 0.02
    assert fitted.render((31, 50)).shape == (50, 31, 3)


def test_files_respect_the_size_limit():
    found = fit(discs(), bytes=1500, steps=20)
    assert 1350 < len(found.encoded()) <= 1500


def test_minutes_end_the_fit():
    assert len(fit(discs(), count=10, minutes=0.003)) == 10


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (200, 2)])
def test_images_of_any_shape_are_fitted(shape):
    target = torch.full((*shape, 3), 0.5)
    assert psnr(fit(target, steps=3).render(), target) > 40


def test_bytes_and_arrays_are_images():
    values = (discs() * 255).round().to(torch.uint8)
    assert fit(values.numpy(), count=9, steps=3).encoded() == fit(values, count=9, steps=3).encoded()


@pytest.mark.parametrize(
    "image, options, kind, words",
    [
        (torch.zeros(4, 4), {}, ShapeError, "expected"),
        (torch.zeros(4, 4, 4), {}, ShapeError, "expected"),
        (torch.full((4, 4, 3), torch.nan), {}, ConfigError, "NaN"),
        (torch.full((4, 4, 3), 2.0), {}, ConfigError, "outside"),
        (torch.zeros(0, 4, 3), {}, ConfigError, "px"),
        (torch.zeros(4, 4, 3), {"count": 0}, ConfigError, "count"),
        (torch.zeros(4, 4, 3), {"count": 9, "bytes": 900}, ConfigError, "exclude"),
        (torch.zeros(4, 4, 3), {"bytes": 10}, ConfigError, "bytes"),
        (torch.zeros(4, 4, 3), {"steps": 0}, ConfigError, "steps"),
        (torch.zeros(4, 4, 3), {"minutes": 0}, ConfigError, "minutes"),
        (torch.zeros(4, 4, 3), {"device": "abacus"}, ConfigError, "abacus"),
        (7, {}, ConfigError, "image must be"),
    ],
)
def test_errors_are_one_line(image, options, kind, words):
    with pytest.raises(kind, match=words):
        fit(image, **options)


def test_wrong_names_and_sizes_are_refused(fitted, tmp_path):
    with pytest.raises(ConfigError, match=r"ends in \.g2d"):
        fitted.save(tmp_path / "image.png")
    with pytest.raises(FormatError, match="cannot read"):
        load_fitted(tmp_path / "nothing.g2d")
    for size in ((0, 5), (5,), (10**6, 10**6)):
        with pytest.raises(ConfigError, match="size"):
            fitted.render(size)


def test_a_conic_is_the_inverse_of_the_covariance():
    rows = torch.zeros(1, 9, dtype=torch.float64)
    rows[0, 2:5] = torch.tensor([1.2, 0.3, -0.7])
    (a, b, c), (t, u, v) = conics(rows)[0], rows[0, 2:5]
    covariance = torch.linalg.matrix_exp(2 * torch.stack([torch.stack([t + u, v]), torch.stack([v, t - u])]))
    product = torch.stack([torch.stack([a, b]), torch.stack([b, c])]) @ covariance
    assert torch.allclose(product, torch.eye(2, dtype=torch.float64), atol=1e-9)
    assert np.allclose(np.array(COLOUR_FROM_RGB) @ np.array(RGB_FROM_COLOUR), np.eye(3))


def test_weights_are_contributions_to_the_image():
    rows = torch.zeros(2, 9)
    rows[:, :2], rows[:, 2] = torch.tensor([[8.0, 8.0], [16.0, 16.0]]), 0.5
    rows[:, 6] = 1.0
    background = torch.zeros(3)
    found = weights(rows, background, (24, 24))
    # White on black: the image is the sum of both shares.
    assert torch.isclose(found.sum(), draw(rows, background, (24, 24))[..., 0].sum(), rtol=1e-4)
    assert torch.isclose(found[0], found[1], rtol=1e-3)


def test_values_are_rounded_to_the_nearest_step():
    rows = torch.rand(500, 9, generator=torch.Generator().manual_seed(0)) * 4
    quantiser = Quantiser.of(rows, (4, 4))
    off = (quantiser.values(quantiser.codes(rows)) - rows).abs()
    assert quantiser.step_px == 0.25 and off[:, :2].max() <= 0.1251
    for column, bits in enumerate(quantiser.bits):
        step = (quantiser.high[column] - quantiser.low[column]) / (2**bits - 1)
        assert (off[:, 2 + column] <= 0.51 * step).float().mean() > 0.99
