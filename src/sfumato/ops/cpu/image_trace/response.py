"""The rays of a block, the Gaussians of its tile, and the response of a Gaussian along the rays."""

import math
from typing import NamedTuple

import numpy as np

from sfumato.ops.cpu.image_trace.rays import LANES, PARTS
from sfumato.ops.cpu.image_trace.records import FARTHEST, FINE, LOG2_OPACITY, NEAREST, W, X, Y, Z
from sfumato.ops.cpu.jit import lane_function, lane_function_with_arrays
from sfumato.ops.cpu.simd import lanes as ln
from sfumato.ops.cpu.simd.blending import LOG2_ALPHA_MIN

_HALF_LOG2_E = np.float32(0.5 * math.log2(math.e))
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_INFINITY = np.float32(np.inf)
# Planes of a block's rays: three of directions, then three of offsets if there are any.
_OFFSETS = 3 * LANES
RAY_PLANES = 6 * LANES


class ClosestPoint(NamedTuple):
    """The points of a block's rays nearest to a Gaussian, in the frame where it is the unit ball, in lanes.

    Attributes:
        ux, uy, uz: directions of the rays.
        yx, yy, yz: points of the rays nearest to the mean.
        tau: their distances along the rays.
        inverse: 1 / |u|^2.
        log2_alpha: log2 of alpha before clamping; -inf unless tau is positive.
    """

    ux: object
    uy: object
    uz: object
    yx: object
    yy: object
    yz: object
    tau: object
    inverse: object
    log2_alpha: object


class Nearby(NamedTuple):
    """The records of a tile's Gaussians in contiguous memory.

    Attributes:
        flat: [pairs * stride] float32, Records.rough.
        stride: length of a record.
        fine: [pairs, 6] float64, Records.fine.
    """

    flat: np.ndarray
    stride: int
    fine: np.ndarray


class Block(NamedTuple):
    """A block of rays and the Gaussians that it may hit.

    Attributes:
        rays: [RAY_PLANES] float32, planes of directions, then of offsets if there are any.
        some: mask of the lanes with a ray.
        middle: middle of the directions, or of those of each part if each ray has its own depth order.
        names: [count] int32 indices in Nearby, in the order of the tile.
    """

    rays: np.ndarray
    some: object
    middle: tuple
    names: np.ndarray


@lane_function_with_arrays
def empty_nearby(longest, stride):
    """Uninitialised Nearby for up to ``longest`` pairs with records of length ``stride``."""
    return Nearby(np.empty(longest * stride, np.float32), stride, np.empty((longest, FINE), np.float64))


@lane_function
def copy_tile(records, order, pair_rank, start, end, nearby):
    """Copy a tile's records into contiguous memory."""
    for local in range(end - start):
        i = order[pair_rank[start + local]]
        for k in range(nearby.stride):
            nearby.flat[local * nearby.stride + k] = records.rough[i, k]
        for k in range(FINE):
            nearby.fine[local, k] = records.fine[i, k]


@lane_function_with_arrays
def load_block(moving, exact, source, tile, block, rays, names):
    """Block of a tile of RayBlocks; its rays are copied to ``rays`` [RAY_PLANES]."""
    for k in range(3):
        for lane in range(LANES):
            value = source.directions[tile, block, k, lane]
            # Missing rays get a finite direction: an infinite one would give NaN.
            rays[k * LANES + lane] = value if value < _INFINITY else _ZERO
            if len(moving) > 0:
                rays[_OFFSETS + k * LANES + lane] = source.offsets[tile, block, k, lane]
    some = ln.load(LANES, source.directions[tile, block].ravel(), 0) < _INFINITY
    return Block(rays, some, _middle(exact, source.middles[tile, block]), names)


@lane_function
def _middle(exact, middles):
    first, last = middles[0], middles[-1]
    if len(exact) == 0 or PARTS == 1:
        return ((first[0], first[1], first[2]),)
    return (first[0], first[1], first[2]), (last[0], last[1], last[2])


@lane_function
def _along(a, b, c, middle):
    """(a, b, c) . middle, computed in float64."""
    first, last = middle[0], middle[-1]
    if len(middle) == 1:
        return ln.spread(LANES, np.float32(a * first[0] + b * first[1] + c * first[2]))
    return ln.halves(
        LANES,
        np.float32(a * first[0] + b * first[1] + c * first[2]),
        np.float32(a * last[0] + b * last[1] + c * last[2]),
    )


