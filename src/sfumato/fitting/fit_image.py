"""Fitting 2D Gaussians to an image."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sfumato import ops
from sfumato.capture.images import decode, read_header
from sfumato.checks import check_finite, check_shapes, check_type, number, whole_number
from sfumato.display import Display
from sfumato.errors import ConfigError
from sfumato.fitting.ellipses_2d import SIZE, draw, weights
from sfumato.fitting.fitted_image import FittedImage
from sfumato.fitting.g2d_file import MAX_COUNT, MAX_PIXELS, CodedImage, in_morton_order
from sfumato.fitting.placing import detail, misfit, placed
from sfumato.fitting.quantiser import Quantiser
from sfumato.maths.one_thread import one_torch_thread
from sfumato.ops.backend import device_named

# By default, one Gaussian per this many pixels.
PIXELS_EACH = 100
# Approximate bytes per Gaussian in a file, and bytes of the rest of the file.
BYTES_EACH, BYTES_AROUND = 6.5, 150
# Learning rates: of the centres as a share of the mean distance between Gaussians, of t, u and v, the opacity
# and the colour. They decay to the share _LAST on a half-cosine schedule.
_CENTRE_RATE = 0.02
_RATES = (0.05, 0.05, 0.05, 0.08, 0.015, 0.015, 0.015)
_LAST = 0.02
# Share of the Gaussians present at the start, and progress at which the others are added.
_START = 0.5
_JOINING = (0.08, 0.16, 0.24, 0.32, 0.4)
# Progress from which quantised values are rendered (quantisation-aware training).
_ROUNDED_FROM = 0.75
# Factor of Gaussians beyond the byte limit; the least important are pruned when rounding begins.
_SPARE = 1.1
# Least size of a Gaussian, so that it cannot fall between pixels.
_LEAST_SIGMA_PX = 0.25


# Smallest allowed byte limit; the header alone takes a good part of it.
LEAST_BYTES = 512


@dataclass(frozen=True)
class FitConfig:
    """How an image is fitted.

    Attributes:
        count: number of Gaussians; by default as many as fit into --bytes, else one per 100 pixels.
        steps: of the optimisation.
        minutes: time budget, instead of steps; the result then depends on the machine.
        bytes: maximum size of the file, which determines the count.
        seed: of the random positions of new Gaussians.
        device: as in torch; auto: the CPU for now.

    Raises:
        ConfigError: a value is out of its range.
    """

    count: int | None = None
    steps: int = 1000
    minutes: float | None = None
    bytes: int | None = None
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.count is not None and whole_number("count", self.count, least=1) > MAX_COUNT:
            raise ConfigError(f"count is {self.count:,}; give at most {MAX_COUNT:,}")
        if self.count is not None and self.bytes is not None:
            raise ConfigError("count and bytes exclude each other; give one of them")
        whole_number("steps", self.steps, least=1)
        whole_number("seed", self.seed)
        if self.minutes is not None and not 0 < number("minutes", self.minutes) < math.inf:
            raise ConfigError(f"minutes is {self.minutes}; give more than 0")
        if self.bytes is not None:
            whole_number("bytes", self.bytes, least=LEAST_BYTES)


def fit(
    image: str | Path | Tensor | np.ndarray,
    *,
    count: int | None = FitConfig.count,
    steps: int = FitConfig.steps,
    minutes: float | None = FitConfig.minutes,
    bytes: int | None = FitConfig.bytes,
    seed: int = FitConfig.seed,
    device: str = FitConfig.device,
    display: Display | None = None,
) -> FittedImage:
    """Fit 2D Gaussians to an image, by Adam on the squared differences of its pixels.

    Gaussians are initialised where the image has detail, and others are added where the error is largest. In
    the last quarter the quantised values of the file are rendered, so that rounding costs little. The same
    seed gives the same bits on one machine, unless ``minutes`` is given.

    Args:
        image: a picture file, or [h, w, 3] RGB: floats in [0, 1] or uint8.
        count: how many Gaussians; None: as many as ``bytes`` hold, else one for 100 pixels.
        steps: of the optimisation.
        minutes: the time that it may take, instead of steps.
        bytes: the size that the file may have.
        seed: of the random places at which Gaussians begin.
        device: as in ``torch.device``; "auto" is the CPU for now.
        display: shows the progress; None: nothing is shown.

    Returns:
        FittedImage, quantised as in its file.

    Raises:
        CaptureError: the file is not an image, or damaged.
        ShapeError: the image has another shape.
        ConfigError: an argument is out of its range, or the image holds NaN.

    Source: Kerbl et al. 2023; Zhang et al. 2024, GaussianImage; Zhang et al. 2025, Image-GS.
    """
    config = FitConfig(count, steps, minutes, bytes, seed, device)
    target = read_target(image).to(device_named(config.device))
    with one_torch_thread():
        return _Fitting(target, config).run(display or Display())


def read_target(image: str | Path | Tensor | np.ndarray) -> Tensor:
    """The image to fit, [h, w, 3] float32 in [0, 1]; see ``fit``."""
    check_type("image", image, str, Path, Tensor, np.ndarray)
    if isinstance(image, str | Path):
        width, height = read_header(Path(image)).size_px
        _check_size(width, height)
        pixels = decode(Path(image), turn=True)
        if pixels.shape[2] == 4:
            raise ConfigError(f"{image} is transparent in places; give an image without an alpha channel")
        image = pixels
    # A copy, as decoded images may be read-only.
    target = torch.from_numpy(np.array(image)) if isinstance(image, np.ndarray) else image.detach()
    check_shapes(image=(target, "h w 3"))
    _check_size(target.shape[1], target.shape[0])
    target = target.float() / 255 if target.dtype == torch.uint8 else target.float()
    check_finite("image", target)
    if target.min() < 0 or target.max() > 1:
        raise ConfigError("image has values outside [0, 1]; give floats in [0, 1], or uint8")
    return target.contiguous()


def _check_size(width: int, height: int) -> None:
    if not 0 < width * height <= MAX_PIXELS:
        raise ConfigError(f"the image has {width} x {height} px; give one of 1 to {MAX_PIXELS:,} pixels")


class _Fitting:
    """The state of an optimisation.

    Args:
        target: [h, w, 3].
        config: options.
    """

    def __init__(self, target: Tensor, config: FitConfig) -> None:
        self._config, self._target = config, target
        height, width, _ = target.shape
        self._size_px = width, height
        self._generator = torch.Generator().manual_seed(config.seed)
        self._colour: list[int] = (target.mean((0, 1)) * 255).round().int().tolist()
        self._background = target.new_tensor(self._colour) / 255
        self._count = self._wanted()
        self._spacing_px = math.sqrt(width * height / self._count)
        self._rates = target.new_tensor([_CENTRE_RATE * self._spacing_px] * 2 + list(_RATES))
        first = max(round(_START * self._count), 1)
        self._rows = target.new_empty(0, 9)
        self._moments = [self._rows.clone(), self._rows.clone()]
        self._add(first, detail(target), later=False)
        self._quantiser: Quantiser | None = None

    def run(self, display: Display) -> FittedImage:
        """Run all steps."""
        began, step, progress = time.monotonic(), 0, 0.0
        joining = list(_JOINING)
        with display.counting("fitting", "steps") as report:
            while progress < 1:
                if joining and progress >= joining[0] and self._quantiser is None:
                    joining.pop(0)
                    self._densify(len(joining))
                if self._quantiser is None and progress >= _ROUNDED_FROM:
                    self._begin_rounding()
                step += 1
                self._step(step, progress)
                progress = self._progress(step, time.monotonic() - began)
                report(step, max(round(step / progress), step))
        quantiser = self._quantiser or self._begin_rounding()
        self._fit_into_bytes(quantiser)
        return self._fitted(quantiser)

    def _progress(self, step: int, spent_s: float) -> float:
        if self._config.minutes is None:
            return step / self._config.steps
        return spent_s / (60 * self._config.minutes)

    def _wanted(self) -> int:
        width, height = self._size_px
        if self._config.bytes is not None:
            return max(round(_SPARE * (self._config.bytes - BYTES_AROUND) / BYTES_EACH), 1)
        return self._config.count or max(width * height // PIXELS_EACH, 1)

    def _step(self, step: int, progress: float) -> None:
        rows, quantiser = self._rows, self._quantiser
        # Straight-through estimator: the gradient at the rounded values is applied to the unrounded ones.
        leaf = (
            rows.clone() if quantiser is None else quantiser.values(quantiser.codes(rows))
        ).requires_grad_()
        loss = (draw(leaf, self._background, self._size_px) - self._target).square().mean()
        (gradient,) = torch.autograd.grad(loss, leaf)
        fall = _LAST + (1 - _LAST) * (1 + math.cos(math.pi * progress)) / 2
        all_rows = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
        mean, square = self._moments
        ops.adam_step(rows, gradient, mean, square, all_rows, rate=self._rates * fall, step=step)
        self._keep_in_bounds()

    def _keep_in_bounds(self) -> None:
        """Clamp centres to the image, and sizes to the least size."""
        self._rows[:, SIZE].clamp_(min=math.log(_LEAST_SIGMA_PX))
        for axis, side in enumerate(self._size_px):
            self._rows[:, axis].clamp_(0, side)

    def _densify(self, times_left: int) -> None:
        """Add a share of the remaining Gaussians where the error is largest."""
        with torch.no_grad():
            weight = misfit(draw(self._rows, self._background, self._size_px), self._target)
        self._add((self._count - len(self._rows)) // (times_left + 1), weight, later=True)

    def _add(self, count: int, weight: Tensor, *, later: bool) -> None:
        new = placed(count, self._target, weight, self._generator, spacing_px=self._spacing_px, later=later)
        self._rows = torch.cat([self._rows, new])
        self._moments = [torch.cat([m, torch.zeros_like(new)]) for m in self._moments]

    def _begin_rounding(self) -> Quantiser:
        quantiser = self._quantiser = Quantiser.of(self._rows, self._size_px)
        self._fit_into_bytes(quantiser)
        return quantiser

    def _fit_into_bytes(self, quantiser: Quantiser) -> None:
        """Prune the Gaussians with the smallest contribution until the file is small enough."""
        most = self._config.bytes
        while most is not None and len(self._rows) > 1:
            size = len(self._fitted(quantiser).encoded())
            if size <= most:
                return
            share = (most - BYTES_AROUND) / (size - BYTES_AROUND)
            keep = min(max(int(share * len(self._rows)), 1), len(self._rows) - 1)
            order = weights(self._rows, self._background, self._size_px).argsort(stable=True, descending=True)
            kept = order[:keep].sort().values
            self._rows = self._rows[kept]
            self._moments = [m[kept] for m in self._moments]

    def _fitted(self, quantiser: Quantiser) -> FittedImage:
        codes = quantiser.codes(self._rows).cpu().numpy()
        red, green, blue = self._colour
        return FittedImage(CodedImage(quantiser, (red, green, blue), codes[in_morton_order(codes)]))
