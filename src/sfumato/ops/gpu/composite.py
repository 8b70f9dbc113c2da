"""Front-to-back blending of ellipses: binned into tiles, then blended by one warp per tile."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.ops.gpu.binning import TILE_WIDTH, PairLists, Tiling, bin_tiles, empty_lists, tiling
from sfumato.ops.gpu.kernels.splat_records import (
    GEOMETRY,
    MOMENTS,
    add_pairs,
    splat_gradients,
    splat_records,
)
from sfumato.ops.gpu.kernels.tile_blending import blend, blend_backward, blend_backward_many
from sfumato.ops.gpu.launch import start, start_elementwise

# Channels blended in one pass: more would exceed the registers.
CHANNELS_AT_ONCE = 4
# Rows of sums added at a time by one program.
ROWS_AT_ONCE = 16


def forward(mean_px, conic, opacities, colours, depth, radius_px, background, size):
    """See sfumato.ops.composite; ``size`` is width and height."""
    width, height = size
    tiles, d = tiling(width, height), colours.shape[1]
    shapes = [tensor.contiguous() for tensor in (mean_px, conic, opacities)]
    colours, background = colours.contiguous(), background.contiguous()
    lists = bin_tiles(*shapes, depth, radius_px.contiguous(), width, height)
    image, alpha = mean_px.new_empty(height, width, d), mean_px.new_empty(height, width)
    for first in range(0, d, CHANNELS_AT_ONCE):
        channels = min(CHANNELS_AT_ONCE, d - first)
        records = _records(lists, shapes, colours, first, channels)
        planes = mean_px.new_empty(channels + 1, *tiles.padded)
        start(
            blend, tiles.number, 1, records, lists.pair_rank, lists.tile_starts,
            background[first:], planes, *_grid(tiles, width, height),
            CHANNELS=channels, RECORD=records.shape[1], ROWS=tiles.rows, TILE_WIDTH=TILE_WIDTH,
        )  # fmt: skip
        image[:, :, first : first + channels] = planes[:-1, :height, :width].permute(1, 2, 0)
        alpha.copy_(planes[-1, :height, :width])
    return image, alpha, list(lists)


def kept(mean_px, conic, opacities, colours, depth, radius_px, background, size):
    """Fake tensors of PairLists."""
    return empty_lists(mean_px, tiling(*size).number)


def backward(grads, outputs, kept, inputs, absolute):
    """Gradients with respect to centres, their absolute values, and to conics, opacities and colours.

    ``inputs`` are mean_px, conic, opacities and colours; the gradient of alpha is [0, 0] if there is none.
    """
    lists, (grad_image, grad_alpha), (image, alpha) = PairLists(*kept), grads, outputs
    mean_px, conic, opacities, colours = (tensor.contiguous() for tensor in inputs)
    (height, width), (n, d) = alpha.shape, colours.shape
    tiles = tiling(width, height)
    upstream = mean_px.new_zeros(d + 2, *tiles.padded)
    upstream[:d, :height, :width] = grad_image.permute(2, 0, 1)
    upstream[d + 1, :height, :width] = (grad_image * image).sum(-1)
    if grad_alpha.numel():
        upstream[d, :height, :width] = grad_alpha
        upstream[d + 1, :height, :width] += grad_alpha * alpha
    records = _records(lists, (mean_px, conic, opacities), colours, 0, d)
    # Padded to 16 bytes, which a lane reads at once.
    columns = -(-(MOMENTS.value + d + 2 * absolute) // 4) * 4
    sums = mean_px.new_zeros(len(lists.pair_rank), columns)
    given = records, lists.pair_rank, lists.pair_slot, lists.tile_starts, upstream, sums
    constants = {"RECORD": records.shape[1], "COLUMNS": columns, "ABSOLUTE": absolute, "ROWS": tiles.rows}
    constants |= {"TILE_WIDTH": TILE_WIDTH}
    grid = _grid(tiles, width, height)
    if d <= CHANNELS_AT_ONCE:
        start(blend_backward, tiles.number, 1, *given, *grid, CHANNELS=d, **constants)
    else:
        start(blend_backward_many, tiles.number, 1, *given, *grid, d, **constants)
    totals = mean_px.new_zeros(n, columns)
    start(
        add_pairs, n, 1, sums, lists.rank_starts, lists.order, totals,
        COLUMNS=columns, PADDED=1 << (columns - 1).bit_length(), CHUNK=ROWS_AT_ONCE,
    )  # fmt: skip
    found = [torch.empty_like(one) for one in (mean_px, conic, opacities, colours)]
    found.insert(1, mean_px.new_empty(n if absolute else 0, 2))
    start_elementwise(
        splat_gradients, n, totals, conic, opacities, *found, D=d, COLUMNS=columns, ABSOLUTE=absolute
    )
    return tuple(found)


def _records(lists: PairLists, shapes, colours: Tensor, first: int, channels: int) -> Tensor:
    """[n, ...] records by rank with some of the channels."""
    # A power of two, so that addresses are shifts; records of up to 10 channels fit into 64 bytes.
    length = max(16, 1 << (GEOMETRY.value + channels - 1).bit_length())
    records = colours.new_empty(len(colours), length)
    start_elementwise(
        splat_records, len(colours), lists.order, *shapes, colours, first, records,
        D=colours.shape[1], CHANNELS=channels, RECORD=length,
    )  # fmt: skip
    return records


def _grid(tiles: Tiling, width: int, height: int) -> tuple[int, ...]:
    """Arguments for the addresses of pixels: across, width, height, pitch, plane, shift."""
    tall, wide = tiles.padded
    return tiles.across, width, height, wide, tall * wide, 0
