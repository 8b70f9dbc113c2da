"""A small writer of SVG pictures: lines, shapes, arrows and letters on a light ground."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

PAPER, INK, MUTED, RULE = "#fbfaf6", "#23262d", "#868b95", "#d9d6cd"
GOLD, BLUE, GREEN, RED = "#c67c12", "#2b6cb0", "#3a8a57", "#c2402f"
LETTERS = "'STIX Two Math','Cambria Math','Latin Modern Math','Times New Roman',serif"


class Svg:
    """A picture of ``width`` x ``height`` units; y points down."""

    def __init__(self, width: float, height: float) -> None:
        self.size = width, height
        self.parts = [f'<rect width="{width}" height="{height}" rx="10" fill="{PAPER}"/>']

    def path(
        self,
        points: Iterable[Iterable[float]],
        colour: str = INK,
        *,
        width: float = 1.6,
        fill: str = "none",
        closed: bool = False,
        dash: str = "",
        opacity: float = 1.0,
    ) -> None:
        """A line through points [n, 2]; closed, it may be filled."""
        corners = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        more = f' stroke-dasharray="{dash}"' if dash else ""
        more += f' opacity="{opacity:g}"' if opacity < 1 else ""
        self.parts.append(
            f'<path d="M{corners}{"Z" if closed else ""}" fill="{fill}" stroke="{colour}" '
            f'stroke-width="{width:g}" stroke-linejoin="round" stroke-linecap="round"{more}/>'
        )

    def arrow(
        self, start: Iterable[float], end: Iterable[float], colour: str = INK, width: float = 1.8
    ) -> None:
        """A straight arrow."""
        tail, tip = np.array(list(start), float), np.array(list(end), float)
        along = (tip - tail) / np.linalg.norm(tip - tail)
        across = np.array([-along[1], along[0]])
        base = tip - (5 + 2.5 * width) * along
        self.path([tail, base], colour, width=width)
        wing = (2 + width) * across
        self.path([tip, base + wing, base - wing], colour, width=0.5, fill=colour, closed=True)

    def dot(self, centre: Iterable[float], radius: float = 3.0, colour: str = INK) -> None:
        x, y = centre
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}"/>')

    def box(self, x: float, y: float, width: float, height: float, *, fill: str, line: str = "none") -> None:
        """A rectangle with its top left corner at (x, y)."""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="3" fill="{fill}" '
            f'stroke="{line}"/>'
        )

    def ellipse(
        self,
        centre: Iterable[float],
        covariance: np.ndarray,
        colour: str = INK,
        *,
        sigmas: float = 1.0,
        fill: str = "none",
        opacity: float = 1.0,
        dash: str = "",
    ) -> None:
        """Where a 2D Gaussian of this covariance [2, 2] is ``sigmas`` standard deviations away."""
        values, axes = np.linalg.eigh(covariance)
        turns = np.linspace(0, 2 * np.pi, 73)[:-1]
        circle = sigmas * np.sqrt(values) * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        outline = np.array(list(centre)) + circle @ axes.T
        self.path(outline, colour, fill=fill, closed=True, opacity=opacity, dash=dash)

    def letter(
        self, x: float, y: float, symbol: str, colour: str = INK, *, size: float = 26, anchor: str = "middle"
    ) -> None:
        """A symbol of a formula; ``_{n}`` sets n lower and ``^{n}`` higher, both smaller."""
        spans, shift = [], 0.0
        for mark, inner, plain in re.findall(r"([_^])\{(.+?)\}|([^_^{}]+)", symbol):
            wanted = {"_": 0.28 * size, "^": -0.36 * size, "": 0.0}[mark]
            text = escape(inner or plain)
            small = f' font-size="{0.68 * size:.1f}"' if mark else ""
            spans.append(f'<tspan dy="{wanted - shift:.1f}"{small}>{text}</tspan>')
            shift = wanted
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-family="{LETTERS}" font-style="italic" font-size="{size:g}" '
            f'fill="{colour}" text-anchor="{anchor}">{"".join(spans)}</text>'
        )

    def number(self, x: float, y: float, value: str, colour: str = MUTED, size: float = 19) -> None:
        """An upright number, centred."""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-family="{LETTERS}" font-size="{size:g}" fill="{colour}" '
            f'text-anchor="middle">{escape(value)}</text>'
        )

    def save(self, path: Path) -> None:
        width, height = self.size
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        head += f'width="{width}" height="{height}">'
        path.write_text("\n".join([head, *self.parts, "</svg>\n"]), "utf-8")
