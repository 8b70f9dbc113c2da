"""Ray tracing of an image of rays: records of Gaussians, binning into tiles, blending of each tile."""

import numpy as np
import torch

from sfumato.ops.cpu.arrays import as_array, as_tensors, when
from sfumato.ops.cpu.image_trace.backward import Outputs, TracedSums, trace_backward
from sfumato.ops.cpu.image_trace.forward import trace_forward
from sfumato.ops.cpu.image_trace.gradients import sums_layout, trace_gradients
from sfumato.ops.cpu.image_trace.rays import PARTS, RayBlocks, block_shapes, image_rays
from sfumato.ops.cpu.image_trace.records import CHANNELS, FINE, Records, trace_records
from sfumato.ops.cpu.image_trace.tiles import bin_rays
from sfumato.ops.cpu.raster.tiles import Tiles, empty_tiles, no_tiles

_TILES, _RECORDS = len(Tiles._fields), len(Records._fields)


def forward(
    means, quats, scales, opacities, colours, eye, directions, offsets, background, depths, limits, distances
):
    """See sfumato.ops.trace; ``limits`` are the near and far distance."""
    exact = depths.numel() == 0
    # With a common depth order, as in a rasterizer, an accuracy of thousandths of a pixel is sufficient.
    rays, boxes = image_rays(as_array(directions), as_array(offsets), PARTS if exact else 1)
    scene = map(as_array, (means, quats, scales, opacities, colours, eye))
    records, mean_distances = trace_records(*scene, boxes.reach, boxes.view)
    if not exact:
        mean_distances = np.where(np.isfinite(mean_distances), as_array(depths), np.inf).astype(np.float32)
    moving = when(rays.offsets.size)
    tiles = bin_rays(moving, records, mean_distances, boxes, float(limits[1]))
    height, width, d = *directions.shape[:2], colours.shape[1]
    image = np.empty((height, width, d), np.float32)
    alpha = np.empty((height, width), np.float32)
    distance = np.empty((height, width) if distances else (0, 0), np.float32)
    counted = np.zeros_like(tiles.pair_mask)
    trace_forward(
        (0,) * d, moving, when(exact), when(distances), records, rays, _limits(limits), tiles,
        as_array(background), image, alpha, distance, counted,
    )  # fmt: skip
    visible = np.zeros(len(means), np.bool_)
    visible[tiles.order[tiles.pair_rank]] = True
    kept = [*tiles._replace(pair_mask=counted), *records, *rays]
    return *as_tensors([image, alpha, distance, visible]), as_tensors(kept)


def kept(
    means, quats, scales, opacities, colours, eye, directions, offsets, background, depths, limits, distances
):
    """Empty tensors with the shapes of Tiles, Records and RayBlocks."""
    n, d = colours.shape
    height, width = directions.shape[:2]
    records = [means.new_empty(n, CHANNELS + d), means.new_empty(n, FINE, dtype=torch.float64)]
    parts = 1 if depths.numel() > 0 else PARTS
    shapes = block_shapes(width, height, offsets.numel() > 0, parts)
    middles = means.new_empty(shapes.middles, dtype=torch.float64)
    rays = RayBlocks(means.new_empty(shapes.directions), means.new_empty(shapes.offsets), middles)
    return [*empty_tiles(means, shapes.directions[0]), *records, *rays]


def backward(grads, outputs, kept, shape, colours, background, limits, exact, with_rays, absolute):
    """Gradients to means, quats, scales, opacities, colours, the probe and the rays [h, w, 6].

    ``shape`` are quats, scales and opacities.
    """
    tiles, arrays = Tiles.of(kept[:_TILES]), [as_array(t) for t in kept[_TILES:]]
    records, rays = Records(*arrays[:_RECORDS]), RayBlocks(*arrays[_RECORDS:])
    (_, alpha, _), (_, _, to_distance) = outputs, grads
    d, (height, width) = colours.shape[1], alpha.shape
    columns, row = sums_layout(d, absolute)
    moving, deep = when(rays.offsets.size), when(to_distance.any())
    of_rays = np.zeros((height, width, 6) if with_rays else (0, 0, 6), np.float32)
    sums = TracedSums(np.zeros((tiles.pair_rank.size, row), np.float32), of_rays)
    trace_backward(
        (0,) * d, moving, when(exact), deep, when(with_rays), when(absolute), records, rays, _limits(limits),
        tiles, as_array(background), _outputs(*outputs), _outputs(*grads), sums,
    )  # fmt: skip
    found = trace_gradients(tiles, sums.pairs, columns, records, *map(as_array, shape), d)
    return as_tensors([*found, sums.rays])


def compile_ahead(channels, probes):
    """Compile the kernels of ``backward`` for still pinhole rays, without any Gaussian.

    ``channels`` is their number; ``probes`` says for each gradient whether absolute values are wanted.
    """
    number = block_shapes(1, 1, False, PARTS)
    rays = torch.zeros(number.directions), torch.zeros(number.offsets), torch.zeros(number.middles).double()
    records = torch.empty(0, CHANNELS + channels), torch.empty(0, FINE, dtype=torch.float64)
    tiles = as_tensors(no_tiles(number.directions[0]))
    kept = [*tiles, *records, *rays]
    colours, background = torch.empty(0, channels), torch.zeros(channels)
    image, alpha, distance = torch.zeros(1, 1, channels), torch.zeros(1, 1), torch.zeros(0, 0)
    outputs = image, alpha, distance
    shape = torch.empty(0, 4), torch.empty(0, 3), torch.empty(0)
    limits = torch.tensor([0.0, 1.0])
    for absolute in probes:
        backward(outputs, outputs, kept, shape, colours, background, limits, True, False, absolute)


def _limits(limits):
    near, far = limits.flatten().tolist()
    return np.float32(near), np.float32(far)


def _outputs(image, alpha, distance):
    return Outputs(*map(as_array, (image, alpha[..., None], distance[..., None])))
