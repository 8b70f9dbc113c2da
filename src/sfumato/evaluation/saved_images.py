"""Saving of images, and a colour map for differences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.outputs import replacing
from sfumato.render.eight_bit import pixels_of
from sfumato.render.output import Render

# A difference of 0.2 is glaring in a photograph; a wider range would hide smaller ones.
DIFFERENCE_RANGE = 0.2
# Evenly spaced from no difference to DIFFERENCE_RANGE and more; lightness increases monotonically, so that
# the map is readable in grey and for colour-blind people.
DIFFERENCE_COLOURS = (
    (8, 8, 16),
    (36, 20, 84),
    (98, 28, 118),
    (168, 46, 104),
    (226, 84, 68),
    (248, 152, 52),
    (252, 248, 184),
)


# Grey, which is not in the map: the mask excludes the pixel.
NOT_COMPARED = (96, 96, 96)


def colour_map(values: np.ndarray) -> np.ndarray:
    """Colours of values [...] in [0, 1], dark to light, as uint8 [..., 3]."""
    stops = np.linspace(0, 1, len(DIFFERENCE_COLOURS))
    table = np.array(DIFFERENCE_COLOURS, np.float64)
    channels = [np.interp(values, stops, table[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def difference_image(image: Tensor, target: Tensor, keep: Tensor | None = None) -> np.ndarray:
    """Absolute difference of two images, averaged over channels, in false colour.

    Args:
        image:  [h, w, 3] values in [0, 1]; others are clamped.
        target: [h, w, 3] values in [0, 1].
        keep: [h, w] bool, the pixels that are compared; None: all.

    Returns:
        uint8 [h, w, 3]: near black for none, pale yellow for ``DIFFERENCE_RANGE`` and more, grey for pixels
        that are not compared.
    """
    difference = (image.detach().cpu().clamp(0, 1) - target.cpu().clamp(0, 1)).abs().mean(dim=-1)
    colours = colour_map((difference / DIFFERENCE_RANGE).clamp(0, 1).numpy())
    if keep is not None:
        colours[~keep.cpu().numpy()] = NOT_COMPARED
    return colours


def save_image(path: str | Path, image: Render | Tensor | np.ndarray | Image.Image) -> None:
    """Write an image in one piece, in the format of its suffix.

    Args:
        path: the file, such as image.png or image.jpg.
        image: a Render; [h, w, 3] RGB, a tensor of values in [0, 1] or uint8; or a Pillow image.

    Raises:
        ConfigError: no format has this suffix.
        ShapeError: it is no such image.
        SfumatoError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in Image.registered_extensions():
        raise ConfigError(f"{path}: give an image a suffix such as .png or .jpg")
    picture = image if isinstance(image, Image.Image) else Image.fromarray(pixels_of(image))
    with replacing(path) as temporary:
        picture.save(temporary)
