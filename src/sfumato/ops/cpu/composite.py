"""Front-to-back blending of ellipses: binning into tiles, then blending of a few channels at a time."""

import numpy as np
import torch

from sfumato.ops.cpu.arrays import as_array, as_tensors
from sfumato.ops.cpu.raster.blend import composite_backward, composite_forward
from sfumato.ops.cpu.raster.splats import SplatGradients, gather_gradients, splat_records, sums_layout
from sfumato.ops.cpu.raster.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Tiles,
    bin_tiles,
    block_masks,
    empty_tiles,
    no_tiles,
)

# Channels blended in one pass: more would not fit into registers.
CHANNELS_AT_ONCE = 4


def forward(mean_px, conic, opacities, colours, depth, radius_px, background, size):
    """See sfumato.ops.composite; ``size`` is width and height."""
    width, height = size
    geometry = [as_array(t) for t in (mean_px, conic, opacities)]
    tiles = bin_tiles(*geometry, as_array(depth), as_array(radius_px), width, height)
    image, alpha = _blended(tiles, geometry, colours, background, width, height)
    return image, alpha, as_tensors(tiles)


def _blended(tiles, geometry, colours, background, width, height):
    """The image [h, w, d] and alpha [h, w] of binned Gaussians."""
    alpha, parts = np.empty((height, width), np.float32), []
    for group in _channel_groups(colours.shape[1]):
        channels = (0,) * (group.stop - group.start)
        records = splat_records(tiles.order, *geometry, as_array(colours[:, group]))
        part = np.empty((height, width, len(channels)), np.float32)
        composite_forward(channels, records, as_array(background[group]), tiles, width, height, part, alpha)
        parts.append(part)
    image = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)
    return torch.from_numpy(image), torch.from_numpy(alpha)


def compile_ahead(channels, probes=()):
    """Compile all kernels, in about the reverse order in which an image needs them, without any Gaussian.

    ``channels`` is their number; ``probes`` says for each gradient whether absolute values are wanted.
    """
    pair, triple, single = (torch.empty(0, *rest) for rest in ((2,), (3,), ()))
    geometry, colours, background = (pair, triple, single), torch.empty(0, channels), torch.zeros(channels)
    tiles, arrays = no_tiles(1), [as_array(t) for t in geometry]
    _blended(tiles, arrays, colours, background, 1, 1)
    slots = np.empty(0, np.int32), np.empty(0, np.uint64)
    block_masks(tiles.order, tiles.slot_starts, np.empty((0, 4), np.int32), *arrays, 1, *slots)
    image, alpha, kept = forward(*geometry, colours, single, pair.int(), background, (1, 1))
    for absolute in probes:
        backward((image, alpha), (image, alpha), kept, (*geometry, colours), absolute)


def kept(mean_px, conic, opacities, colours, depth, radius_px, background, size):
    """Empty tensors with the shapes of Tiles."""
    width, height = size
    return empty_tiles(mean_px, -(-width // TILE_WIDTH) * -(-height // TILE_HEIGHT))


def backward(grads, outputs, kept, inputs, absolute):
    """Gradients to the centres, their absolute values, the conics, the opacities and the colours.

    ``inputs`` are mean_px, conic, opacities and colours; the gradient of alpha is [0, 0] if there is none.
    """
    tiles, (grad_image, grad_alpha), (image, alpha) = Tiles.of(kept), grads, outputs
    *geometry, colours = inputs
    mean_px, conic, opacities = map(as_array, geometry)
    n, d = colours.shape
    shapes = SplatGradients((n, 2), (n, 2) if absolute else (0, 2), (n, 3), (n,), (n, 0))
    totals, grad_colours = [], []
    # Absolute gradients need all channels in one pass, because the absolute values of partial gradients do
    # not add up.
    for k, group in enumerate([slice(0, d)] if absolute else _channel_groups(d)):
        channels = (0,) * (group.stop - group.start)
        # The gradient of alpha is shared by all channels, so it is added only in the first pass.
        to_alpha = grad_alpha if k == 0 else grad_alpha.new_empty(0, 0)
        pixels = image[:, :, group], alpha, grad_image[:, :, group], to_alpha[..., None]
        columns, row = sums_layout(len(channels), absolute)
        sums = np.zeros((tiles.pair_rank.size, row), np.float32)
        records = splat_records(tiles.order, mean_px, conic, opacities, as_array(colours[:, group]))
        composite_backward(channels, (0, 0) if absolute else (), records, *map(as_array, pixels), tiles, sums)
        found = SplatGradients(*(np.zeros(s, np.float32) for s in shapes._replace(colour=(n, len(channels)))))
        gather_gradients(tiles, sums, columns, conic, opacities, found)
        *shared, of_colours = found
        totals = shared if k == 0 else [a + b for a, b in zip(totals, shared, strict=True)]
        grad_colours.append(of_colours)
    return tuple(as_tensors([*totals, np.concatenate(grad_colours, axis=1)]))


def _channel_groups(d: int) -> list[slice]:
    return [slice(k, min(k + CHANNELS_AT_ONCE, d)) for k in range(0, d, CHANNELS_AT_ONCE)]
