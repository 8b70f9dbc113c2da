"""Surface splatting: splats of one surface are averaged by normalised weights, and surfaces composited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sfumato.checks import check_type
from sfumato.errors import ConfigError
from sfumato.maths.device_copies import numbers_like
from sfumato.ops.constants import ALPHA_MAX, ALPHA_MIN
from sfumato.ops.project import IDEAL_LENSES
from sfumato.render.output import RasterizedGaussians, Render, expected_depth
from sfumato.render.projection import ellipses_of
from sfumato.render.settings import SurfaceSettings
from sfumato.render.view_colours import colours_from
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians

# Pairs of a splat and a pixel in a band of the image; bands are drawn in turn to bound memory.
_BAND_SAMPLES = 1 << 21
# Largest number of surfaces composited at a pixel; everything behind the last but one counts as one.
_MOST_SURFACES = 6
# Least transmittance at which surfaces further back are composited.
_LEAST_TRANSMITTANCE = 1 / 255


class _Splats(NamedTuple):
    """Visible splats, the nearest first.

    Attributes:
        mean_px, conic, radius_px: [m, 2], [m, 3], [m, 2] as of ``ops.project``.
        peak: [m] alpha at the centre.
        channels: [m, 4] colour and depth.
        ends: [m] depth at which a surface ends whose frontmost splat this is.
    """

    mean_px: Tensor
    conic: Tensor
    radius_px: Tensor
    peak: Tensor
    channels: Tensor
    ends: Tensor


@torch.no_grad()
def render_surface(
    gaussians: Gaussians, camera: Camera, settings: SurfaceSettings = SurfaceSettings()
) -> Render:
    """Render flat Gaussians as surface splatting does, for scenes of measured clouds.

    Splats have the same alpha at each pixel as in ``rasterize``: with ``antialiased``, that is the EWA
    resampling filter, the splat in the image convolved with a low-pass of ``blur_px2``. But splats of one
    surface, within a depth tolerance behind the frontmost, are not composited over one another: their colours
    are averaged with their alphas as weights, so that their order does not matter. Surfaces behind one
    another are composited front to back.

    Args:
        gaussians: the scene.
        camera: any with an ideal lens (pinhole, orthographic or fisheye) and a global shutter.
        settings: of surface splatting.

    Returns:
        Render, without gradients.

    Raises:
        ConfigError: another lens, a rolling shutter, or an argument of another type.

    Source: Zwicker et al. 2001, Surface splatting, sections 3 to 5.
    """
    check_type("gaussians", gaussians, Gaussians)
    check_type("camera", camera, Camera)
    check_type("settings", settings, SurfaceSettings)
    if camera.shutter is not None or camera.lens.model not in IDEAL_LENSES:
        raise ConfigError("surface splatting takes ideal lenses and global shutters alone; use rasterize")
    splats, seen = _projected(gaussians, camera, settings)
    width, height = camera.size_px
    image = splats.channels.new_zeros(height, width, 4)
    transmittance = splats.channels.new_ones(height, width)
    for rows, band in _bands(splats, width, height):
        part = _Splats(*(values[rows] for values in splats))
        _draw_band(part, band, image[band].view(-1, 4), transmittance[band].view(-1), width)
    shown = image[..., :3] + transmittance[..., None] * numbers_like(settings.background, image)
    alpha = 1 - transmittance
    depth = expected_depth(image[..., 3], alpha) if settings.depth else None
    return Render(shown, alpha, depth, seen)


def _projected(
    gaussians: Gaussians, camera: Camera, settings: SurfaceSettings
) -> tuple[_Splats, RasterizedGaussians]:
    """Visible splats, and the per-Gaussian results for ``Render``."""
    found, peak, viewpoint = ellipses_of(gaussians, camera, settings)
    visible = found.radius_px[:, 0] > 0
    rows = visible.nonzero()[:, 0]
    rows = rows[found.depth[rows].argsort(stable=True)]
    channels = torch.cat([colours_from(gaussians, viewpoint, settings, visible), found.depth[:, None]], dim=1)
    ends = found.depth + settings.tolerance * gaussians.scales.amax(dim=1)
    every = (found.mean_px, found.conic, found.radius_px, peak, channels, ends)
    seen = RasterizedGaussians(visible, found.radius_px, found.mean_px, None, camera.size_px)
    return _Splats(*(values[rows] for values in every)), seen


def _bands(splats: _Splats, width: int, height: int) -> Iterator[tuple[Tensor, slice]]:
    """Bands of pixel rows with a bounded number of samples, each with the splats that reach it."""
    first = (splats.mean_px[:, 1] - splats.radius_px[:, 1]).clamp(0, height).long()
    last = (splats.mean_px[:, 1] + splats.radius_px[:, 1]).clamp(-1, height - 1).floor().long() + 1
    across = (2 * splats.radius_px[:, 0] + 1).clamp_max(width).long()
    changes = across.new_zeros(height + 1)
    changes.index_add_(0, first, across).index_add_(0, last.clamp_min(0), -across)
    reached = changes.cumsum(0)[:height]
    number = torch.div(reached.cumsum(0), _BAND_SAMPLES, rounding_mode="floor")
    start = 0
    for rows in torch.unique_consecutive(number, return_counts=True)[1].tolist():
        on = (first < start + rows) & (last > start)
        yield on.nonzero()[:, 0], slice(start, start + rows)
        start += rows


def _draw_band(splats: _Splats, band: slice, image: Tensor, transmittance: Tensor, width: int) -> None:
    """Add splats to a band in place: ``image`` [pixels, 4] and ``transmittance`` [pixels]."""
    row, pixel, alpha = _samples(splats, band, width)
    for surface in range(_MOST_SURFACES):
        if not len(row):
            return
        # The samples of a pixel are consecutive, the nearest first.
        pixels, counts = torch.unique_consecutive(pixel, return_counts=True)
        nearest = row[counts.cumsum(0) - counts]
        is_last = surface == _MOST_SURFACES - 1
        on = (splats.channels[row, 3] <= splats.ends[nearest].repeat_interleave(counts)) | is_last
        weights = torch.where(on, alpha, 0.0)[:, None]
        sums = torch.segment_reduce(
            torch.cat([weights * splats.channels[row], weights, torch.log1p(-weights)], dim=1),
            "sum",
            lengths=counts,
        )
        passed = sums[:, 5].exp()
        image[pixels] += (transmittance[pixels] * (1 - passed))[:, None] * sums[:, :4] / sums[:, 4:5]
        transmittance[pixels] *= passed
        left = ~on & (transmittance[pixel] > _LEAST_TRANSMITTANCE)
        row, pixel, alpha = row[left], pixel[left], alpha[left]


def _samples(splats: _Splats, band: slice, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs of a splat and a pixel of a band: rows, pixels and alphas [f], sorted by pixel, then by depth."""
    low = splats.mean_px.new_tensor([0, band.start])
    high = splats.mean_px.new_tensor([width - 1, band.stop - 1])
    first = (splats.mean_px - splats.radius_px).floor().clamp_min(low).long()
    last = torch.minimum((splats.mean_px + splats.radius_px).floor(), high).long()
    size = (last - first + 1).clamp_min(0)
    counts = size.prod(dim=1)
    row = torch.arange(len(counts)).repeat_interleave(counts)
    within = torch.arange(len(row)) - (counts.cumsum(0) - counts)[row]
    across = size[row, 0]
    x = first[row, 0] + within % across
    y = first[row, 1] + torch.div(within, across, rounding_mode="floor")
    dx, dy = x + 0.5 - splats.mean_px[row, 0], y + 0.5 - splats.mean_px[row, 1]
    a, b, c = splats.conic[row].unbind(1)
    power = (a * dx * dx + c * dy * dy) / 2 + b * dx * dy
    alpha = (splats.peak[row] * (-power).exp()).clamp_max(ALPHA_MAX)
    keep = alpha >= ALPHA_MIN
    pixel = ((y - band.start) * width + x)[keep]
    order = pixel.argsort(stable=True)
    return row[keep][order], pixel[order], alpha[keep][order]
