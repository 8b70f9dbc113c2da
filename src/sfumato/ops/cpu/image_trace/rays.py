"""An image of rays in tiles and blocks, with bounding boxes and a bounding cone of their directions."""

from typing import NamedTuple

import numpy as np
from numba import prange

from sfumato.ops.cpu.jit import REGISTER_LANES, kernel, scalar

# A block has as many rays as two registers have lanes: with more, intermediate results spill.
PART_WIDTH = BLOCK_HEIGHT = 4
PARTS = 2 * REGISTER_LANES // (PART_WIDTH * BLOCK_HEIGHT)
BLOCK_WIDTH = PARTS * PART_WIDTH
LANES = BLOCK_WIDTH * BLOCK_HEIGHT
# A tile is 64 blocks, so that a 64-bit mask has a bit for each.
BLOCK_COLUMNS = BLOCK_ROWS = 8
BLOCKS = BLOCK_COLUMNS * BLOCK_ROWS
TILE_WIDTH, TILE_HEIGHT = BLOCK_COLUMNS * BLOCK_WIDTH, BLOCK_ROWS * BLOCK_HEIGHT
# Boxes are tested in groups of this many; tiles are padded to it.
GROUP = 16
# Boxes of unit vectors are stored in float32 and widened by a few roundings.
_MARGIN = np.float32(2e-6)
_ZERO, _HALF = np.float32(0.0), np.float32(0.5)


class RayBlocks(NamedTuple):
    """An image of rays, block by block.

    Attributes:
        directions: [tiles, 64, 3, LANES] float32, unit vectors minus the middle of their part; the first
            coordinate is infinite for missing rays.
        offsets: [tiles, 64, 3, LANES] float32, origins minus the eye; [0, 0, 0, 0] if all origins are the
            eye.
        middles: [tiles, 64, parts, 3] float64, middle of the directions of each part of a block.
    """

    directions: np.ndarray
    offsets: np.ndarray
    middles: np.ndarray


class RayBoxes(NamedTuple):
    """Bounds of an image of rays: boxes are centres and half sizes of directions, empty if negative.

    Attributes:
        blocks: [tiles, 6, 64] float32.
        tiles: [6, tiles padded to 16] float32.
        groups: [6, groups of 16 tiles padded to 16] float32.
        view: [4] float64, axis and cosine of half the opening angle of a cone that contains all directions.
        extent: [3] float32, largest absolute values of the offsets' coordinates.
        reach: largest distance of an origin from the eye.
    """

    blocks: np.ndarray
    tiles: np.ndarray
    groups: np.ndarray
    view: np.ndarray
    extent: np.ndarray
    reach: float


@scalar
def _put_box(boxes, at, low, high):
    """Write the centre and half size of a box, unless it is empty, to a column of ``boxes`` [6, any]."""
    if low[0] <= high[0]:
        for k in range(3):
            boxes[k, at] = _HALF * (low[k] + high[k])
            boxes[3 + k, at] = _HALF * (high[k] - low[k]) + _MARGIN


@scalar
def _cone(boxes, view):
    """Fill ``view`` with the axis and the cosine of a cone around all boxes; -1 is the full sphere."""
    view[:] = 0.0
    for at in range(boxes.shape[1]):
        if boxes[3, at] >= _ZERO:
            for k in range(3):
                view[k] += boxes[k, at]
    length = np.sqrt(view[0] * view[0] + view[1] * view[1] + view[2] * view[2])
    least = 1.0 if length > 0.0 else -1.0
    for k in range(3):
        view[k] = view[k] / length if length > 0.0 else 0.0
    for at in range(boxes.shape[1]):
        if boxes[3, at] >= _ZERO:
            cosine = 0.0
            for k in range(3):
                cosine += view[k] * boxes[k, at] - abs(view[k]) * boxes[3 + k, at]
            least = min(least, cosine)
    view[3] = max(least, -1.0)


