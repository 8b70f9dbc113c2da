"""Moving regions of an image, and the Gaussians that touch them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from sfumato.render.visibility import Footprints
from sfumato.scene.cameras import Camera

TILE_PX = 16
# Boxes of moving tiles are merged as long as this adds at most this share of pixels.
_MERGE_SHARE = 0.2
# Share of the box in which alpha reaches 1/255 that counts as covered.
_INNER = 0.5


@dataclass(frozen=True)
class Region:
    """A box of a picture.

    Attributes:
        left, top, width, height: pixels; multiples of the tile size except at the right and lower border.
    """

    left: int
    top: int
    width: int
    height: int

    def of(self, camera: Camera) -> Camera:
        """The camera of this part of a picture.

        Its renders equal those of the whole image except for large Gaussians that extend into it: the affine
        approximation is clamped closer to the border of a smaller image (``ops.project``).
        """
        return camera.cropped(self.left, self.top, self.width, self.height)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of the image."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def touched(self, footprints: Footprints) -> Tensor:
        """[n] bool: Gaussians of the whole image that may touch the region."""
        low = torch.tensor([self.left, self.top], dtype=torch.float32)
        high = low + torch.tensor([self.width, self.height], dtype=torch.float32)
        radius = footprints.radius_px.float()
        reaches = (footprints.mean_px + radius > low) & (footprints.mean_px - radius < high)
        return reaches.all(1) & (footprints.radius_px[:, 0] > 0)


def bounding_box(regions: Sequence[Region], margin_px: int, size_px: tuple[int, int]) -> Region:
    """The box around regions, one or more, with a margin, within an image of a size (width, height)."""
    left = max(min(region.left for region in regions) - margin_px, 0)
    top = max(min(region.top for region in regions) - margin_px, 0)
    right = min(max(region.left + region.width for region in regions) + margin_px, size_px[0])
    bottom = min(max(region.top + region.height for region in regions) + margin_px, size_px[1])
    return Region(left, top, right - left, bottom - top)


def moving_regions(moving: np.ndarray) -> tuple[Region, ...]:
    """Boxes of whole tiles around the moving pixels, with a margin of one tile.

    Args:
        moving: [h, w] bool.

    Returns:
        The boxes, merged where they are close; empty if nothing moves.
    """
    height, width = moving.shape
    tiles = _tiles(moving)
    labels, _ = ndimage.label(ndimage.binary_dilation(tiles, np.ones((3, 3))), np.ones((3, 3)))
    boxes = [
        (rows.start, columns.start, rows.stop, columns.stop) for rows, columns in ndimage.find_objects(labels)
    ]
    boxes = _merged(boxes)

    def region(box: tuple[int, int, int, int]) -> Region:
        top, left, bottom, right = (TILE_PX * side for side in box)
        return Region(left, top, min(right, width) - left, min(bottom, height) - top)

    return tuple(region(box) for box in boxes)


def footprint_mask(footprints: Footprints, size_px: tuple[int, int]) -> np.ndarray:
    """[h, w] bool: tiles that the inner halves of the Gaussians' boxes touch."""
    width, height = size_px
    rows, columns = -(-height // TILE_PX), -(-width // TILE_PX)
    seen = footprints.radius_px[:, 0] > 0
    mean, radius = footprints.mean_px[seen].numpy(), _INNER * footprints.radius_px[seen].numpy()
    low = np.floor((mean - radius) / TILE_PX).astype(np.int64)
    high = np.floor((mean + radius) / TILE_PX).astype(np.int64) + 1
    limits = np.array([columns, rows])
    low, high = low.clip(0, limits), high.clip(0, limits)
    # Cumulative sums of signed corners over both axes count the boxes over each tile.
    corners = np.zeros((rows + 1, columns + 1), np.int64)
    for (x, y), sign in (
        ((low[:, 0], low[:, 1]), 1),
        ((high[:, 0], low[:, 1]), -1),
        ((low[:, 0], high[:, 1]), -1),
        ((high[:, 0], high[:, 1]), 1),
    ):
        np.add.at(corners, (y, x), sign)
    tiles = corners.cumsum(0).cumsum(1)[:-1, :-1] > 0
    return tiles.repeat(TILE_PX, 0).repeat(TILE_PX, 1)[:height, :width]


def _tiles(moving: np.ndarray) -> np.ndarray:
    height, width = moving.shape
    padded = np.pad(moving, ((0, -height % TILE_PX), (0, -width % TILE_PX)))
    blocks = padded.reshape(len(padded) // TILE_PX, TILE_PX, -1, TILE_PX)
    return np.asarray(blocks.any(axis=(1, 3)))


def _merged(boxes: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Boxes (top, left, bottom, right), merged pairwise while this adds few tiles."""

    def area(box: tuple[int, int, int, int]) -> int:
        return (box[2] - box[0]) * (box[3] - box[1])

    while True:
        best = None
        for i, a in enumerate(boxes):
            for j in range(i):
                b = boxes[j]
                joined = (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))
                added = area(joined) - area(a) - area(b)
                if added <= _MERGE_SHARE * area(joined) and (best is None or added < best[0]):
                    best = added, i, j, joined
        if best is None:
            return boxes
        _, i, j, joined = best
        boxes = [box for k, box in enumerate(boxes) if k not in (i, j)] + [joined]
