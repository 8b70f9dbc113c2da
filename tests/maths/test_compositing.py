"""Transparent pictures over a background."""

import torch

from sfumato.maths.compositing import over


def test_premultiplied_colours_over_a_background():
    colours = torch.tensor([[[0.5, 0.0, 0.0], [0.25, 0.5, 1.0], [0.0, 0.0, 0.0]]])
    opacity = torch.tensor([[[0.5], [1.0], [0.0]]])
    wanted = torch.tensor([[[0.5 + 0.5 * 0.2, 0.5 * 0.4, 0.5 * 0.6], [0.25, 0.5, 1.0], [0.2, 0.4, 0.6]]])
    torch.testing.assert_close(over(colours, opacity, (0.2, 0.4, 0.6)), wanted)
