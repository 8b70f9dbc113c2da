"""Textures that are drawn with a pen: notebook pages, book covers, a chart, a landscape."""

from __future__ import annotations

import numpy as np
from noise import blend, coordinates, fractal_noise, ramp, step
from PIL import Image, ImageDraw, ImageFont


def _ink_layer(size, draw_with) -> np.ndarray:
    """[h, w] coverage in [0, 1] of what ``draw_with(draw)`` draws on a canvas of ``size`` (w, h)."""
    canvas = Image.new("L", (size[0] * 2, size[1] * 2), 0)
    draw_with(ImageDraw.Draw(canvas))
    return np.asarray(canvas.resize(size, Image.Resampling.BOX), float) / 255


def _write_line(draw, rng, x: float, y: float, width: float, height: float, pen: int) -> None:
    """Scribble words from right to left, as the left-handed painter did."""
    at = x + width
    while at > x + height:
        letters = rng.integers(2, 9)
        span = min(letters * height * 0.62, at - x)
        t = np.linspace(0, letters * 2 * np.pi, letters * 8)
        tall = 1 + 0.9 * (rng.random(letters)[np.minimum((t / 2 / np.pi).astype(int), letters - 1)] > 0.72)
        px = at - span * t / t[-1] + 0.16 * height * np.cos(t)
        py = y - 0.34 * height * tall * np.sin(t + 0.4 * rng.random()) - 0.1 * height
        draw.line(list(zip(px, py, strict=True)), fill=235, width=pen)
        at -= span + height * rng.uniform(0.6, 1.0)


def _studies(draw, w: float, h: float, pen: int) -> None:
    """The circle and the square with a measured figure, and a spiral screw."""
    cx, cy, r = w * 0.5, h * 0.30, w * 0.33
    draw.ellipse((cx - r, cy - r, cx + r, cy + r), outline=230, width=pen)
    side, low = r * 0.86, cy + r
    draw.rectangle((cx - side, low - 2 * side, cx + side, low), outline=230, width=pen)
    neck, hip = (cx, cy - 0.42 * r), (cx, cy + 0.15 * r)
    head = 0.14 * r
    draw.ellipse((cx - head, neck[1] - 2.1 * head, cx + head, neck[1]), outline=235, width=pen)
    for offset in (-0.13, 0.13):
        draw.line((cx + offset * r, neck[1] + 0.05 * r, cx + 0.8 * offset * r, hip[1]), fill=235, width=pen)
    for angle in (0.03, 0.42, np.pi - 0.03, np.pi - 0.42):
        tip = (cx + 0.97 * r * np.cos(angle), neck[1] + 0.12 * r - 0.9 * r * np.sin(angle))
        draw.line((*neck, *tip), fill=235, width=2 * pen)
    for foot in (-0.42, -0.08, 0.08, 0.42):
        draw.line((*hip, cx + foot * r, cy + r * np.sqrt(1 - foot**2)), fill=235, width=2 * pen)
    for k in range(13):
        x = cx - side + 2 * side * k / 12
        draw.line((x, low + 0.06 * r, x, low + (0.16 if k % 3 else 0.22) * r), fill=200, width=pen)


def page(rng, drawing: bool, shape=(768, 560)) -> np.ndarray:
    """Parchment with brown handwriting, on one page below a study."""
    h, w = shape
    mottle = fractal_noise(shape, (5, 4), rng, 6)
    v, u = coordinates(shape)
    paper = ramp(mottle, [(0, (0.72, 0.62, 0.44)), (1, (0.88, 0.80, 0.63))])
    edge = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v))
    paper = blend(paper, (0.48, 0.34, 0.18), 0.55 * (1 - step(0.03, edge + 0.03 * mottle, 0.08)))

    def draw_with(draw):
        top = 0.60 if drawing else 0.09
        if drawing:
            _studies(draw, 2.0 * w, 2.0 * h, 7)
        for y in np.arange(top, 0.93, 0.048):
            _write_line(draw, rng, 0.2 * w, 2 * h * y, 1.6 * w * rng.uniform(0.85, 1), 0.046 * h, 6)

    return np.clip(blend(paper, (0.24, 0.12, 0.06), 0.92 * _ink_layer((w, h), draw_with)), 0, 1)


def page_edges(rng, shape=(256, 512)) -> np.ndarray:
    """The closed leaves of a book: fine lines along u."""
    lines = fractal_noise(shape, (90, 2), rng, 3, 0.7)
    return ramp(lines, [(0, (0.46, 0.36, 0.22)), (0.5, (0.76, 0.67, 0.50)), (1, (0.90, 0.83, 0.68))])


def leather(rng, base, shape=(512, 512)) -> np.ndarray:
    """Worn leather with a tooled gold frame."""
    grain = fractal_noise(shape, (40, 40), rng, 4, 0.6)
    wear = fractal_noise(shape, (3, 3), rng, 5)
    picture = np.asarray(base) * (0.6 + 0.5 * grain + 0.3 * wear)[..., None]
    v, u = coordinates(shape)
    edge = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v))
    frame = (np.abs(edge - 0.07) < 0.008) | (np.abs(edge - 0.095) < 0.004)
    r, angle = np.hypot(u - 0.5, v - 0.5), np.arctan2(v - 0.5, u - 0.5)
    star = np.abs(r - 0.16 - 0.06 * np.cos(8 * angle)) < 0.008
    return np.clip(blend(picture, (0.76, 0.58, 0.26), 0.85 * (frame | star) * (wear > 0.25)), 0, 1)


