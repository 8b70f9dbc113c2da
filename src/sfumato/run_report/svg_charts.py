"""Charts of a report as SVG: curves over steps, bars, and cameras seen from above."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from sfumato.evaluation.chart import ticks

WIDTH = 720
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 26, 26
_BAR, _NAMES = 20, 180
# Triangle of a camera, px: its height and half of its base.
_FAR, _HALF = 14.0, 5.0

Point = tuple[float, float]


@dataclass(frozen=True)
class Band:
    """A labelled interval of the horizontal axis."""

    begin: float
    end: float
    label: str


def curve(
    heading: str,
    points: Sequence[Point],
    *,
    height: int = 200,
    bands: Sequence[Band] = (),
    logarithmic: bool = False,
    across: str = "step",
) -> str:
    """A line chart of points (x, y), with ticks at round numbers and shaded bands.

    Args:
        heading: label of y, with its unit.
        points: ascending in x, one or more.
        height: of the panel, px.
        bands: shaded alternately.
        logarithmic: whether y is; all values must be positive.
        across: label of x.
    """
    values = [math.log10(y) if logarithmic else y for _, y in points]
    low, high = min(values), max(values)
    pad = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - pad, high + pad
    end = max(points[-1][0], 1e-9)
    inner_width, inner_height = WIDTH - _LEFT - _RIGHT, height - _TOP - _BOTTOM

    def x_px(x: float) -> float:
        return _LEFT + inner_width * x / end

    def y_px(value: float) -> float:
        return _TOP + inner_height * (high - value) / (high - low)

    parts = [f'<text class="heading" x="{_LEFT}" y="14">{escape(heading)}</text>']
    for index, band in enumerate(bands):
        begin, stop = x_px(min(band.begin, end)), x_px(min(band.end, end))
        shade = "band odd" if index % 2 else "band"
        parts.append(
            f'<rect class="{shade}" x="{begin:.1f}" y="{_TOP}" width="{stop - begin:.1f}" '
            f'height="{inner_height}"/>'
            f'<text class="quiet" x="{begin + 4:.1f}" y="{_TOP + 12}">{escape(band.label)}</text>'
        )
    for level in ticks(low, high, 4):
        words, y = _short(10**level if logarithmic else level), y_px(level)
        parts.append(
            f'<line class="rule" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="quiet end" x="{_LEFT - 6}" y="{y + 4:.1f}">{words}</text>'
        )
    for x in ticks(0, end, 6):
        parts.append(f'<text class="quiet middle" x="{x_px(x):.1f}" y="{height - 8}">{_short(x)}</text>')
    parts.append(f'<text class="quiet end" x="{WIDTH - _RIGHT}" y="14">{escape(across)}</text>')
    places = [f"{x_px(x):.1f},{y_px(value):.1f}" for (x, _), value in zip(points, values, strict=True)]
    parts.append(f'<polyline class="curve" points="{" ".join(places)}"/>')
    if len(places) == 1:
        left, top = places[0].split(",")
        parts.append(f'<circle class="dot" cx="{left}" cy="{top}" r="3"/>')
    return _svg(WIDTH, height, heading, parts)


def bars(heading: str, rows: Sequence[tuple[str, float]], unit: str, *, digits: int = 1) -> str:
    """A bar chart of rows (name, value of at least 0), with ``digits`` decimals."""
    most = max((value for _, value in rows), default=1.0) or 1.0
    room = WIDTH - _NAMES - 80
    parts = []
    for index, (name, value) in enumerate(rows):
        y = _BAR * index
        length = room * max(value, 0.0) / most
        shown = name if len(name) <= 26 else f"…{name[-25:]}"
        parts.append(
            f'<text class="quiet end" x="{_NAMES - 8}" y="{y + 14}">{escape(shown)}</text>'
            f'<rect class="bar" x="{_NAMES}" y="{y + 3}" width="{length:.1f}" height="{_BAR - 6}" rx="2"/>'
            f'<text x="{_NAMES + length + 6:.1f}" y="{y + 14}">{value:.{digits}f} {escape(unit)}</text>'
        )
    return _svg(WIDTH, _BAR * len(rows) + 4, heading, parts)


def plan(
    heading: str,
    picture: str,
    size_px: tuple[int, int],
    cameras: Sequence[tuple[Point, Point, bool]],
) -> str:
    """Cameras over a picture of the scene from above.

    Args:
        heading: alternative text.
        picture: URL of the picture.
        size_px: its (width, height).
        cameras: position and direction in the picture, pixels, and whether each is held out.
    """
    width, height = size_px
    parts = [f'<image href="{escape(picture)}" width="{width}" height="{height}"/>']
    for (x, y), (right, down), is_held_out in cameras:
        length = math.hypot(right, down)
        right, down = (right / length, down / length) if length > 1e-9 else (0.0, 0.0)
        tip = f"{x:.1f},{y:.1f}"
        sides = [
            f"{x + _FAR * right - half * down:.1f},{y + _FAR * down + half * right:.1f}"
            for half in (_HALF, -_HALF)
        ]
        kind = "camera held" if is_held_out else "camera"
        parts.append(f'<polygon class="{kind}" points="{tip} {sides[0]} {sides[1]}"/>')
    return _svg(width, height, heading, parts)


def _svg(width: int, height: int, heading: str, parts: Sequence[str]) -> str:
    label = escape(heading, quote=True)
    return f'<svg role="img" aria-label="{label}" viewBox="0 0 {width} {height}">{"".join(parts)}</svg>'


def _short(value: float) -> str:
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g} M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:.3g} k"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.4g}"
