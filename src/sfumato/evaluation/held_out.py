"""Evaluation on held-out views: metrics and images."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sfumato.errors import SfumatoError
from sfumato.evaluation.lpips import Lpips
from sfumato.evaluation.metrics import psnr, ssim, with_affine_colour
from sfumato.evaluation.saved_images import difference_image, save_image
from sfumato.maths.compositing import over
from sfumato.maths.spread import coarse_to_fine
from sfumato.render.png import to_uint8
from sfumato.scene.cameras import Camera

ENDINGS = ("", "_truth", "_difference")


class HeldOutPixels(Protocol):
    """A decoded photograph.

    Attributes:
        rgb:   uint8 [h, w, 3], multiplied by alpha if there is one.
        alpha: uint8 [h, w] opacity, or None for an opaque photograph.
        mask:  bool [h, w], the pixels that count, or None for all.
    """

    @property
    def rgb(self) -> np.ndarray | Tensor: ...

    @property
    def alpha(self) -> np.ndarray | Tensor | None: ...

    @property
    def mask(self) -> np.ndarray | Tensor | None: ...


class HeldOutView(Protocol):
    """A posed photograph that can be loaded."""

    @property
    def name(self) -> str: ...

    @property
    def camera(self) -> Camera: ...

    def load(self) -> HeldOutPixels: ...


@dataclass(frozen=True)
class ViewScore:
    """Quality of one view, over the pixels that its mask keeps.

    Attributes:
        name: of the photograph.
        stem: file name of its pictures without ending, unique within the report.
        size_px: (width, height).
        psnr: decibels; NaN, like the others, if the mask keeps nothing.
        psnr_affine: the same after an affine colour, gain and offset of each channel, by least squares.
        ssim: at most 1.
        lpips: at least 0, or None if it was not measured.
        kept: fraction of its pixels that the mask keeps; None without a mask.
    """

    name: str
    stem: str
    size_px: tuple[int, int]
    psnr: float
    psnr_affine: float
    ssim: float
    lpips: float | None
    kept: float | None = None


@dataclass(frozen=True)
class Report:
    """Quality over all held-out views.

    Attributes:
        views: one score per view, in the order given.
        background: RGB in [0, 1] behind transparent photographs.
        lpips_net: net and normalisation, or None if LPIPS was not measured.
        lpips_note: reason why it was not, or None.
        left_out: names of held-out views that were skipped for lack of time.
    """

    views: tuple[ViewScore, ...]
    background: tuple[float, float, float]
    lpips_net: str | None = None
    lpips_note: str | None = None
    left_out: tuple[str, ...] = ()

    @property
    def psnr(self) -> float | None:
        """Mean over views of the PSNR of each, decibels; None without views."""
        return _mean([view.psnr for view in self.views])

    @property
    def psnr_affine(self) -> float | None:
        """Mean over views of the PSNR of each after an affine colour, decibels; None without views."""
        return _mean([view.psnr_affine for view in self.views])

    @property
    def ssim(self) -> float | None:
        """Mean over views; None without views."""
        return _mean([view.ssim for view in self.views])

    @property
    def lpips(self) -> float | None:
        """Mean over views; None if it was not measured."""
        return _mean([view.lpips for view in self.views if view.lpips is not None])

    @property
    def kept(self) -> float | None:
        """Fraction of all views' pixels that masks keep; None if no view has a mask."""
        if all(view.kept is None for view in self.views):
            return None
        sizes = [math.prod(view.size_px) for view in self.views]
        counted = [1.0 if view.kept is None else view.kept for view in self.views]
        return sum(size * share for size, share in zip(sizes, counted, strict=True)) / sum(sizes)

    @property
    def size_px(self) -> tuple[int, int] | None:
        """(width, height) of the largest view; None without views."""
        return max((view.size_px for view in self.views), key=math.prod, default=None)