def spine(rng, base, title: str, shape=(128, 768)) -> np.ndarray:
    """The back of a book, lying: raised bands, gold rules and a title along u."""
    h, w = shape
    _, u = coordinates(shape)
    grain = fractal_noise(shape, (16, 80), rng, 4, 0.6)
    picture = np.asarray(base) * (0.62 + 0.6 * grain)[..., None]
    font = ImageFont.load_default(size=int(h * 1.05))

    def draw_with(draw):
        draw.text((w, h), title, fill=255, font=font, anchor="mm")

    gold = _ink_layer((w, h), draw_with)
    for at in (0.05, 0.17, 0.83, 0.95):
        gold = np.maximum(gold, np.abs(u - at) < 0.006)
        picture = blend(picture, np.asarray(base) * 0.4, 0.6 * (np.abs(np.abs(u - at) - 0.012) < 0.004))
    return np.clip(blend(picture, (0.82, 0.64, 0.30), 0.9 * gold * (0.6 + 0.6 * grain)), 0, 1)


def _rhumbs_and_names(draw, rng, w: float, h: float) -> None:
    """Rhumb lines, a compass rose, place names."""
    cx, cy = 0.56 * w, 1.36 * h
    for k in range(32):
        a = np.pi * k / 16
        draw.line(
            (cx, cy, cx + 4 * w * np.cos(a), cy + 4 * w * np.sin(a)), fill=90 if k % 4 else 170, width=2
        )
        reach = 0.16 * h if k % 4 == 0 else 0.08 * h
        draw.polygon(
            [
                (cx, cy),
                (cx + 0.05 * h * np.cos(a + 0.2), cy + 0.05 * h * np.sin(a + 0.2)),
                (cx + reach * np.cos(a), cy + reach * np.sin(a)),
            ],
            fill=230 if k % 2 == 0 else 0,
        )
    for _ in range(70):
        x, y = 2 * w * rng.uniform(0.06, 0.9), 2 * h * rng.uniform(0.06, 0.9)
        _write_line(draw, rng, x, y, rng.uniform(0.04, 0.1) * w, 0.014 * h, 3)


def chart(rng, shape=(768, 1024)) -> np.ndarray:
    """A sea chart on vellum: coasts with hatching, rivers of relief, rhumb lines, a compass."""
    h, w = shape
    v, u = coordinates(shape)
    land = fractal_noise(shape, (3, 4), rng, 7, 0.55)
    relief = fractal_noise(shape, (24, 32), rng, 4)
    mottle = fractal_noise(shape, (4, 6), rng, 5)
    sea = ramp(mottle, [(0, (0.56, 0.56, 0.44)), (1, (0.72, 0.70, 0.55))])
    ground = ramp(0.5 * relief + 0.5 * mottle, [(0, (0.58, 0.44, 0.25)), (1, (0.86, 0.74, 0.50))])
    inside = step(0.52, land, 0.006)
    picture = sea * (1 - inside[..., None]) + ground * inside[..., None]
    for offset in (0.0, -0.016, -0.030, -0.042):
        picture = blend(
            picture,
            (0.24, 0.16, 0.10),
            (0.9 if offset == 0 else 0.5) * (np.abs(land - 0.52 - offset) < 0.0022),
        )
    picture = blend(picture, (0.60, 0.20, 0.14), 0.6 * (np.abs(land - 0.62) < 0.003))

    ink = _ink_layer((w, h), lambda draw: _rhumbs_and_names(draw, rng, w, h))
    picture = blend(picture, (0.20, 0.12, 0.08), 0.75 * ink)
    edge = np.minimum(np.minimum(u * w, (1 - u) * w), np.minimum(v * h, (1 - v) * h)) / h
    ticks = ((u * 40).astype(int) + (v * 30).astype(int)) % 2
    picture = blend(picture, (0.85, 0.77, 0.58), 0.95 * (edge < 0.055))
    return np.clip(
        blend(picture, (0.26, 0.14, 0.09), 0.9 * ((edge > 0.018) & (edge < 0.034) & (ticks == 1))), 0, 1
    )


def landscape(rng, shape=(640, 896)) -> np.ndarray:
    """Hazy mountains over water, each ridge paler than the one before: sfumato."""
    v, u = coordinates(shape)
    cloud = fractal_noise(shape, (3, 3), rng, 6)
    picture = ramp(
        v + 0.18 * (cloud - 0.5),
        [(0, (0.36, 0.48, 0.56)), (0.3, (0.72, 0.70, 0.58)), (0.5, (0.92, 0.80, 0.56))],
    )
    haze, near = np.array([0.80, 0.78, 0.66]), np.array([0.24, 0.23, 0.12])
    for k in range(6):
        line = fractal_noise((1, shape[1]), (1, 5 + 2 * k), rng, 7, 0.52)[0]
        crest = 0.30 + 0.10 * k - (0.24 - 0.025 * k) * line
        depth = (k / 5) ** 1.2
        texture = fractal_noise(shape, (20, 20), rng, 4)[..., None]
        colour = (haze * (1 - depth) + near * depth) * (0.85 + 0.35 * texture)
        fade = np.clip((v - crest) * 2.2, 0, 0.5)[..., None] * (1 - depth)
        picture = blend(picture, colour * (1 - fade) + haze * fade, step(0, v - crest, 0.012))
    bank = 0.115 * np.sin(5 * u + 1.2)
    river = (1 - step(0.055, np.abs(v - 0.70 - bank * (v - 0.4)) - 0.02 * cloud, 0.02)) * step(0.5, v, 0.1)
    picture = blend(picture, (0.62, 0.66, 0.60), 0.8 * river)
    craquelure = np.abs(fractal_noise(shape, (30, 40), rng, 3) - 0.5)
    return np.clip(blend(picture, (0.2, 0.14, 0.08), 0.35 * (craquelure < 0.006)), 0, 1)
