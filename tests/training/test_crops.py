"""Training steps on crops of photographs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sfumato import ops
from sfumato.capture.pixels import Pixels
from sfumato.errors import ConfigError
from sfumato.render.draw import draw
from sfumato.render.visibility import footprints
from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import Schedule, TrainConfig
from sfumato.training.crop import Crop
from sfumato.training.part import Part
from sfumato.training.parts.crops import Crops
from sfumato.training.state import restore
from sfumato.training.step import gradients
from support.capture_folders import colmap_folder
from support.steps import shot
from support.tiny import differences, tiny_config, tiny_start, train_until

SIZE = (60, 44)
BOXES = [Crop(20, 15, 21, 13, SIZE), Crop(0, 0, 30, 22, SIZE), Crop(39, 20, 21, 24, SIZE)]


def photograph(**planes):
    rgb = np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8)
    return Pixels(rgb, **planes)


@pytest.mark.parametrize("crop", BOXES)
@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_of_a_crop_is_that_of_the_whole_if_the_rest_agrees(crop, masked):
    """Scaled by the fraction of pixels; likewise its gradient, also at the border of the crop."""
    mask = np.random.default_rng(1).random(SIZE[::-1]) < 0.8 if masked else None
    pixels = photograph(mask=mask)
    whole = replace(crop, left=0, top=0, width=SIZE[0], height=SIZE[1]).target(pixels, (0, 0, 0))
    target = crop.target(pixels, (0, 0, 0))
    box = (slice(crop.top, crop.top + crop.height), slice(crop.left, crop.left + crop.width))
    noise = 0.2 * torch.randn(crop.height, crop.width, 3, generator=torch.Generator().manual_seed(0))
    image = (whole.image[box] + noise).requires_grad_()
    everywhere = whole.image.clone()
    everywhere[box] = image
    assert whole.share == 1.0 and target.share < 1.0
    expected = ops.photometric_loss(everywhere, whole.image, whole.weight)
    (wanted,) = torch.autograd.grad(expected, image)
    found = target.share * ops.photometric_loss(crop.framed(image, target.image), target.image, target.weight)
    (gradient,) = torch.autograd.grad(found, image)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))


@pytest.mark.slow
def test_a_crop_renders_its_part_of_the_whole(tmp_path):
    capture, state = tiny_start(colmap_folder(tmp_path), tiny_config())
    camera = capture.views[0].camera
    scene = state.population.gaussians.detach()
    small = Gaussians(**{**scene.tensors(), "log_scales": scene.log_scales.clamp(max=-2.5)})
    whole = draw(small, camera, state.settings).image
    crop = Crop(5, 3, 16, 12, camera.size_px)
    part = draw(small, crop.camera(camera), state.settings).image
    assert whole[3:15, 5:21].std() > 0.001
    # Centres at up to 32 px, rounded to float32, are off by 4e-6 px; the picture changes by less than 5 a px.
    torch.testing.assert_close(part, whole[3:15, 5:21], atol=2e-5, rtol=0)


@pytest.mark.parametrize(("side", "per_side"), [(100, 3), (540, 2), (31, 3)])
def test_crops_cover_every_pixel(side, per_side):
    crops, generator = Crops(per_side), torch.Generator().manual_seed(0)
    seen, starts = np.zeros(side), set()
    for _ in range(2000):
        start, length = crops._interval(side, generator)
        assert 0 <= start <= side - length and length == -(-side // per_side)
        # Shifted from the grid by at most a quarter of its length, and rounded.
        grid = np.arange(per_side) * (side - length) / (per_side - 1)
        assert np.abs(start - grid).min() <= length / 4 + 0.5
        seen[start : start + length] += 1
        starts.add(start)
    assert seen.min() > 0.4 * seen.mean() and seen.max() < 2 * seen.mean()
    assert len(starts) > 2 * per_side, "borders are not always the same"


def test_photographs_are_cropped_at_full_resolution_only(tmp_path):
    capture, _ = tiny_start(colmap_folder(tmp_path), tiny_config())
    view = capture.views[0]
    small = shot(view=view, camera=view.camera.resized(16, 12), downscale=2)
    assert Crops(2).prepare(small) is small and small.halves == small.target().share == 1.0
    whole = shot(view=view, camera=view.camera)
    cut = Crops(2).prepare(whole)
    assert cut.camera.size_px == (16, 12) and cut.halves == 2.0
    target = cut.target()
    height, width, _ = cut.framed(torch.zeros(12, 16, 3), target).shape
    assert target.image.shape == (height, width, 3) and 22 <= height <= 24 and 26 <= width <= 32
    assert target.share == width * height / (32 * 24)
    assert Crops(9).prepare(whole).camera.size_px == (11, 12), "no narrower than its frame"


def test_screen_gradients_are_in_units_of_half_the_photograph(tmp_path):
    """A small Gaussian within a crop has the same gradient as in the whole photograph."""

    class Box(Part):
        name = "crops"

        def prepare(self, shot):
            crop = Crop(4, 3, 16, 12, shot.camera.size_px)
            return replace(shot, camera=crop.camera(shot.camera), crop=crop)

    schedule = Schedule(half_resolution_until=0.0, quarter_resolution_until=0.0)
    config = tiny_config(random_background=False, ssim_weight=0.0, schedule=schedule)
    _, state = tiny_start(colmap_folder(tmp_path), config)
    scene = state.population.gaussians
    scene.log_scales.data[:] = -3.0
    spots = footprints(scene, state.views[0].camera, state.settings).mean_px
    inside = ((spots > torch.tensor([6.0, 5.0])) & (spots < torch.tensor([18.0, 13.0]))).all(1)
    whole = gradients(state, [0]).screen_gradient
    state.parts = {"crops": Box(), **state.parts}
    box = gradients(state, [0]).screen_gradient
    assert inside.any() and whole[inside].min() > 0
    torch.testing.assert_close(box[inside], whole[inside], rtol=1e-3, atol=0)


@pytest.mark.slow
def test_a_run_on_crops_is_deterministic_and_resumable(tmp_path):
    config = tiny_config(crops=2, exposure=True)
    root = colmap_folder(tmp_path)
    runs = []
    for _ in range(2):
        capture, state = tiny_start(root, config)
        runs.append(train_until(capture, state, 20).state_dict())
    assert not differences(*runs)
    capture, half = tiny_start(root, config)
    half = train_until(capture, half, 10)
    again = train_until(capture, restore(half.state_dict(), capture, config), 20)
    assert not differences(runs[0], again.state_dict())
    capture, whole = tiny_start(root, tiny_config(exposure=True))
    assert differences(runs[0], train_until(capture, whole, 20).state_dict())


def test_the_number_of_crops_is_at_least_one():
    with pytest.raises(ConfigError, match="crops is 0; give at least 1"):
        TrainConfig(crops=0)
