"""Training curves of a run, drawn from its `events.jsonl`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from sfumato.errors import SfumatoError
from sfumato.evaluation.drawing import (
    BLUE,
    GOLD,
    GREEN,
    INK,
    MUTED,
    PANEL,
    PAPER,
    RULE,
    Colour,
    Page,
    text_width,
)
from sfumato.evaluation.saved_images import save_image

WIDTH = 1200
MARGIN = 40
LEFT = 84
INSET = 14
HEADER = 126
GAP = 62
FOOTER = 56
# Panels are drawn larger by this factor and downscaled: Pillow draws lines without anti-aliasing.
OVERSAMPLING = 3

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """One panel: heading, points (seconds, value), style, and a label for the last value.

    ``beside`` is a separate point, drawn as a ring, with its label.
    """

    heading: str
    points: list[Point]
    colour: Colour
    height: int
    logarithmic: bool = False
    dots: bool = False
    smooth: bool = False
    last: str = ""
    beside: tuple[Point, str] | None = None


def read_events(path: Path) -> list[dict[str, float]]:
    """The reports of a run, oldest first.

    Broken lines, such as the last one of a killed run, and values that are not finite numbers are skipped.

    Args:
        path: an ``events.jsonl``.

    Returns:
        One table of numbers for each line with ``seconds``.

    Raises:
        SfumatoError: the file cannot be read.
    """
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise SfumatoError(f"{path} cannot be read: {error.strerror or error}") from error
    events = []
    for line in lines:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            event = {key: float(value) for key, value in found.items() if _is_number(value)}
            if "seconds" in event:
                events.append(event)
    return events


def training_chart(events: Sequence[dict[str, float]], path: Path, *, title: str = "Training") -> None:
    """Draw PSNR of held-out views, loss and number of Gaussians over the training time.

    The PSNR curve is that of the few views sampled during training; if there are more, the final PSNR of all
    of them is a ring beside it.

    Args:
        events: from :func:`read_events`; of ``psnr`` (over ``psnr_views`` views), ``psnr_all``, ``loss``
            and ``gaussians`` those that are present are drawn.
        path: the PNG to write.
        title: the heading.

    Raises:
        SfumatoError: there is nothing to draw or the picture cannot be written.
    """
    curves = [
        _quality(events),
        Curve("loss", _points(events, "loss", positive=True), BLUE, 220, logarithmic=True, smooth=True),
        Curve("Gaussians", _points(events, "gaussians"), GREEN, 130),
    ]
    curves = [curve for curve in curves if curve.points]
    if not curves:
        raise SfumatoError("there are no events to draw a chart of; train for some steps first")
    height = HEADER + sum(curve.height + GAP for curve in curves) - GAP + FOOTER
    end = max(1e-3, *(curve.points[-1][0] for curve in curves))
    page = Page(WIDTH, height)
    page.text(LEFT, MARGIN + 18, title, 30)
    top = HEADER
    for curve in curves:
        _draw_curve(page, curve, top, end)
        top += curve.height + GAP
    _draw_times(page, height - 24, end)
    save_image(path, page.image)


def _quality(events: Sequence[dict[str, float]]) -> Curve:
    """The panel of PSNR."""
    points = _points(events, "psnr")
    ends = [event for event in events if "psnr_all" in event]
    counts = [round(event["psnr_views"]) for event in events if "psnr_views" in event]
    sampled = max(counts, default=0)
    every = round(ends[-1].get("psnr_all_views", 0)) if ends else 0
    beside = None
    if ends and every != sampled:
        beside = (ends[-1]["seconds"], ends[-1]["psnr_all"]), f"{ends[-1]['psnr_all']:.2f} dB of all {every}"
    of = f"{sampled} held-out view{'s' if sampled > 1 else ''}" if sampled else "held-out views"
    last = f"{points[-1][1]:.2f} dB" + (f" of {sampled}" if beside else "") if points else ""
    return Curve(f"PSNR of {of}, dB", points, GOLD, 300, dots=True, last=last, beside=beside)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two bounds, 1, 2 or 5 times a power of ten apart, about ``most`` of them."""
    span = max(high - low, 1e-12)
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * k for k in (1, 2, 5, 10, 20) if span / (power * k) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _points(events: Iterable[dict[str, float]], key: str, *, positive: bool = False) -> list[Point]:
    found = [(event["seconds"], event[key]) for event in events if key in event]
    return sorted(point for point in found if point[1] > 0 or not positive)


