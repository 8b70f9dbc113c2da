"""Traversal of a tree of Gaussians' boxes, one ray per lane: the next few hits of each ray, nearest first.

The tree is complete, with a Gaussian per leaf: node i has the children 2 i and 2 i + 1, the root is 1. A ray
enters the nearer child first; a bit per level of ``trail`` says that the other is still to be visited (after
Afra and Szirmay-Kalos 2014). Only the K nearest hits behind the last pass are kept, in registers; boxes
beyond them are skipped. Boxes are tested in float32 with a margin, Gaussians in float64.

A hit's key orders it: its distance as an integer, whose last bits are replaced by the Gaussian's index. Keys
of a ray differ, hits at equal distances are in the order of the indices, and a pass continues where the last
one ended. Lanes are tensors of [1, RAYS], kept hits of [K, RAYS].
"""

import triton
import triton.language as tl

from sfumato.ops import constants
from sfumato.ops.gpu.kernels.hulls import DEPTHS, HIGHEST, LIMIT, LOCAL, NODE, OPACITY, ROW

ALPHA_MAX = tl.constexpr(constants.ALPHA_MAX)
STOP = tl.constexpr(constants.TRANSMITTANCE_STOP)
INFINITE = tl.constexpr(float("inf"))
# The bits of an infinite float64: the key of a place without a hit is this or a little more.
NOTHING = tl.constexpr(0x7FF0000000000000)
WITHOUT_SIGN = tl.constexpr(0x7FFFFFFFFFFFFFFF)
BEFORE_ALL = tl.constexpr(-0x7FFFFFFFFFFFFFFF)
# Relative margin of distances in float32: more than their roundings.
SLACK = tl.constexpr(5e-7)
# Avoids division by zero for axis-aligned rays.
SMALLEST = tl.constexpr(1e-20)
# Width of a block of pixels that one program follows, px.
BLOCK_WIDTH = tl.constexpr(8)


