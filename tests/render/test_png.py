"""Images as PNG in memory, and how a render shows itself."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.render.output import Render
from sfumato.render.png import to_png, to_uint8


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (1, 5), (7, 300)])
def test_another_decoder_reads_the_same_pixels(size):
    pixels = np.random.default_rng(7).integers(0, 256, (*size, 3), np.uint8)
    picture = Image.open(io.BytesIO(to_png(pixels)))
    assert picture.mode == "RGB" and np.array_equal(np.asarray(picture), pixels)


def test_a_render_shows_its_image_in_a_notebook():
    image = torch.linspace(-0.2, 1.3, 2 * 4 * 3).reshape(2, 4, 3).requires_grad_()
    render = Render(image, torch.ones(2, 4), None, seen=None)
    shown = np.asarray(Image.open(io.BytesIO(render._repr_png_())))
    assert np.array_equal(shown, to_uint8(image)) and shown.min() == 0 and shown.max() == 255
    assert repr(render) == "Render(4x2 px: image and alpha, float32 on cpu)"


def test_colours_along_free_rays_are_no_picture():
    render = Render(torch.zeros(5, 3), torch.zeros(5), torch.zeros(5), seen=None)
    assert render._repr_png_() is None
    assert repr(render) == "Render(5 rays: image, alpha and depth, float32 on cpu)"
