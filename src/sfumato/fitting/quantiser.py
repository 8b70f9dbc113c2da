"""Quantisation of Gaussians to the integer codes of a file."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.fitting.ellipses_2d import CENTRE, COLUMNS, OPACITY, SIZE

# Bits of t, u, v, the opacity, luma, orange and green: additional Gaussians improve quality more than
# additional bits.
BITS = (6, 6, 6, 5, 7, 6, 6)
# Quantisation step of centres in pixels, unless the image is too large for 16 bits.
CENTRE_STEP_PX = 0.25
MOST_CENTRE_BITS = 16
# Share of the Gaussians that is clamped to the range of a column, on either side.
_OUTSIDE = 0.002
# Least half-range, so that constant columns do not divide by zero.
_LEAST_RANGE = 0.0625
# Largest absolute values: of t and the opacity, and of all other columns. Files are checked against them.
LIMITS = {SIZE: 12.0, OPACITY: 12.0}
LIMIT = 8.0


@dataclass(frozen=True)
class Quantiser:
    """Steps and ranges of the nine columns.

    Attributes:
        size_px: (width, height) of the image.
        centre_bits: the longer side of the image is divided into 2**centre_bits steps; both axes use the
            same step.
        bits: of the columns after the centre, 1 to 8 each.
        low, high: [7] values of the first and last code of these columns; float16 holds them exactly.
    """

    size_px: tuple[int, int]
    centre_bits: int
    bits: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def of(cls, rows: Tensor, size_px: tuple[int, int]) -> Quantiser:
        """The quantiser fitted to given Gaussians [n, 9]."""
        steps = max(size_px) / CENTRE_STEP_PX
        centre_bits = min(max(int(steps - 1).bit_length(), 1), MOST_CENTRE_BITS)
        values = rows.detach()[:, CENTRE.stop :].double()
        limits = values.new_tensor([LIMITS.get(k, LIMIT) for k in range(CENTRE.stop, COLUMNS)])
        ends = torch.quantile(values, values.new_tensor([_OUTSIDE, 1 - _OUTSIDE]), dim=0)
        middle, half = ends.mean(0), ((ends[1] - ends[0]) / 2).clamp(min=_LEAST_RANGE)
        ends = torch.stack([middle - half, middle + half]).clamp(
            -limits + _LEAST_RANGE, limits - _LEAST_RANGE
        )
        low, high = ends.half().double().tolist()
        return cls(size_px, centre_bits, BITS, tuple(low), tuple(high))

    @property
    def step_px(self) -> float:
        """Quantisation step of the centres, px."""
        return max(self.size_px) / (1 << self.centre_bits)

    def codes(self, rows: Tensor) -> Tensor:
        """The nearest codes of Gaussians, [n, 9] int64."""
        values, (offset, step, last) = rows.detach().double(), self._scale(rows)
        return ((values - offset) / step).round().clamp(min=0).minimum(last).long()

    def values(self, codes: Tensor) -> Tensor:
        """The Gaussians of codes [n, 9], float32."""
        offset, step, _ = self._scale(codes)
        return (codes.double() * step + offset).float()

    def _scale(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Value of code 0, value of a step and last code of each column, float64 [9]."""
        last_px = [int(side / self.step_px - 0.5) for side in self.size_px]
        last = torch.tensor([*last_px, *((1 << bits) - 1 for bits in self.bits)], dtype=torch.float64)
        low, high = (torch.tensor(ends, dtype=torch.float64) for ends in (self.low, self.high))
        step = torch.cat([torch.full((2,), self.step_px, dtype=torch.float64), (high - low) / last[2:]])
        offset = torch.cat([torch.full((2,), self.step_px / 2, dtype=torch.float64), low])
        return offset.to(like.device), step.to(like.device), last.to(like.device)
