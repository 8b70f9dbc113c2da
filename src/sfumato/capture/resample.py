"""Resampling of a picture to its training resolution and pinhole camera, in one step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from scipy import sparse
from torch.nn.functional import avg_pool2d, grid_sample, interpolate

from sfumato.capture.strips import ArrayStrips, Strips, strips_of, whole
from sfumato.scene.lenses import Lens, distort, unfolded_radius

MAX_HALF_EXTENT = 1.5
"""Tangent of the widest half angle of undistorted pictures (56 degrees): beyond it, pixels at the
border of a fisheye picture would be stretched more than threefold."""

_SCALE_LIMIT = 2.0
_STRIP_SAMPLES = 1 << 20
# Sources of up to this many samples (256 MiB as floats) are converted at once, larger ones in strips.
_WHOLE_SAMPLES = 1 << 26
_LATTICE_SPACING = 8
_REACH = 3


@dataclass(frozen=True)
class DistortedCamera:
    """Intrinsics of a picture before undistortion.

    Attributes:
        focal_px:  (fx, fy).
        centre_px: (cx, cy).
        size_px:   (width, height).
        lens:      not a pinhole.
    """

    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    size_px: tuple[int, int]
    lens: Lens

    def project(self, ideal_xy: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of ideal normalised coordinates [..., 2]."""
        return distort(self.lens, ideal_xy) * self.focal_px + self.centre_px

    @property
    def trusted_radius(self) -> float:
        """Ideal radius up to which the lens formula is one to one."""
        return _trusted_radius(self.lens)


@lru_cache(maxsize=4096)
def _trusted_radius(lens: Lens) -> float:
    return unfolded_radius(lens, limit=2.0 * MAX_HALF_EXTENT)


def pinhole_scale(camera: DistortedCamera) -> float:
    """Factor of the focal lengths at which the undistorted picture has no blank pixels.

    The undistorted picture keeps the size and the principal point. The factor is the smallest without blank
    pixels, but not so small that the picture extends beyond ``MAX_HALF_EXTENT``. If even a factor of 2 leaves
    blank pixels it is 1, and blank pixels are masked.
    """
    (fx, fy), (cx, cy), (w, h) = camera.focal_px, camera.centre_px, camera.size_px
    low = max(cx / fx, (w - cx) / fx, cy / fy, (h - cy) / fy) / MAX_HALF_EXTENT
    border = _border(w, h) - camera.centre_px

    def is_full(scale: float) -> bool:
        return bool(_is_seen(camera, border / camera.focal_px / scale).all())

    if is_full(low):
        return low
    high = max(1.0, low)
    while not is_full(high):
        low, high = high, high * 1.1
        if high > _SCALE_LIMIT:
            return 1.0
    while high - low > 1e-5:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if is_full(middle) else (middle, high)
    return high


def _border(width: int, height: int) -> np.ndarray:
    """[124, 2] points on the outline of a picture, pixels."""
    t = np.linspace(0.0, 1.0, 31)
    sides = [(t, 0 * t), (t, 0 * t + 1), (0 * t, t), (0 * t + 1, t)]
    return np.concatenate([np.stack(side, axis=1) for side in sides]) * [width, height]


def _is_seen(camera: DistortedCamera, ideal_xy: np.ndarray, pixels: np.ndarray | None = None) -> np.ndarray:
    """[...] whether the source picture shows the directions ``ideal_xy`` [..., 2]."""
    pixels = camera.project(ideal_xy) if pixels is None else pixels
    inside = ((pixels >= -1e-6) & (pixels <= np.array(camera.size_px) + 1e-6)).all(axis=-1)
    return inside & (np.hypot(ideal_xy[..., 0], ideal_xy[..., 1]) <= camera.trusted_radius)


