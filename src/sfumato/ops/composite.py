"""Front-to-back blending of ellipses."""

import numpy as np
import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.ops import reference
from sfumato.ops.backend import as_array, uses_definition
from sfumato.ops.tiles import Tiles, bin_tiles

# Channels blended in one pass: more would not fit the registers.
CHANNELS_AT_ONCE = 4


def _channel_groups(d: int) -> list[slice]:
    return [slice(k, min(k + CHANNELS_AT_ONCE, d)) for k in range(0, d, CHANNELS_AT_ONCE)]


@torch.library.custom_op("sfumato::composite", mutates_args=(), device_types="cpu")
def _composite(
    mean_px: Tensor,
    conic: Tensor,
    opacities: Tensor,
    colours: Tensor,
    background: Tensor,
    absgrad_probe: Tensor,
    tiles: list[Tensor],
    width: int,
    height: int,
) -> tuple[Tensor, Tensor]:
    from sfumato.ops.cpu.composite import composite_forward
    from sfumato.ops.cpu.splats import splat_records

    order, _, _, pair_rank, pair_mask, tile_starts = Tiles(*map(as_array, tiles))
    geometry = [as_array(t) for t in (mean_px, conic, opacities)]
    alpha, parts = np.empty((height, width), np.float32), []
    for group in _channel_groups(colours.shape[1]):
        channels = (0,) * (group.stop - group.start)
        records = splat_records(order, *geometry, as_array(colours[:, group]))
        part = np.empty((height, width, len(channels)), np.float32)
        composite_forward(
            channels, records, as_array(background[group]), pair_rank, pair_mask.view(np.uint64), tile_starts,
            width, height, part, alpha,
        )  # fmt: skip
        parts.append(part)
    image = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)
    return torch.from_numpy(image), torch.from_numpy(alpha)


@_composite.register_fake
def _(mean_px, conic, opacities, colours, background, absgrad_probe, tiles, width, height):
    return mean_px.new_empty(height, width, colours.shape[1]), mean_px.new_empty(height, width)


