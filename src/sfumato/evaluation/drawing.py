"""Style of drawn pages: colours, type and a page to draw on."""

from __future__ import annotations

import functools

from PIL import Image, ImageDraw, ImageFont

PAPER = (22, 23, 26)
PANEL = (31, 33, 37)
RULE = (58, 61, 67)
INK = (236, 234, 230)
MUTED = (150, 153, 160)
GOLD = (244, 184, 96)
BLUE = (122, 176, 240)
GREEN = (140, 204, 150)

Colour = tuple[int, int, int]


@functools.lru_cache(maxsize=32)
def font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's built-in typeface at a size, so that a page looks the same on every machine."""
    return ImageFont.load_default(size_px)


class Page:
    """A picture to draw text and images on.

    Args:
        width: pixels.
        height: pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), PAPER)
        self.draw = ImageDraw.Draw(self.image)

    def text(
        self, x: float, y: float, words: str, size_px: int, *, colour: Colour = INK, anchor: str = "ls"
    ) -> float:
        """Write one line and return its width; ``anchor`` as in Pillow, by default left on the baseline."""
        self.draw.text((x, y), words, colour, font(size_px), anchor)
        return text_width(words, size_px)

    def paste(self, picture: Image.Image, x: int, y: int) -> None:
        """Put a picture with its top left corner at (x, y)."""
        self.image.paste(picture, (x, y))


def text_width(words: str, size_px: int) -> float:
    """Width of one line in pixels."""
    return float(font(size_px).getlength(words))


def shortened(words: str, size_px: int, limit_px: float) -> str:
    """The text if it fits the limit, else its end after an ellipsis, as names differ at the end."""
    if text_width(words, size_px) <= limit_px:
        return words
    while words and text_width("..." + words, size_px) > limit_px:
        words = words[1:]
    return "..." + words