@dataclass(frozen=True)
class Resampler:
    """Resamples a picture of a distorted camera to a pinhole camera, possibly smaller.

    Attributes:
        source: the camera of the input picture.
        focal_px: of the pinhole camera.
        centre_px: of the pinhole camera.
        size_px: of the pinhole camera.
    """

    source: DistortedCamera
    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    size_px: tuple[int, int]

    def source_px(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions in the source of positions in the pinhole picture.

        Args:
            pixels: [..., 2] positions, pixels of the pinhole camera.

        Returns:
            ([..., 2] positions in the source, [...] whether the source shows them).
        """
        ideal = (pixels - np.array(self.centre_px)) / self.focal_px
        there = self.source.project(ideal)
        return there, _is_seen(self.source, ideal, there)

    @property
    def samples_per_side(self) -> int:
        """Number of samples along one side of a pixel at which every source pixel is sampled."""
        density = max(s / t for s, t in zip(self.source.focal_px, self.focal_px, strict=True))
        return max(1, math.ceil(density - 0.1))

    def __call__(self, picture: np.ndarray | Strips) -> np.ndarray:
        """Resample to the pinhole camera: bicubic samples at the source's density, averaged over each pixel.

        Args:
            picture: uint8 [h, w, d] of the source camera, or its strips.

        Returns:
            uint8 [height, width, d]; positions outside the source repeat its border.
        """
        width, height = self.size_px
        n = self.samples_per_side
        source = ArrayStrips(picture) if isinstance(picture, np.ndarray) else picture
        result = np.empty((height, width, source.shape[2]), np.uint8)
        fits = math.prod(source.shape) <= _WHOLE_SAMPLES
        kept = _planes(source, 0, source.shape[0]) if fits else None
        rows = max(1, _STRIP_SAMPLES // (width * n * n))
        for top in range(0, height, rows):
            grid = _sampling_grid(self, top, min(height, top + rows))
            planes, grid = _sampled_rows(source, grid) if kept is None else (kept, grid)
            samples = grid_sample(planes, grid, mode="bicubic", padding_mode="border", align_corners=False)
            # Clamped before averaging: cubic interpolation overshoots at edges.
            samples = samples[0].clamp_(0.0, 255.0)
            means = avg_pool2d(samples, n) if n > 1 else samples
            result[top : top + rows] = means.round_().to(torch.uint8).permute(1, 2, 0).numpy()
        return result

    def seen(self) -> np.ndarray | None:
        """bool [height, width]: which pixels the source shows; None if it shows all."""
        return None if _is_full(self) else _seen(self)


@lru_cache(maxsize=8)
def _sampling_grid(resampler: Resampler, top: int, bottom: int) -> torch.Tensor:
    """[1, rows * n, width * n, 2] float32 in grid_sample's [-1, 1]."""
    n = resampler.samples_per_side
    wide, tall = resampler.size_px[0] * n, (bottom - top) * n
    # Distortion is smooth, so it is evaluated on a coarse lattice and interpolated; except with blank pixels,
    # next to which it may be discontinuous.
    spacing = _LATTICE_SPACING if _is_full(resampler) else 1
    columns, rows = min(wide, wide // spacing + 2), min(tall, tall // spacing + 2)
    x = (np.linspace(0, wide - 1, columns) + 0.5) / n
    y = top + (np.linspace(0, tall - 1, rows) + 0.5) / n
    source, _ = resampler.source_px(np.stack(np.meshgrid(x, y), axis=-1))
    lattice = np.nan_to_num(source * 2.0 / resampler.source.size_px - 1.0, nan=2.0).clip(-2.0, 2.0)
    planes = torch.from_numpy(lattice.astype(np.float32)).permute(2, 0, 1)[None]
    if (columns, rows) != (wide, tall):
        planes = interpolate(planes, (tall, wide), mode="bilinear", align_corners=True)
    return planes.permute(0, 2, 3, 1).contiguous()


def _sampled_rows(source: Strips, grid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Planes [1, d, rows, w] of the rows that a grid samples, and the grid in terms of them."""
    height = source.shape[0]
    heights = (grid[..., 1].double() + 1.0) * (0.5 * height)
    # A cubic sample uses two rows on either side; beyond the border the last one is repeated.
    top = min(max(0, math.floor(float(heights.min())) - _REACH), height - 1)
    bottom = max(top + 1, min(height, math.ceil(float(heights.max())) + _REACH))
    grid = grid.clone()
    grid[..., 1] = (heights - top) * (2.0 / (bottom - top)) - 1.0
    return _planes(source, top, bottom), grid


def _planes(source: Strips, top: int, bottom: int) -> torch.Tensor:
    """[1, d, rows, w] float32."""
    rows = source.rows(top, bottom).astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(rows.transpose(2, 0, 1)))[None]


@lru_cache(maxsize=1024)
def _is_full(resampler: Resampler) -> bool:
    width, height = resampler.size_px
    lattice = np.meshgrid(np.linspace(0.5, width - 0.5, 33), np.linspace(0.5, height - 0.5, 33))
    return bool(resampler.source_px(np.stack(lattice, axis=-1))[1].all())


@lru_cache(maxsize=8)
def _seen(resampler: Resampler) -> np.ndarray:
    width, height = resampler.size_px
    centres = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)
    return resampler.source_px(centres)[1]


def area_average(picture: np.ndarray | Strips, size_px: tuple[int, int]) -> np.ndarray:
    """A picture resized so that each pixel is the mean of exactly the area it covers.

    Args:
        picture: uint8 [h, w, d], or its strips.
        size_px: (width, height), not larger than the picture.

    Returns:
        uint8 [height, width, d].
    """
    source = ArrayStrips(picture) if isinstance(picture, np.ndarray) else picture
    height, width, channels = source.shape
    new_width, new_height = size_px
    if (new_width, new_height) == (width, height):
        return picture if isinstance(picture, np.ndarray) else whole(picture)
    factor = width // new_width
    is_whole = channels in (3, 4) and (new_width * factor, new_height * factor) == (width, height)
    result = np.empty((new_height, new_width, channels), np.uint8)
    for top, bottom in strips_of(new_height, width * channels * height / new_height):
        first, last = top * height // new_height, -(-bottom * height // new_height)
        strip = source.rows(first, last)
        if is_whole:
            result[top:bottom] = _reduced(strip, factor)
        else:
            down = _coverage(height, new_height)[top:bottom, first:last]
            result[top:bottom] = _averaged(strip, down, _coverage(width, new_width))
    return result


def _reduced(strip: np.ndarray, factor: int) -> np.ndarray:
    # "RGBX" and not "RGBA": the fourth channel must not weight the others.
    mode = "RGB" if strip.shape[2] == 3 else "RGBX"
    size = strip.shape[1::-1]
    return np.asarray(Image.frombuffer(mode, size, strip.tobytes(), "raw", mode, 0, 1).reduce(factor))


def _averaged(strip: np.ndarray, down: sparse.csr_matrix, across: sparse.csr_matrix) -> np.ndarray:
    """Means of a strip [h, w, d] by the shares [new_h, h] of its rows and [new_w, w] of its columns."""
    height, width, channels = strip.shape
    rows = down @ strip.reshape(height, -1).astype(np.float32)
    columns = rows.reshape(-1, width, channels).transpose(1, 0, 2).reshape(width, -1)
    mean = (across @ columns).reshape(across.shape[0], -1, channels)
    return np.clip(np.rint(mean), 0, 255).astype(np.uint8).transpose(1, 0, 2)


@lru_cache(maxsize=16)
def _coverage(size: int, new_size: int) -> sparse.csr_matrix:
    """[new_size, size] shares of each old pixel in each new one; rows sum to 1."""
    edges = np.arange(new_size + 1) * (size / new_size)
    cells = np.arange(size)
    first = np.floor(edges[:-1]).astype(int)
    span = math.ceil(size / new_size) + 1
    columns = np.minimum(first[:, None] + np.arange(span), size - 1)
    start = np.maximum(cells[columns], edges[:-1, None])
    stop = np.minimum(cells[columns] + 1, edges[1:, None])
    share = np.maximum(stop - start, 0.0) * (new_size / size)
    share[:, 1:][columns[:, 1:] == columns[:, :-1]] = 0.0
    rows = np.repeat(np.arange(new_size), span)
    return sparse.csr_matrix((share.ravel().astype(np.float32), (rows, columns.ravel())), (new_size, size))