@lane_function
def _direction(rays, flat, at, fine, local, middle):
    """Directions ux, uy, uz of a block's rays."""
    dx, dy, dz = ln.load(LANES, rays, 0), ln.load(LANES, rays, LANES), ln.load(LANES, rays, 2 * LANES)
    # X . d and Y . d are small near the direction of the mean, where float32 would cancel.
    x = _along(fine[local, 0], fine[local, 1], fine[local, 2], middle)
    y = _along(fine[local, 3], fine[local, 4], fine[local, 5], middle)
    z = _along(flat[at + Z], flat[at + Z + 1], flat[at + Z + 2], middle)
    ux = dx * flat[at + X] + (dy * flat[at + X + 1] + (dz * flat[at + X + 2] + x))
    uy = dx * flat[at + Y] + (dy * flat[at + Y + 1] + (dz * flat[at + Y + 2] + y))
    uz = dx * flat[at + Z] + (dy * flat[at + Z + 1] + (dz * flat[at + Z + 2] + z))
    return ux, uy, uz


@lane_function
def _origin(rays, flat, at):
    """Origins of a block's rays."""
    ex, ey = ln.load(LANES, rays, _OFFSETS), ln.load(LANES, rays, _OFFSETS + LANES)
    ez = ln.load(LANES, rays, _OFFSETS + 2 * LANES)
    ox = ex * flat[at + X] + ey * flat[at + X + 1] + ez * flat[at + X + 2]
    oy = ex * flat[at + Y] + ey * flat[at + Y + 1] + ez * flat[at + Y + 2]
    oz = ex * flat[at + Z] + ey * flat[at + Z + 1] + ez * flat[at + Z + 2] - flat[at + W]
    return ox, oy, oz


@lane_function
def intersect(moving, block, nearby, local):
    """ClosestPoint of a block's rays to a Gaussian.

    Args:
        moving: () or (0,), fixed at compile time: whether rays have different origins.
        block: the Block.
        nearby, local: the Gaussians of the tile, and the index of this one.
    """
    flat, at = nearby.flat, ln.index(local * nearby.stride)
    ux, uy, uz = _direction(block.rays, flat, at, nearby.fine, local, block.middle)
    s = ux * ux + uy * uy
    inverse = _ONE / (s + uz * uz)
    w, log2_opacity = flat[at + W], flat[at + LOG2_OPACITY]
    if len(moving) == 0:
        across = s * inverse
        tau = uz * inverse * w
        log2_alpha = ln.select(uz > _ZERO, across * (w * w * -_HALF_LOG2_E) + log2_opacity, -_INFINITY)
        return ClosestPoint(ux, uy, uz, tau * ux, tau * uy, across * -w, tau, inverse, log2_alpha)
    ox, oy, oz = _origin(block.rays, flat, at)
    cx, cy, cz = oy * uz - oz * uy, oz * ux - ox * uz, ox * uy - oy * ux
    tau = (ox * ux + oy * uy + oz * uz) * inverse * -_ONE
    log2_alpha = (cx * cx + cy * cy + cz * cz) * inverse * -_HALF_LOG2_E + log2_opacity
    log2_alpha = ln.select(tau > _ZERO, log2_alpha, -_INFINITY)
    # y = u x (o x u) / |u|^2 equals o + tau u without cancellation.
    yx, yy, yz = uy * cz - uz * cy, uz * cx - ux * cz, ux * cy - uy * cx
    return ClosestPoint(ux, uy, uz, yx * inverse, yy * inverse, yz * inverse, tau, inverse, log2_alpha)


@lane_function
def hit_where(point, flat, at, limits):
    """Mask of the rays that hit: alpha reaches ALPHA_MIN, ahead of the origin, and within ``limits``."""
    near, far = limits
    log2_alpha = point.log2_alpha
    # For most Gaussians the bounds decide this for all rays at once. No mask is kept over the branch, because
    # processors without mask registers would pack and unpack it.
    if flat[at + NEAREST] < near or flat[at + FARTHEST] > far:
        log2_alpha = ln.select((point.tau >= near) & (point.tau <= far), log2_alpha, -_INFINITY)
    return log2_alpha >= LOG2_ALPHA_MIN
