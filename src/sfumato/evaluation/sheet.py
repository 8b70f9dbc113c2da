"""Contact sheet of the held-out views, and a strip of renders during training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sfumato.errors import SfumatoError
from sfumato.evaluation.drawing import INK, MUTED, Page, shortened, text_width
from sfumato.evaluation.held_out import Report, ViewScore
from sfumato.evaluation.saved_images import DIFFERENCE_RANGE, colour_map, save_image

MARGIN = 48
GUTTER = 40
GAP = 4
HEADER = 128
CAPTION = 46
LABELS = 26
THUMBNAIL_AREA = 272**2
SHEET_ASPECT = 1.35
NAMES = ("photograph", "render", "difference")


@dataclass(frozen=True)
class _Layout:
    """Layout of a sheet, in pixels."""

    columns: int
    rows: int
    thumbnail: tuple[int, int]

    @property
    def cell(self) -> tuple[int, int]:
        width, height = self.thumbnail
        return 3 * width + 2 * GAP, height + CAPTION

    @property
    def size(self) -> tuple[int, int]:
        width, height = self.cell
        return (
            2 * MARGIN + self.columns * width + (self.columns - 1) * GUTTER,
            HEADER + LABELS + self.rows * height + MARGIN - 14,
        )

    def corner(self, index: int) -> tuple[int, int]:
        width, height = self.cell
        return (
            MARGIN + (index % self.columns) * (width + GUTTER),
            HEADER + LABELS + (index // self.columns) * height,
        )


def contact_sheet(
    report: Report, folder: Path, path: Path, *, title: str = "Held-out views", max_views: int = 12
) -> None:
    """Draw photograph, render and difference of the held-out views on one page.

    Args:
        report: from :func:`sfumato.evaluation.held_out.score_views`.
        folder: of its pictures.
        path: the PNG to write.
        title: the page's heading.
        max_views: largest number of views; of more, the worst, the best and those evenly between by PSNR.

    Raises:
        SfumatoError: there are no views, a picture is missing, or the page cannot be written.
    """
    shown = _chosen(report.views, max_views)
    if not shown:
        raise SfumatoError("a contact sheet needs at least one held-out view; train with --test-every 8")
    layout = _layout(shown)
    page = Page(*layout.size)
    _draw_header(page, report, title, len(shown))
    for column in range(layout.columns):
        x, y = layout.corner(column)
        for i, name in enumerate(NAMES):
            page.text(x + i * (layout.thumbnail[0] + GAP), y - 10, name, 14, colour=MUTED)
    for index, view in enumerate(shown):
        _draw_view(page, view, folder, layout, index)
    save_image(path, page.image)


def progress_strip(frames: Sequence[tuple[str, np.ndarray]], path: Path, *, height: int = 240) -> None:
    """Draw renders of one view side by side, each with a label beneath.

    Args:
        frames: (label, uint8 [h, w, 3]) in order.
        path: the PNG to write.
        height: of each picture, pixels.

    Raises:
        SfumatoError: there are no frames or the strip cannot be written.
    """
    if not frames:
        raise SfumatoError("a progress strip needs at least one frame")
    pictures = [Image.fromarray(pixels) for _, pixels in frames]
    pictures = [
        p.resize((max(1, round(height * p.width / p.height)), height), Image.Resampling.LANCZOS)
        for p in pictures
    ]
    page = Page(sum(p.width + GAP for p in pictures) - GAP + 2 * 24, height + 24 + 48)
    x = 24
    for (label, _), picture in zip(frames, pictures, strict=True):
        page.paste(picture, x, 24)
        page.text(x, 24 + height + 26, shortened(label, 15, picture.width), 15, colour=MUTED)
        x += picture.width + GAP
    save_image(path, page.image)


def _chosen(views: Sequence[ViewScore], most: int) -> list[ViewScore]:
    if len(views) <= most:
        return list(views)
    ranked = sorted(views, key=lambda view: (not math.isnan(view.psnr), view.psnr))
    kept = {ranked[round(i * (len(ranked) - 1) / (most - 1))].stem for i in range(most)}
    return [view for view in views if view.stem in kept]


def _layout(views: Sequence[ViewScore]) -> _Layout:
    width, height = max((view.size_px for view in views), key=math.prod)
    # Very wide or tall pictures keep thumbnails of a visible size.
    aspect = min(3.0, max(1 / 3, width / height))
    thumbnail = (round(math.sqrt(THUMBNAIL_AREA * aspect)), round(math.sqrt(THUMBNAIL_AREA / aspect)))
    choices = [_Layout(n, math.ceil(len(views) / n), thumbnail) for n in range(1, len(views) + 1)]
    return min(choices, key=lambda layout: abs(math.log(layout.size[0] / layout.size[1] / SHEET_ASPECT)))


def _draw_header(page: Page, report: Report, title: str, num_shown: int) -> None:
    page.text(MARGIN, MARGIN + 20, title, 32)
    x: float = MARGIN
    width, height = report.size_px or (0, 0)
    facts = []
    if report.psnr is not None and report.ssim is not None:
        facts += [("PSNR", f"{report.psnr:.2f} dB"), ("SSIM", f"{report.ssim:.4f}")]
    if report.lpips is not None and report.lpips_net:
        facts.append((f"LPIPS {report.lpips_net.split(',')[0]}", f"{report.lpips:.4f}"))
    num_views = len(report.views)
    count = f"{num_views}" if num_shown == num_views else f"{num_shown} of {num_views}"
    facts += [("views", count), ("pixels", f"{width} x {height}")]
    if report.kept is not None:
        facts.append(("kept by masks", f"{report.kept:.1%}"))
    for name, value in facts:
        x += page.text(x, MARGIN + 54, name, 17, colour=MUTED) + 7
        x += page.text(x, MARGIN + 54, value, 17) + 26
    _draw_scale(page)


def _draw_scale(page: Page) -> None:
    """The colours of the difference pictures, at the top right where there is room for them."""
    width, height = 180, 10
    right = page.image.width - MARGIN
    if right - width < MARGIN + 640:
        return
    ramp = np.broadcast_to(colour_map(np.linspace(0, 1, width)), (height, width, 3))
    page.paste(Image.fromarray(np.ascontiguousarray(ramp)), right - width, MARGIN + 8)
    page.text(right - width, MARGIN - 2, "difference", 14, colour=MUTED)
    page.text(right - width, MARGIN + 36, "0", 14, colour=MUTED)
    page.text(right, MARGIN + 36, f"{DIFFERENCE_RANGE:g} and more", 14, colour=MUTED, anchor="rs")


def _draw_view(page: Page, view: ViewScore, folder: Path, layout: _Layout, index: int) -> None:
    x, y = layout.corner(index)
    width, height = layout.thumbnail
    for i, ending in enumerate(("_truth", "", "_difference")):
        picture = _fitted(folder / f"{view.stem}{ending}.png", width, height)
        left = x + i * (width + GAP) + (width - picture.width) // 2
        page.paste(picture, left, y + (height - picture.height) // 2)
    right: float = x + layout.cell[0]
    baseline = y + height + 22
    facts = [(f"{view.ssim:.4f}", INK), ("SSIM", MUTED), (f"{view.psnr:.2f} dB", INK), ("PSNR", MUTED)]
    if math.isnan(view.psnr):
        facts = [("no pixel kept by its mask", MUTED)]
    for i, (words, colour) in enumerate(facts):
        page.text(right, baseline, words, 15, colour=colour, anchor="rs")
        right -= text_width(words, 15) + (16 if i % 2 else 6)
    page.text(x, baseline, shortened(view.name, 15, right - x), 15, colour=INK)


def _fitted(path: Path, width: int, height: int) -> Image.Image:
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except OSError as error:
        raise SfumatoError(f"{path} is missing or broken; run the evaluation again") from error
    scale = min(width / picture.width, height / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)