@scalar
def corner_of(tile, block, width):
    """Pixel (x, y) of the first ray of a block, in an image of width ``width``."""
    tiles_x = (width + TILE_WIDTH - 1) // TILE_WIDTH
    x = (tile % tiles_x) * TILE_WIDTH + (block % BLOCK_COLUMNS) * BLOCK_WIDTH
    return x, (tile // tiles_x) * TILE_HEIGHT + (block // BLOCK_COLUMNS) * BLOCK_HEIGHT


@scalar
def lane_of(row, column):
    """Lane of a pixel of a block, whose parts of 4x4 pixels are consecutive."""
    return (column // PART_WIDTH) * (LANES // PARTS) + row * PART_WIDTH + column % PART_WIDTH


@scalar
def _unit(directions, y, x, unit):
    """Fill ``unit`` [3] float64 with a normalised direction; returns whether it is valid."""
    length2 = 0.0
    for k in range(3):
        unit[k] = directions[y, x, k]
        length2 += unit[k] * unit[k]
    if not 0.0 < length2 < np.inf:
        return False
    inverse = 1.0 / np.sqrt(length2)
    for k in range(3):
        unit[k] *= inverse
    return True


@scalar
def _put_directions(units, part, directions, middles):
    """Write the middle of a part of a block's unit vectors [3, LANES], and the vectors minus it.

    Missing rays are infinite in ``units``; in ``directions`` their first coordinate is infinite and the
    others are arbitrary.
    """
    size = LANES // len(middles)
    for k in range(3):
        low, high = np.inf, -np.inf
        for lane in range(part * size, (part + 1) * size):
            if units[k, lane] < np.inf:
                low, high = min(low, units[k, lane]), max(high, units[k, lane])
        middles[part, k] = 0.5 * (low + high) if low <= high else 0.0
        for lane in range(part * size, (part + 1) * size):
            beside = units[k, lane] if k == 0 or units[k, lane] < np.inf else 1.0
            directions[k, lane] = beside - middles[part, k]


@kernel
def ray_blocks(directions, parts):
    """Directions block by block, normalised in float64: float32 rounding would be visible in small Gaussians.

    Args:
        directions: [h, w, 3] float32 of any length; zero for missing rays.
        parts: PARTS for one middle per part of a block, 1 for one per block. The nearer the middle, the finer
            the resolution of a direction in float32.

    Returns:
        Directions and middles of RayBlocks; blocks, tiles, groups and view of RayBoxes.
    """
    height, width = directions.shape[:2]
    tiles_x, tiles_y = (width + TILE_WIDTH - 1) // TILE_WIDTH, (height + TILE_HEIGHT - 1) // TILE_HEIGHT
    tiles = tiles_x * tiles_y
    blocks = np.full((tiles, BLOCKS, 3, LANES), np.inf, np.float32)
    middles = np.zeros((tiles, BLOCKS, parts, 3), np.float64)
    block_boxes = np.full((tiles, 6, BLOCKS), -1.0, np.float32)
    groups = (tiles + GROUP - 1) // GROUP
    tile_boxes = np.full((6, groups * GROUP), -1.0, np.float32)
    group_boxes = np.full((6, (groups + GROUP - 1) // GROUP * GROUP), -1.0, np.float32)
    lows, highs = np.empty((tiles, 3), np.float32), np.empty((tiles, 3), np.float32)
    for tile in prange(tiles):
        unit, units = np.empty(3), np.empty((3, LANES))
        low, high = np.empty(3, np.float32), np.empty(3, np.float32)
        tile_low, tile_high = np.full(3, np.inf, np.float32), np.full(3, -np.inf, np.float32)
        for block in range(BLOCKS):
            x0, y0 = corner_of(tile, block, width)
            low[:], high[:], units[:] = np.inf, -np.inf, np.inf
            for y in range(y0, min(y0 + BLOCK_HEIGHT, height)):
                for x in range(x0, min(x0 + BLOCK_WIDTH, width)):
                    if _unit(directions, y, x, unit):
                        for k in range(3):
                            units[k, lane_of(y - y0, x - x0)] = unit[k]
                            low[k], high[k] = min(low[k], unit[k]), max(high[k], unit[k])
            if not low[0] <= high[0]:
                continue
            _put_box(block_boxes[tile], block, low, high)
            for k in range(3):
                tile_low[k], tile_high[k] = min(tile_low[k], low[k]), max(tile_high[k], high[k])
            for part in range(parts):
                _put_directions(units, part, blocks[tile, block], middles[tile, block])
        for k in range(3):
            lows[tile, k], highs[tile, k] = tile_low[k], tile_high[k]
        _put_box(tile_boxes, tile, tile_low, tile_high)
    for group in range(groups):
        low, high = np.full(3, np.inf, np.float32), np.full(3, -np.inf, np.float32)
        for tile in range(group * GROUP, min((group + 1) * GROUP, tiles)):
            for k in range(3):
                low[k], high[k] = min(low[k], lows[tile, k]), max(high[k], highs[tile, k])
        _put_box(group_boxes, group, low, high)
    view = np.empty(4)
    _cone(tile_boxes, view)
    return blocks, middles, block_boxes, tile_boxes, group_boxes, view


@kernel
def block_planes(values):
    """Values [h, w, 3] block by block, and their bounds.

    Returns:
        [tiles, 64, 3, LANES] values, 0 outside the image; [tiles, 3] largest absolute coordinates; [tiles]
        largest squared lengths.
    """
    height, width = values.shape[:2]
    tiles_x, tiles_y = (width + TILE_WIDTH - 1) // TILE_WIDTH, (height + TILE_HEIGHT - 1) // TILE_HEIGHT
    planes = np.zeros((tiles_x * tiles_y, BLOCKS, 3, LANES), np.float32)
    extents, lengths2 = np.zeros((tiles_x * tiles_y, 3), np.float32), np.zeros(tiles_x * tiles_y)
    for tile in prange(tiles_x * tiles_y):
        for block in range(BLOCKS):
            x0, y0 = corner_of(tile, block, width)
            for y in range(y0, min(y0 + BLOCK_HEIGHT, height)):
                for x in range(x0, min(x0 + BLOCK_WIDTH, width)):
                    length2 = 0.0
                    for k in range(3):
                        value = values[y, x, k]
                        planes[tile, block, k, lane_of(y - y0, x - x0)] = value
                        extents[tile, k] = max(extents[tile, k], abs(value))
                        length2 += np.float64(value) * value
                    lengths2[tile] = max(lengths2[tile], length2)
    return planes, extents, lengths2


def image_rays(directions: np.ndarray, offsets: np.ndarray, parts: int) -> tuple[RayBlocks, RayBoxes]:
    """Prepare an image of rays for tracing.

    Args:
        directions: [h, w, 3] float32 of any length; zero for missing rays.
        offsets: [h, w, 3] float32 origins minus the eye, or empty if all origins are the eye.
        parts: as in ray_blocks.
    """
    blocks, middles, *boxes = ray_blocks(directions, parts)
    if not offsets.size:
        offsets = np.zeros((0, 0, 0, 0), np.float32)
        return RayBlocks(blocks, offsets, middles), RayBoxes(*boxes, np.zeros(3, np.float32), 0.0)
    planes, extents, lengths2 = block_planes(offsets)
    reach = float(np.sqrt(lengths2.max()))
    return RayBlocks(blocks, planes, middles), RayBoxes(*boxes, extents.max(0), reach)


def block_shapes(width: int, height: int, moving: bool, parts: int) -> RayBlocks:
    """Shapes of the arrays of RayBlocks returned by image_rays."""
    tiles = -(-width // TILE_WIDTH) * -(-height // TILE_HEIGHT)
    planes = (tiles, BLOCKS, 3, LANES)
    return RayBlocks(planes, planes if moving else (0, 0, 0, 0), (tiles, BLOCKS, parts, 3))