def score_views(
    render: Callable[[Camera], Tensor],
    views: Sequence[HeldOutView],
    *,
    background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    lpips: Lpips | None = None,
    lpips_note: str | None = None,
    folder: Path | None = None,
    progress: Callable[[int, int], bool | None] | None = None,
) -> Report:
    """Compare renders with photographs.

    Transparent photographs are composited over the background. Metrics count the pixels that masks keep, and
    are computed before rounding to 8 bits.

    Args:
        render: camera -> [h, w, 3] image in [0, 1] over the same background.
        views: photographs with their cameras.
        background: RGB in [0, 1].
        lpips: the learned metric, or None.
        lpips_note: reason why there is none, for the report.
        folder: for ``<name>.png``, ``<name>_truth.png`` and ``<name>_difference.png``.
        progress: called with (views done, all views) after each view; returning False ends the evaluation,
            with the views done so far evenly spaced.

    Returns:
        Scores of every view and their means.

    Raises:
        SfumatoError: a render has another size than its photograph, or holds NaN or infinity, or a
            picture cannot be written.
    """
    stems = _unique_stems([view.name for view in views])
    scores: dict[int, ViewScore] = {}
    for index in coarse_to_fine(len(views)):
        view, pixels = views[index], views[index].load()
        target, keep = composited(pixels, background), kept_pixels(pixels)
        with torch.no_grad():
            image = render(view.camera).detach().to("cpu", torch.float32)
        _check_render(view.name, image, target)
        exact = image.double(), target.double()
        measured = lpips if keep is None or bool(keep.any()) else None
        scores[index] = ViewScore(
            name=view.name,
            stem=stems[index],
            size_px=(target.shape[1], target.shape[0]),
            psnr=psnr(*exact, keep),
            psnr_affine=psnr(with_affine_colour(*exact, keep), exact[1], keep),
            ssim=ssim(*exact, keep),
            lpips=None if measured is None else measured(image, target, keep),
            kept=None if keep is None else float(keep.float().mean()),
        )
        if folder:
            _save_pictures(folder, stems[index], image, target, keep)
        if progress and progress(len(scores), len(views)) is False:
            break
    left_out = tuple(view.name for index, view in enumerate(views) if index not in scores)
    in_order = tuple(scores[index] for index in sorted(scores))
    return Report(in_order, background, lpips.description if lpips else None, lpips_note, left_out)


def composited(pixels: HeldOutPixels, background: tuple[float, float, float]) -> Tensor:
    """Composite a photograph over a background.

    Args:
        pixels: the photograph, premultiplied by alpha.
        background: RGB in [0, 1].

    Returns:
        [h, w, 3] float32 in [0, 1].
    """
    target = torch.from_numpy(np.array(pixels.rgb, np.float32)) / 255
    if pixels.alpha is not None:
        opacity = torch.from_numpy(np.array(pixels.alpha, np.float32))[..., None] / 255
        target = over(target, opacity, background)
    return target.clamp(0, 1)


def kept_pixels(pixels: HeldOutPixels) -> Tensor | None:
    """bool [h, w] of the pixels of a photograph that count; None for all."""
    return None if pixels.mask is None else torch.from_numpy(np.array(pixels.mask, bool))


def _check_render(name: str, image: Tensor, target: Tensor) -> None:
    if image.shape != target.shape:
        raise SfumatoError(
            f"view {name}: the render is {list(image.shape)} but the photograph {list(target.shape)}; "
            "the camera's size_px must be the photograph's"
        )
    bad = int((~torch.isfinite(image)).sum())
    if bad:
        raise SfumatoError(f"view {name}: the render holds {bad} values that are NaN or infinite")


def _save_pictures(folder: Path, stem: str, image: Tensor, target: Tensor, keep: Tensor | None) -> None:
    save_image(folder / f"{stem}.png", to_uint8(image))
    save_image(folder / f"{stem}_truth.png", to_uint8(target))
    save_image(folder / f"{stem}_difference.png", difference_image(image, target, keep))


def _unique_stems(names: Sequence[str]) -> list[str]:
    """A plain file name for each view, without its ending; equal ones get a number."""
    taken: set[str] = set()
    stems = []
    for name in names:
        plain = re.sub(r"[^\w.-]+", "_", re.sub(r"\.\w{1,5}$", "", name)).lstrip(".")[:150] or "view"
        stem, number = plain, 2
        # Some file systems are case-insensitive.
        while taken & {f"{stem}{ending}".lower() for ending in ENDINGS}:
            stem, number = f"{plain}-{number}", number + 1
        taken |= {f"{stem}{ending}".lower() for ending in ENDINGS}
        stems.append(stem)
    return stems


def _mean(values: Sequence[float]) -> float | None:
    """The mean, ignoring NaN of views whose mask keeps nothing."""
    measured = [value for value in values if not math.isnan(value)]
    return fmean(measured) if measured else None
