"""The lesson's diagrams of what happens: the chain rule, density control, rigid neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from lesson_drawings.diagrams import PALE_BLUE, PALE_GOLD, PALE_GREEN, at, turned
from lesson_drawings.svg import BLUE, GOLD, GREEN, INK, MUTED, RED, Svg


def chain(path: Path) -> None:
    """From the parameters of a Gaussian to the loss, and back."""
    svg = Svg(760, 330)
    places = {
        "q": (56, 60), "s": (56, 140), "μ": (56, 220), "o": (56, 292), "Σ": (170, 100), "σ": (296, 160),
        "G": (404, 160), "α": (510, 200), "c": (510, 76), "C": (620, 160), "L": (716, 160),
    }  # fmt: skip
    held = {"q", "s", "μ", "o", "c"}
    links = ["qΣ", "sΣ", "Σσ", "μσ", "σG", "Gα", "oα", "αC", "cC", "CL"]
    shown = {
        "Gα": "o",
        "σG": "−G",
        "μσ": "−AΔ",
        "Σσ": "−½AΔΔ^{T}A",
        "oα": "G",
        "cC": "αT",
        "αC": "cT − S/(1−α)",
    }
    beside = {
        "Gα": (0, -10), "σG": (0, -20), "μσ": (-4, 44), "Σσ": (34, -24), "oα": (60, 22), "cC": (34, -16),
        "αC": (64, 40),
    }  # fmt: skip
    for link in links:
        start, end = np.array(places[link[0]], float), np.array(places[link[1]], float)
        along = (end - start) / np.linalg.norm(end - start)
        across = 5 * np.array([-along[1], along[0]])
        svg.arrow(start + 25 * along - across, end - 25 * along - across, MUTED, 1.5)
        svg.arrow(end - 25 * along + across, start + 25 * along + across, RED, 2.0)
        if link in shown:
            x, y = (start + end) / 2 + beside[link]
            svg.letter(x, y, shown[link], RED, size=22)
    for symbol, place in places.items():
        fill = PALE_GOLD if symbol in held else PALE_GREEN if symbol == "L" else PALE_BLUE
        svg.ellipse(place, np.eye(2) * 21.0**2, "none", fill=fill)
        svg.letter(place[0], place[1] + 9, symbol, size=29)
    svg.save(path)


def density_control(path: Path) -> None:
    """Clone, split, prune, relocate: before above, after below."""
    svg = Svg(760, 360)
    small, large = turned((20.0**2, 13.0**2), -20), turned((66.0**2, 30.0**2), -20)
    wave = np.linspace(-80, 80, 50)
    for column in range(4):
        middle = 95.0 + 190 * column
        if column:
            svg.path([(middle - 95, 24), (middle - 95, 336)], "#e2dfd6", width=1)
        svg.arrow((middle, 166), (middle, 196), MUTED)
        for row, height in enumerate((88.0, 272.0)):
            if column < 2:
                line = np.c_[middle + wave, height + 26 * np.sin(wave / 34.0)]
                svg.path(line, GREEN, width=9 if column == 0 else 5, opacity=0.45)
            here = np.array([middle, height])
            if column == 0:
                svg.ellipse(here + at(-12, -6), small, GOLD, fill=PALE_GOLD, opacity=0.85)
                if row:
                    svg.ellipse(here + at(32, 18), small, GOLD, fill=PALE_GOLD, opacity=0.85)
                else:
                    svg.arrow(here + at(4, 0), here + at(46, 24), RED, 2.2)
            elif column == 1 and row:
                svg.ellipse(here + at(-38, -20), large / 1.6**2, BLUE, fill=PALE_BLUE, opacity=0.85)
                svg.ellipse(here + at(34, 18), large / 1.6**2, BLUE, fill=PALE_BLUE, opacity=0.85)
            elif column == 1:
                svg.ellipse(here, large, BLUE, fill=PALE_BLUE, opacity=0.85)
                svg.arrow(here, here + at(-34, -28), RED, 2.2)
                svg.arrow(here, here + at(34, 28), RED, 2.2)
            else:
                _faint_and_strong(svg, here, column == 3, bool(row))
    svg.save(path)


def _faint_and_strong(svg: Svg, here: np.ndarray, relocates: bool, after: bool) -> None:
    shape = turned((26.0**2, 17.0**2), 20)
    faint, strong = here + at(-48, -22), here + at(34, 20)
    if not after:
        svg.ellipse(faint, shape, MUTED, dash="3 4")
    if not after and not relocates:
        svg.path([faint - at(12, 12), faint + at(12, 12)], RED, width=2.4)
        svg.path([faint + at(12, -12), faint + at(-12, 12)], RED, width=2.4)
    if not after and relocates:
        svg.arrow(faint + at(20, 10), strong - at(16, 8), RED, 2.2)
    if after and relocates:
        svg.ellipse(strong - at(9, 7), shape * 0.85, GREEN, fill=PALE_GREEN, opacity=0.8)
        svg.ellipse(strong + at(9, 7), shape * 0.85, GREEN, fill=PALE_GREEN, opacity=0.8)
    else:
        svg.ellipse(strong, shape, GREEN, fill=PALE_GREEN)


def rigidity(path: Path) -> None:
    """A Gaussian with its neighbours in two steps: the offsets turn with it."""
    svg, turn = Svg(720, 300), np.radians(38.0)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    offsets = np.array([[92.0, -26.0], [30.0, 92.0], [-84.0, 40.0], [-40.0, -84.0]])
    centres = np.array([[180.0, 156.0], [540.0, 146.0]])
    for step, centre in enumerate(centres):
        now = offsets @ rotation.T if step else offsets
        for n, offset in enumerate(now):
            svg.arrow(centre + 0.24 * offset, centre + 0.8 * offset, BLUE if step else MUTED, 1.8)
            shape = turned((19.0**2, 10.0**2), 40 * n + 38 * step)
            svg.ellipse(centre + offset, shape, GOLD, fill=PALE_GOLD)
        svg.ellipse(centre, turned((24.0**2, 13.0**2), -15 + 38 * step), INK, fill=PALE_GREEN)
    wanted = centres[1] + rotation @ offsets[0]
    lost = wanted + at(44.0, -22.0)
    svg.ellipse(lost, turned((19.0**2, 10.0**2), 38), RED, dash="4 3")
    svg.arrow(lost - at(9, -5), wanted + at(12, -6), RED, 2.0)
    svg.arrow((318, 150), (400, 150), INK, 2.0)
    svg.letter(356, 138, "R", size=29)
    svg.letter(238, 126, "δ′", MUTED)
    svg.letter(592, 192, "δ", BLUE)
    svg.letter(166, 284, "t − 1", MUTED, size=24)
    svg.letter(540, 284, "t", MUTED, size=24)
    svg.save(path)
