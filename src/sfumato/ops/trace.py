"""Ray tracing of an image of rays that begin in one point, or near one another."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.ops import reference
from sfumato.ops.backend import as_array, uses_definition
from sfumato.ops.constants import TRACE_FINE, TRACE_RECORD


class Traced(NamedTuple):
    """What rays saw.

    Attributes:
        image: [h, w, d] blended values over the background.
        alpha: [h, w] 1 - final transmittance.
        distance: [h, w] sum of weight times tau, scene units; None where it was not wanted.
        visible: [n] bool, whether a Gaussian may have been hit.
    """

    image: Tensor
    alpha: Tensor
    distance: Tensor | None
    visible: Tensor


def _when(holds) -> tuple:
    """What tells a kernel at compile time whether something holds."""
    return (0,) if holds else ()


@torch.library.custom_op("sfumato::trace", mutates_args=(), device_types="cpu")
def _trace(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colours: Tensor,
    eye: Tensor,
    directions: Tensor,
    offsets: Tensor,
    background: Tensor,
    absgrad_probe: Tensor,
    depths: Tensor,
    near: float,
    far: float,
    distances: bool,
) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    from sfumato.ops.cpu.image_rays import PARTS, image_rays
    from sfumato.ops.cpu.trace import trace_forward
    from sfumato.ops.cpu.trace_records import trace_records
    from sfumato.ops.cpu.trace_tiles import bin_rays

    exact = depths.numel() == 0
    # One order for all is a rasterizer's, for which thousandths of a pixel are fine enough.
    planes, begins, middles, *boxes, view, extent, reach = image_rays(
        as_array(directions), as_array(offsets), PARTS if exact else 1
    )
    records, fine, away = trace_records(
        *map(as_array, (means, quats, scales, opacities, colours, eye)), reach, view
    )
    if not exact:
        away = np.where(np.isfinite(away), as_array(depths), np.inf).astype(np.float32)
    moving = _when(begins.size)
    binned = bin_rays(moving, records, away, *boxes, extent, far)
    order, _, _, pair_rank, pair_mask, tile_starts = binned
    height, width, d = *directions.shape[:2], colours.shape[1]
    image = np.empty((height, width, d), np.float32)
    alpha = np.empty((height, width), np.float32)
    distance = np.empty((height, width) if distances else (0, 0), np.float32)
    counted = np.zeros_like(pair_mask)
    trace_forward(
        (0,) * d, moving, _when(exact), _when(distances), records, fine, as_array(background),
        planes, begins, middles, np.float32(near), np.float32(far), order, pair_rank, pair_mask, tile_starts,
        image, alpha, distance, counted,
    )  # fmt: skip
    binned = (*binned[:4], counted, tile_starts)
    kept = [*binned, records, fine, planes, begins, middles]
    kept = [torch.from_numpy(a.view(np.int64) if a.dtype == np.uint64 else a) for a in kept]
    return *map(torch.from_numpy, (image, alpha, distance)), kept


@_trace.register_fake
def _(means, quats, scales, opacities, colours, eye, directions, offsets, background, probe, depths, *limits):
    from sfumato.ops.cpu.image_rays import BLOCKS, LANES, PARTS, TILE_HEIGHT, TILE_WIDTH

    *_, distances = limits
    sizes = torch.library.get_ctx()
    visible, slots, pairs = (sizes.new_dynamic_size() for _ in range(3))
    height, width = directions.shape[:2]
    tiles = -(-width // TILE_WIDTH) * -(-height // TILE_HEIGHT)
    lengths = (visible, visible + 1, slots, pairs, pairs, tiles + 1)
    dtypes = (torch.int32, torch.int64, torch.int64, torch.int32, torch.int64, torch.int64)
    kept = [means.new_empty(n, dtype=t) for n, t in zip(lengths, dtypes, strict=True)]
    n, d = colours.shape
    planes, moving = (tiles, BLOCKS, 3, LANES), offsets.numel() > 0
    kept += [means.new_empty(n, TRACE_RECORD + d), means.new_empty(n, TRACE_FINE, dtype=torch.float64)]
    kept += [means.new_empty(planes), means.new_empty(planes if moving else (0, 0, 0, 0))]
    parts = 1 if depths.numel() > 0 else PARTS
    kept.append(means.new_empty(*planes[:2], parts, 3, dtype=torch.float64))
    distance = means.new_empty((height, width) if distances else (0, 0))
    return means.new_empty(height, width, d), means.new_empty(height, width), distance, kept


@torch.library.custom_op("sfumato::trace_backward", mutates_args=(), device_types="cpu")
def _trace_backward(
    grad_image: Tensor,
    grad_alpha: Tensor,
    grad_distance: Tensor,
    image: Tensor,
    alpha: Tensor,
    distance: Tensor,
    background: Tensor,
    scene: list[Tensor],
    kept: list[Tensor],
    near: float,
    far: float,
    exact: bool,
    turning: bool,
    absolute: bool,
) -> list[Tensor]:
    from sfumato.ops.cpu.trace_backward import trace_backward
    from sfumato.ops.cpu.trace_gradients import sums_layout, trace_gradients

    _, quats, scales, opacities, colours = scene
    order, starts, slot_pair, pair_rank, pair_mask, tile_starts, *seen = map(as_array, kept)
    records, fine, planes, begins, middles = seen
    d, (height, width) = colours.shape[1], alpha.shape
    columns, row = sums_layout(d, absolute)
    moving, deep = _when(begins.size), _when(grad_distance.any())
    sums = np.zeros((pair_rank.size, row), np.float32)
    grad_rays = np.zeros((height, width, 6) if turning else (0, 0, 6), np.float32)
    trace_backward(
        (0,) * d, moving, _when(exact), deep, _when(turning), _when(absolute),
        records, fine, planes, begins, middles, np.float32(near), np.float32(far),
        order, pair_rank, pair_mask.view(np.uint64), tile_starts,
        as_array(image), *map(as_array, (alpha[..., None], distance[..., None], background, grad_image)),
        *map(as_array, (grad_alpha[..., None], grad_distance[..., None])),
        sums, grad_rays,
    )  # fmt: skip
    shape = map(as_array, (quats, scales, opacities))
    found = trace_gradients(order, starts, slot_pair, sums, columns, records, fine, *shape, d)
    return [*map(torch.from_numpy, found), torch.from_numpy(grad_rays)]


@_trace_backward.register_fake
def _(
    grad_image,
    grad_alpha,
    grad_distance,
    image,
    alpha,
    distance,
    background,
    scene,
    kept,
    near,
    far,
    exact,
    turning,
    absolute,
):
    rays = (*grad_alpha.shape, 6) if turning else (0, 0, 6)
    found = (torch.empty_like(t) for t in scene)
    return [*found, grad_alpha.new_empty(len(scene[0])), grad_alpha.new_empty(rays)]


def _before_normalisation(grad: Tensor, directions: Tensor) -> Tensor:
    """Gradient to directions of any length, from that to their unit vectors."""
    length = directions.norm(dim=-1, keepdim=True)
    inverse = torch.where(length > 0, 1 / length, 0.0)
    unit = directions * inverse
    return (grad - (grad * unit).sum(-1, keepdim=True) * unit) * inverse


def _setup(ctx, inputs, output):
    *tensors, background, absgrad_probe, depths, ctx.near, ctx.far, _ = inputs
    image, alpha, distance, kept = output
    ctx.absolute, ctx.exact = absgrad_probe.numel() > 0, depths.numel() == 0
    ctx.mark_non_differentiable(*kept)
    ctx.save_for_backward(image, alpha, distance, background, *tensors, *kept)


def _backward(ctx, grad_image, grad_alpha, grad_distance, _):
    image, alpha, distance, background, *rest = ctx.saved_tensors
    inputs, kept = rest[:8], rest[8:]
    turning = any(ctx.needs_input_grad[6:8])
    *scene, steepness, grad_rays = _trace_backward(
        grad_image, grad_alpha, grad_distance, image, alpha, distance, background, inputs[:5], kept,
        ctx.near, ctx.far, ctx.exact, turning, ctx.absolute,
    )  # fmt: skip
    to_background = ((1 - alpha)[..., None] * grad_image).sum((0, 1)) if ctx.needs_input_grad[8] else None
    grad_eye = -scene[0].sum(0) if ctx.needs_input_grad[5] else None
    to_directions = _before_normalisation(grad_rays[..., :3], inputs[6]) if ctx.needs_input_grad[6] else None
    to_offsets = grad_rays[..., 3:] if ctx.needs_input_grad[7] and inputs[7].numel() else None
    grad_probe = steepness if ctx.absolute else None
    return *scene, grad_eye, to_directions, to_offsets, to_background, grad_probe, None, None, None, None


_trace.register_autograd(_backward, setup_context=_setup)


def trace(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colours: Tensor,
    eye: Tensor,
    directions: Tensor,
    background: Tensor,
    *,
    near: float,
    far: float,
    offsets: Tensor | None = None,
    absgrad_probe: Tensor | None = None,
    depths: Tensor | None = None,
    distances: bool = True,
) -> Traced:
    """Blend Gaussians front to back along an image of rays, each ray in its own order.

    alpha = min(0.999, opacity * exp(-sigma)) where the Gaussian is strongest on the ray, at the distance
    tau that gives the order. A hit with alpha < 1/255, or tau outside [near, far], is skipped. A ray stops
    before the Gaussian that would bring its transmittance to 1e-4 or below.

    Args:
        means: [n, 3] centres, world frame, scene units.
        quats: [n, 4] world_from_local as (w, x, y, z), any non-zero length.
        scales: [n, 3] standard deviations along the local axes, scene units.
        opacities: [n] peak opacities.
        colours: [n, d] values to blend.
        eye: [3] where all rays begin, world frame.
        directions: [h, w, 3] of any length; zero where there is no ray, which leaves the background.
            Rays that lie side by side in the image should point to the same side: speed depends on it.
        background: [d] value behind everything.
        near, far: distances along the ray that are kept, scene units.
        offsets: [h, w, 3] where each ray begins, seen from ``eye``, or None: small against the distance of
            the scene, as of a rolling shutter or a lens.
        absgrad_probe: [n] or None; its value is not read, its gradient is the sum over the rays of the
            length of the gradient of ``means``; float32 only.
        depths: [n] to blend in this order on every ray, nearest first, as a rasterizer does; None: each
            ray in the order of its own hits.
        distances: whether the distance is wanted, which costs a little.

    Returns:
        Traced. A Gaussian that is not finite, or has no size or rotation, is not seen.

    Raises:
        ShapeError: a tensor has another shape, dtype or device.

    Gradients: all tensors. A hit held at 0.999 passes none to its sigma and opacity. None through the
        order, the skipping and the stop.

    Source: Moenne-Loccoz et al. 2024; gradients as in Deybach 2025.
    """
    check_shapes(
        like=means,
        means=(means, "n 3"),
        quats=(quats, "n 4"),
        scales=(scales, "n 3"),
        opacities=(opacities, "n"),
        colours=(colours, "n d"),
        eye=(eye, "3"),
        directions=(directions, "h w 3"),
        background=(background, "d"),
        **({} if offsets is None else {"offsets": (offsets, "h w 3")}),
        **({} if depths is None else {"depths": (depths, "n")}),
    )
    height, width = directions.shape[:2]
    if uses_definition(means):
        origins = eye.expand(height * width, 3) if offsets is None else eye + offsets.reshape(-1, 3)
        directions = directions.reshape(-1, 3)
        flat = reference.trace(
            means, quats, scales, opacities, colours, origins, directions, background,
            near=near, far=far, depths=depths,
        )  # fmt: skip
        image, alpha, distance = (t.reshape(height, width, *t.shape[1:]) for t in flat)
        visible = reference.sound(means, quats, scales, opacities)
        return Traced(image, alpha, distance if distances else None, visible)
    offsets = means.new_empty(0) if offsets is None else offsets
    depths = means.new_empty(0) if depths is None else depths.detach()
    probe = means.new_empty(0) if absgrad_probe is None else absgrad_probe
    image, alpha, distance, kept = _trace(
        means, quats, scales, opacities, colours, eye, directions, offsets, background, probe, depths,
        near, far, distances,
    )  # fmt: skip
    order, pair_rank = kept[0], kept[3]
    visible = torch.zeros(len(means), dtype=torch.bool)
    visible.index_fill_(0, order.index_select(0, pair_rank).long(), True)
    return Traced(image, alpha, distance if distances else None, visible)
