"""An image as 2D Gaussians: rendering at any size, saving and loading."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sfumato.checks import check_type, file_path, pair, whole_number
from sfumato.errors import ConfigError
from sfumato.fitting import g2d_file
from sfumato.fitting.ellipses_2d import draw
from sfumato.fitting.g2d_file import MAX_PIXELS, SUFFIX, CodedImage
from sfumato.outputs import write_bytes


@dataclass(frozen=True)
class FittedImage:
    """An image as 2D Gaussians, exactly as stored in its file.

    Attributes:
        content: the integer codes of the file, and their quantiser.
    """

    content: CodedImage

    def __len__(self) -> int:
        return len(self.content.codes)

    @property
    def size_px(self) -> tuple[int, int]:
        """(width, height) of the fitted image."""
        return self.content.quantiser.size_px

    def render(self, size: tuple[int, int] | None = None, *, device: torch.device | str = "cpu") -> Tensor:
        """Render the image.

        Smaller images are averaged down from a larger render, which avoids aliasing.

        Args:
            size: (width, height) in pixels; None: that of the fitted image.
            device: to render on.

        Returns:
            [height, width, 3] RGB in [0, 1]; the same bits at each call.

        Raises:
            ConfigError: the size is not a pair of positive integers, or too large.
        """
        size = self.size_px if size is None else pair("size", size, _side)
        finer = max(-(-own // wanted) for own, wanted in zip(self.size_px, size, strict=True))
        drawn = size[0] * finer, size[1] * finer
        if drawn[0] * drawn[1] > 4 * MAX_PIXELS:
            raise ConfigError(f"size is {size[0]} x {size[1]} px: too many pixels; give a smaller one")
        rows = self.content.quantiser.values(torch.from_numpy(self.content.codes)).to(device)
        background = rows.new_tensor(self.content.background) / 255
        scale = drawn[0] / self.size_px[0], drawn[1] / self.size_px[1]
        image = draw(rows, background, drawn, scale).clamp(0, 1)
        if finer == 1:
            return image
        return image.reshape(size[1], finer, size[0], finer, 3).mean(dim=(1, 3))

    def encoded(self) -> bytes:
        """The bytes of its file."""
        return g2d_file.encode(self.content)

    def save(self, path: str | Path) -> None:
        """Write a `.g2d` file.

        Raises:
            ConfigError: the name has another suffix.
            SfumatoError: it cannot be written.
        """
        write_bytes(checked_name(file_path("path", path)), self.encoded())


def load_fitted(path: str | Path) -> FittedImage:
    """Read a `.g2d` file.

    Raises:
        FormatError: it is missing, damaged, or not a `.g2d` file.
        ConfigError: the path is not a path.
    """
    check_type("path", path, str, Path)
    return FittedImage(g2d_file.read(file_path("path", path)))


def checked_name(path: Path) -> Path:
    """The name of a file to write.

    Raises:
        ConfigError: its suffix is not `.g2d`.
    """
    if path.suffix.lower() != SUFFIX:
        raise ConfigError(f"{path} is not the name of a fitted image; give one that ends in {SUFFIX}")
    return path


def _side(name: str, value: object) -> int:
    return whole_number(name, value, least=1)