@torch.library.custom_op("sfumato::composite_backward", mutates_args=(), device_types="cpu")
def _composite_backward(
    grad_image: Tensor,
    grad_alpha: Tensor,
    image: Tensor,
    alpha: Tensor,
    mean_px: Tensor,
    conic: Tensor,
    opacities: Tensor,
    colours: Tensor,
    tiles: list[Tensor],
    absolute: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    from sfumato.ops.cpu import splats
    from sfumato.ops.cpu.composite import composite_backward

    order, slot_starts, slot_pair, pair_rank, pair_mask, tile_starts = Tiles(*map(as_array, tiles))
    geometry = [as_array(t) for t in (mean_px, conic, opacities)]
    n = len(mean_px)
    shapes = ((n, 2), (n, 2) if absolute else (0, 2), (n, 3), (n,))
    totals, grad_colours = [np.zeros(s, np.float32) for s in shapes], []
    d = colours.shape[1]
    # Absolute values of partial gradients do not add up: they take all channels in one pass.
    for k, group in enumerate([slice(0, d)] if absolute else _channel_groups(d)):
        channels = (0,) * (group.stop - group.start)
        # The gradient of alpha belongs to all channels together: the first pass carries it.
        to_image = as_array(grad_image[:, :, group])
        to_alpha = as_array(grad_alpha if k == 0 else torch.zeros_like(grad_alpha))[..., None]
        remaining = (grad_image[:, :, group] * image[:, :, group]).sum(-1, keepdim=True)
        remaining = as_array(remaining) + to_alpha * as_array(alpha)[..., None]
        columns, row = splats.sums_layout(len(channels), absolute)
        sums = np.zeros((pair_rank.size, row), np.float32)
        records = splats.splat_records(order, *geometry, as_array(colours[:, group]))
        composite_backward(
            channels, (0, 0) if absolute else (), records, remaining, to_image, to_alpha,
            pair_rank, pair_mask.view(np.uint64), tile_starts, sums,
        )  # fmt: skip
        found = [np.zeros(s, np.float32) for s in (*shapes, (n, len(channels)))]
        splats.gather_gradients(
            order, slot_starts, slot_pair, sums, columns, geometry[1], geometry[2], *found
        )
        totals = found[:4] if k == 0 else [a + b for a, b in zip(totals, found, strict=False)]
        grad_colours.append(found[4])
    return *map(torch.from_numpy, totals), torch.from_numpy(np.concatenate(grad_colours, axis=1))


@_composite_backward.register_fake
def _(grad_image, grad_alpha, image, alpha, mean_px, conic, opacities, colours, tiles, absolute):
    n = mean_px.shape[0]
    return (
        mean_px.new_empty(n, 2),
        mean_px.new_empty(n if absolute else 0, 2),
        mean_px.new_empty(n, 3),
        mean_px.new_empty(n),
        mean_px.new_empty(n, colours.shape[1]),
    )


def _setup(ctx, inputs, output):
    mean_px, conic, opacities, colours, _, absgrad_probe, tiles, _, _ = inputs
    ctx.save_for_backward(*output, mean_px, conic, opacities, colours, *tiles)
    ctx.absolute = absgrad_probe.numel() > 0


def _backward(ctx, grad_image, grad_alpha):
    image, alpha, mean_px, conic, opacities, colours, *tiles = ctx.saved_tensors
    grad_mean, grad_probe, grad_conic, grad_opacity, grad_colour = _composite_backward(
        grad_image, grad_alpha, image, alpha, mean_px, conic, opacities, colours, tiles, ctx.absolute
    )
    grad_background = ((1 - alpha)[..., None] * grad_image).sum((0, 1)) if ctx.needs_input_grad[4] else None
    no_tiles = [None] * len(tiles)
    return (
        grad_mean,
        grad_conic,
        grad_opacity,
        grad_colour,
        grad_background,
        grad_probe if ctx.absolute else None,
        no_tiles,
        None,
        None,
    )


_composite.register_autograd(_backward, setup_context=_setup)


def composite(
    mean_px: Tensor,
    conic: Tensor,
    opacities: Tensor,
    colours: Tensor,
    depth: Tensor,
    radius_px: Tensor,
    background: Tensor,
    *,
    width: int,
    height: int,
    absgrad_probe: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Blend ellipses front to back over a background.

    alpha = min(0.999, opacity * exp(-sigma)) at the pixel's centre; a pair with alpha < 1/255 is
    skipped; a pixel stops before the Gaussian that would bring its transmittance to 1e-4 or below.

    Args:
        mean_px: [n, 2] centres, pixels.
        conic: [n, 3] inverse covariances (a, b, c), sigma = (a dx^2 + c dy^2) / 2 + b dx dy, 1/px^2.
        opacities: [n] peak opacities.
        colours: [n, d] values to blend, d channels.
        depth: [n] order of blending, nearest first; ties keep the order of the rows.
        radius_px: [n, 2] int32; a Gaussian with 0 on either axis takes no part.
        background: [d] value behind everything.
        width, height: of the image, pixels.
        absgrad_probe: [n, 2] or None; its value is not read, its gradient is the sum over the
            pixels of the absolute gradient of ``mean_px``.

    Returns:
        The image [height, width, d] and alpha [height, width], which is 1 - final transmittance.

    Raises:
        ShapeError: a tensor has another shape, dtype or device.

    Gradients: mean_px, conic, opacities, colours, background. A pair held at 0.999 passes none to
        its sigma and opacity. None through the order, the skipping and the stop.

    Source: Kerbl et al. 2023.
    """
    check_shapes(
        like=mean_px,
        mean_px=(mean_px, "n 2"),
        conic=(conic, "n 3"),
        opacities=(opacities, "n"),
        colours=(colours, "n d"),
        depth=(depth, "n"),
        background=(background, "d"),
    )
    if uses_definition(mean_px):
        return reference.composite(
            mean_px,
            conic,
            opacities,
            colours,
            depth,
            radius_px,
            background,
            width=width,
            height=height,
            absgrad_probe=absgrad_probe,
        )
    tiles = bin_tiles(mean_px, conic, opacities, depth, radius_px, width=width, height=height)
    probe = mean_px.new_empty(0) if absgrad_probe is None else absgrad_probe
    return _composite(mean_px, conic, opacities, colours, background, probe, list(tiles), width, height)
