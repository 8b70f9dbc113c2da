"""Lists of Gaussians for each tile, nearest first."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.ops.gpu.kernels.tile_lists import row_spans, span_pairs, tile_rows
from sfumato.ops.gpu.launch import start_elementwise

# A tile is blended by one warp; its 32 lanes cover two rows of 16 px, once per register of a lane.
TILE_WIDTH = 16
LANE_ROWS = 32 // TILE_WIDTH
# Tiles of 16x16 px are the most efficient per pixel; images with fewer tiles than this use 16x8 px, as a GPU
# with 132 multiprocessors would otherwise not be fully occupied.
ENOUGH_TILES = 2048
# Indices of pairs are int32.
MOST_PAIRS = 2**31 - 1


class Tiling(NamedTuple):
    """Division of an image into tiles.

    Attributes:
        rows: registers per lane, with one pixel each.
        across, down: number of tiles.
    """

    rows: int
    across: int
    down: int

    @property
    def number(self) -> int:
        """Number of tiles."""
        return self.across * self.down

    @property
    def tile_height(self) -> int:
        """Height of a tile, px."""
        return self.rows * LANE_ROWS

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width of the image rounded up to whole tiles, px."""
        return self.down * self.tile_height, self.across * TILE_WIDTH


class PairLists(NamedTuple):
    """Pairs of a Gaussian and a tile that its ellipse touches.

    Attributes:
        order: [n] int32 ids of all Gaussians by depth; a rank is an index into it.
        rank_starts: [n + 1] int32 start of the pairs of each rank, in the order of emission.
        pair_rank: [p] int32 rank of each pair's Gaussian, tile by tile, nearest first.
        pair_slot: [p] int32 index of each pair in the order of emission.
        tile_starts: [t + 1] int32 start of each tile's pairs.
    """

    order: Tensor
    rank_starts: Tensor
    pair_rank: Tensor
    pair_slot: Tensor
    tile_starts: Tensor


def tiling(width: int, height: int) -> Tiling:
    """The tiles of an image."""
    across = -(-width // TILE_WIDTH)
    rows = 8 if across * -(-height // (8 * LANE_ROWS)) >= ENOUGH_TILES else 4
    return Tiling(rows, across, -(-height // (rows * LANE_ROWS)))


def bin_tiles(
    mean_px: Tensor,
    conic: Tensor,
    opacities: Tensor,
    depth: Tensor,
    radius_px: Tensor,
    width: int,
    height: int,
) -> PairLists:
    """Sort the Gaussians by depth and list them for each tile that they touch.

    A Gaussian touches a tile if the ellipse in which its alpha reaches 1/255, enlarged by a hundredth of a
    pixel, covers the centre of a pixel there. The host synchronises twice, for the number of rows of tiles
    and for the number of pairs.

    Args:
        mean_px: [n, 2], contiguous like all other tensors; see sfumato.ops.composite.
        conic: [n, 3].
        opacities: [n].
        depth: [n] for the order of blending, nearest first; ties keep the order of the rows.
        radius_px: [n, 2] int32; 0 where culled.
        width: of the image, pixels.
        height: of the image, pixels.

    Raises:
        ConfigError: there are more than MOST_PAIRS pairs.
    """
    tiles, n = tiling(width, height), len(depth)
    # Culled Gaussians are sorted too: removing them would require a synchronisation for their number.
    order = torch.sort(depth, stable=True).indices.int()
    shapes = mean_px, conic, opacities
    first_row, rows = order.new_empty(n), order.new_empty(n)
    size = {"TILE_HEIGHT": tiles.tile_height}
    start_elementwise(tile_rows, n, order, *shapes, radius_px, first_row, rows, height, **size)
    row_starts, spans = _starts(rows)
    # Separate allocations, not slices: kernels are specialised on the alignment of their arguments.
    span_rank, span_tile, span_length = (order.new_empty(spans) for _ in range(3))
    of_rows = first_row, row_starts, n, _steps(n), width, height, tiles.across
    start_elementwise(
        row_spans, spans, order, *shapes, *of_rows, span_rank, span_tile, span_length,
        TILE_WIDTH=TILE_WIDTH, **size,
    )  # fmt: skip
    span_starts, pairs = _starts(span_length)
    # The time of a radix sort is proportional to the bytes of its keys.
    dtype = torch.int16 if tiles.number < 2**15 else torch.int32
    emitted, pair_tile = order.new_empty(pairs), order.new_empty(pairs, dtype=dtype)
    of_spans = span_rank, span_tile, span_starts, spans, _steps(spans)
    start_elementwise(span_pairs, pairs, *of_spans, emitted, pair_tile)
    sorted_tile, slot = torch.sort(pair_tile, stable=True)
    every_tile = torch.arange(tiles.number + 1, device=order.device, dtype=torch.int32)
    tile_starts = torch.searchsorted(sorted_tile.int(), every_tile, out_int32=True)
    return PairLists(order, span_starts[row_starts], emitted[slot], slot.int(), tile_starts)


def empty_lists(like: Tensor, number: int) -> list[Tensor]:
    """Fake tensors with the shapes of PairLists, for [n, ...] ``like`` and ``number`` tiles."""
    pairs = torch.library.get_ctx().new_dynamic_size()
    lengths = PairLists(like.shape[0], like.shape[0] + 1, pairs, pairs, number + 1)
    return [like.new_empty(length, dtype=torch.int32) for length in lengths]


def _starts(counts: Tensor) -> tuple[Tensor, int]:
    """[m + 1] int32 cumulative counts of [m], starting at 0, and the total, which synchronises the host."""
    total = int(counts.sum(dtype=torch.int64))
    if total > MOST_PAIRS:
        raise ConfigError(
            f"Gaussians touch tiles {total:,} times, at most {MOST_PAIRS:,} are possible: "
            "take fewer or smaller ones, or a smaller picture"
        )
    starts = counts.new_zeros(len(counts) + 1)
    torch.cumsum(counts, 0, dtype=torch.int32, out=starts[1:])
    return starts, total


def _steps(n: int) -> int:
    """Number of halvings of ``n`` entries until one is left."""
    return max(n - 1, 0).bit_length()