@triton.jit
def rays_of_program(width, m, TILED: tl.constexpr, RAYS: tl.constexpr):
    """Indices of a program's rays, and which of them exist: consecutive, or a block of an image's pixels."""
    program, lane = tl.program_id(0), tl.arange(0, RAYS)[None, :]
    if TILED:
        across = (width + BLOCK_WIDTH - 1) // BLOCK_WIDTH
        x = (program % across) * BLOCK_WIDTH + lane % BLOCK_WIDTH
        y = (program // across) * (RAYS // BLOCK_WIDTH) + lane // BLOCK_WIDTH
        j = y * width + x
        here = (x < width) & (j < m)
    else:
        j = program * RAYS + lane
        here = j < m
    return tl.where(here, j, 0), here


@triton.jit
def key_of(value, i, bits):
    """The key of a hit of Gaussian ``i`` at a distance; its last ``bits`` bits are the index."""
    pattern = value.to(tl.int64, bitcast=True)
    ordered = pattern ^ ((pattern >> 63) & WITHOUT_SIGN)
    return ((ordered >> bits) << bits) | i.to(tl.int64)


@triton.jit
def index_of(key, bits):
    """The Gaussian of a key."""
    return (key - ((key >> bits) << bits)).to(tl.int32)


@triton.jit
def distance_of(key, bits):
    """The distance of a key, rounded down by the bits of the index; infinite for a place without a hit."""
    ordered = (tl.minimum(key, NOTHING) >> bits) << bits
    pattern = ordered ^ ((ordered >> 63) & WITHOUT_SIGN)
    return pattern.to(tl.float64, bitcast=True)


@triton.jit
def response(row, ox, oy, oz, dx, dy, dz):
    """Distance of the point of maximum on a ray; that point and the direction in the Gaussian's frame.

    The origin is first moved along the ray next to the Gaussian, to avoid cancellation for thin Gaussians.
    """
    px, py, pz = ox - tl.load(row), oy - tl.load(row + 1), oz - tl.load(row + 2)
    passed = px * dx + py * dy + pz * dz
    px, py, pz = px - passed * dx, py - passed * dy, pz - passed * dz
    a, b, c = tl.load(row + LOCAL), tl.load(row + LOCAL + 1), tl.load(row + LOCAL + 2)
    qx, gx = a * px + b * py + c * pz, a * dx + b * dy + c * dz
    a, b, c = tl.load(row + LOCAL + 3), tl.load(row + LOCAL + 4), tl.load(row + LOCAL + 5)
    qy, gy = a * px + b * py + c * pz, a * dx + b * dy + c * dz
    a, b, c = tl.load(row + LOCAL + 6), tl.load(row + LOCAL + 7), tl.load(row + LOCAL + 8)
    qz, gz = a * px + b * py + c * pz, a * dx + b * dy + c * dz
    ahead = -(qx * gx + qy * gy + qz * gz) / (gx * gx + gy * gy + gz * gz)
    return ahead - passed, qx + ahead * gx, qy + ahead * gy, qz + ahead * gz, gx, gy, gz


@triton.jit
def _inverse(d):
    """1 / d in float32, and the column of a box at which a ray enters it relative to the lowest."""
    small = tl.abs(d) < SMALLEST
    inverse = (1.0 / tl.where(small, tl.where(d < 0, -SMALLEST, SMALLEST), d)).to(tl.float32)
    return inverse, tl.where(inverse > 0, 0, HIGHEST)


@triton.jit
def _met(box, x, y, z, per_x, per_y, per_z, in_x, in_y, in_z, near, far, after, until, ORDERED: tl.constexpr):
    """Whether rays enter a node that may have a hit between two keys' values, and its lowest such value."""
    enter = (tl.load(box + in_x) - x) * per_x
    enter = tl.maximum(enter, (tl.load(box + in_y + 1) - y) * per_y)
    enter = tl.maximum(enter, (tl.load(box + in_z + 2) - z) * per_z)
    leave = (tl.load(box + HIGHEST - in_x) - x) * per_x
    leave = tl.minimum(leave, (tl.load(box + HIGHEST - in_y + 1) - y) * per_y)
    leave = tl.minimum(leave, (tl.load(box + HIGHEST - in_z + 2) - z) * per_z)
    # Of a node without a Gaussian both are NaN here.
    enter, leave = enter - tl.abs(enter) * SLACK, leave + tl.abs(leave) * SLACK
    met = (enter <= leave) & (leave >= near) & (enter <= far)
    low, high = enter, leave
    if ORDERED:
        low, high = tl.load(box + DEPTHS), tl.load(box + DEPTHS + 1)
    return met & (low <= until) & (high >= after), low


@triton.jit
def _popped(node, trail):
    """The deepest node still to be visited, and the trail there; 0 if there is none."""
    lowest = trail & -trail
    level = (lowest.to(tl.float32).to(tl.int32, bitcast=True) >> 23) - 127
    level = tl.where(trail > 0, level, 0)
    return tl.where(trail > 0, (node >> level) ^ 1, 0), tl.where(trail > 0, (trail >> level) ^ 1, 0)


@triton.jit
def next_hits(
    tree, order, frames, depths, visible, leaves, bits, ox, oy, oz, dx, dy, dz, near, far, last, live,
    ORDERED: tl.constexpr, K: tl.constexpr, RAYS: tl.constexpr,
):  # fmt: skip
    """Keys [K, RAYS] and alphas of the nearest hits behind key ``last`` of the rays that are ``live``.

    Places without a hit have keys from NOTHING on. Stores 1 in ``visible`` for each Gaussian that was kept.
    """
    x, y, z = ox.to(tl.float32), oy.to(tl.float32), oz.to(tl.float32)
    per_x, in_x = _inverse(dx)
    per_y, in_y = _inverse(dy)
    per_z, in_z = _inverse(dz)
    least, most = near.to(tl.float32), far.to(tl.float32)
    least, most = least - tl.abs(least) * SLACK, most + tl.abs(most) * SLACK
    after = tl.where(last > BEFORE_ALL, distance_of(last, bits), -INFINITE).to(tl.float32)
    after = tl.where(last > BEFORE_ALL, after - tl.abs(after) * SLACK, -INFINITE)
    until = tl.where(live, INFINITE, -INFINITE) + tl.zeros([1, RAYS], tl.float32)
    keys = tl.arange(0, K)[:, None].to(tl.int64) + tl.zeros([K, RAYS], tl.int64) + NOTHING
    alphas = tl.zeros([K, RAYS], tl.float32)
    farthest = tl.max(keys, 0, keep_dims=True)
    node = tl.where(live, 1, 0) + tl.zeros([1, RAYS], tl.int32)
    trail = tl.zeros([1, RAYS], tl.int32)
    while tl.max(node) > 0:
        # Down to a leaf, for each ray that has one left.
        while tl.max(tl.where(node < leaves, node, 0)) > 0:
            inner = (node > 0) & (node < leaves)
            box = tree + tl.where(inner, 2 * node, 0) * NODE
            left, low = _met(
                box, x, y, z, per_x, per_y, per_z, in_x, in_y, in_z, least, most, after, until, ORDERED
            )
            right, other = _met(
                box + NODE, x, y, z, per_x, per_y, per_z, in_x, in_y, in_z, least, most, after, until, ORDERED
            )
            left, right = left & inner, right & inner
            second = right & ((left == 0) | (other < low))
            below = 2 * node + second.to(tl.int32)
            onward, rest = _popped(node, trail)
            into = left | right
            node = tl.where(inner, tl.where(into, below, onward), node)
            deeper = 2 * trail + (left & right).to(tl.int32)
            trail = tl.where(inner, tl.where(into, deeper, rest), trail)
        at_leaf = node > 0
        i = tl.load(order + tl.where(at_leaf, node - leaves, 0))
        at_leaf = at_leaf & (i >= 0)
        i = tl.maximum(i, 0)
        row = frames + i.to(tl.int64) * ROW
        tau, qx, qy, qz, _, _, _ = response(row, ox, oy, oz, dx, dy, dz)
        squared = qx * qx + qy * qy + qz * qz
        value = tau
        if ORDERED:
            value = tl.load(depths + i).to(tl.float64)
        key = key_of(value, i, bits)
        hit = at_leaf & (squared <= tl.load(row + LIMIT)) & (tau >= near) & (tau <= far)
        hit = hit & (key > last) & (key < farthest)
        alpha = tl.exp(-0.5 * squared.to(tl.float32)) * tl.load(row + OPACITY).to(tl.float32)
        tl.store(visible + i, tl.full([1, RAYS], 1, tl.uint8), mask=hit)
        place = hit & (keys == farthest)
        keys = tl.where(place, key, keys)
        alphas = tl.where(place, tl.minimum(alpha, ALPHA_MAX), alphas)
        farthest = tl.max(keys, 0, keep_dims=True)
        until = distance_of(farthest, bits).to(tl.float32)
        until = until + tl.where(until < INFINITE, tl.abs(until), 0.0) * SLACK
        node, trail = _popped(node, trail)
    return keys, alphas, farthest


@triton.jit
def nearest_of(keys, alphas):
    """The least key and its alpha, and the keys without it."""
    best = tl.min(keys, 0, keep_dims=True)
    mine = keys == best
    alpha = tl.sum(tl.where(mine, alphas, 0.0), 0, keep_dims=True)
    return best, alpha, tl.where(mine, WITHOUT_SIGN, keys)