def _across(seconds: float, end: float) -> float:
    return LEFT + INSET + (WIDTH - MARGIN - LEFT - 2 * INSET) * seconds / end


def _draw_times(page: Page, baseline: int, end: float) -> None:
    unit, unit_s = ("minutes", 60.0) if end > 600 else ("seconds", 1.0)
    right = WIDTH - MARGIN
    page.text(right, baseline, unit, 14, colour=MUTED, anchor="rs")
    for value in ticks(0, end / unit_s, 8):
        x = _across(value * unit_s, end)
        if x < right - text_width(unit, 14) - 24:
            page.text(x, baseline, _number(value), 14, colour=MUTED, anchor="ms")


def _bounds(curve: Curve) -> tuple[float, float]:
    points = [*curve.points, *([curve.beside[0]] if curve.beside else [])]
    values = [_value(curve, value) for _, value in points]
    low, high = min(values), max(values)
    pad = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return (0.0 if curve.heading == "Gaussians" else low - pad), high + pad


def _value(curve: Curve, value: float) -> float:
    return math.log10(value) if curve.logarithmic else value


def _levels(curve: Curve, low: float, high: float) -> list[float]:
    """Levels, in the curve's scale, with a grid line and a number."""
    if not curve.logarithmic:
        return ticks(low, high, max(2, curve.height // 50))
    decades = range(math.floor(low), math.ceil(high) + 1)
    levels = [math.log10(k) + d for d in decades for k in ((1, 2, 5) if high - low < 2.5 else (1,))]
    levels = [level for level in levels if low <= level <= high]
    return levels if len(levels) > 1 else [math.log10(t) for t in ticks(10**low, 10**high, 4) if t > 0]


def _draw_curve(page: Page, curve: Curve, top: int, end: float) -> None:
    low, high = _bounds(curve)
    levels = _levels(curve, low, high)

    def down(level: float) -> float:
        return curve.height * (high - level) / (high - low)

    places = [(_across(s, end) - LEFT, down(_value(curve, v))) for s, v in curve.points]
    lines = [(0.0, down(level)) for level in levels]
    page.paste(_plot(curve, places, [y for _, y in lines]), LEFT, top)
    for level in levels:
        number = _number(10**level if curve.logarithmic else level)
        page.text(LEFT - 12, top + down(level), number, 14, colour=MUTED, anchor="rm")
    page.text(LEFT, top - 12, curve.heading, 16, colour=MUTED)
    right: float = WIDTH - MARGIN
    if curve.beside:
        (seconds, value), words = curve.beside
        x, y = _across(seconds, end), top + down(_value(curve, value))
        page.draw.ellipse([x - 6, y - 6, x + 6, y + 6], outline=INK, width=2)
        page.text(right, top - 12, words, 18, colour=INK, anchor="rs")
        right -= text_width(words, 18) + 24
    words = curve.last or _number(curve.points[-1][1])
    page.text(right, top - 12, words, 18, colour=curve.colour if curve.beside else INK, anchor="rs")


def _plot(curve: Curve, places: list[Point], lines: list[float]) -> Image.Image:
    """The panel without numbers."""
    k = OVERSAMPLING
    width = WIDTH - MARGIN - LEFT
    image = Image.new("RGB", (width * k, curve.height * k), PANEL)
    draw = ImageDraw.Draw(image)
    for y in lines:
        draw.line([(0, y * k), (width * k, y * k)], RULE, k)
    large = [(x * k, y * k) for x, y in places]
    if curve.smooth and len(large) > 20:
        draw.line(large, _mixed(curve.colour, PANEL, 0.4), k)
        large = _smoothed(large)
    draw.line(large, curve.colour, 2 * k + 1, "curve")
    if curve.dots or len(large) == 1:
        for x, y in large:
            draw.ellipse([x - 5 * k, y - 5 * k, x + 5 * k, y + 5 * k], curve.colour, PAPER, k)
    return image.resize((width, curve.height), Image.Resampling.LANCZOS)


def _smoothed(points: list[Point]) -> list[Point]:
    """Moving average over about a thirtieth of the points, fewer near the ends."""
    reach = max(1, len(points) // 60)
    smooth = []
    for i, (x, _) in enumerate(points):
        window = points[max(0, i - reach) : i + reach + 1]
        smooth.append((x, sum(y for _, y in window) / len(window)))
    return smooth


def _mixed(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(share * a + (1 - share) * b) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _number(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:.3g} M"
    if value >= 1e4:
        return f"{value / 1e3:.3g} k"
    return f"{value:.3g}" if value < 1 else f"{value:.4g}"
