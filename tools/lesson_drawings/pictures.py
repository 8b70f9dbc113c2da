"""Pictures in a row, and those of the lesson that need no trained scene."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from lesson_drawings.scenes import ROOT, Work, held_out, photograph, still_life
from PIL import Image, ImageDraw

import sfumato
from sfumato import ops
from sfumato.evaluation.saved_images import colour_map
from sfumato.render.png import to_uint8

GAP_PX, GROUND, QUALITY = 8, (251, 250, 246), 82
C0 = 0.28209479177387814  # the constant spherical harmonic
PALE, TOO_BRIGHT, TOO_DARK = (0.97, 0.96, 0.94), (0.84, 0.36, 0.26), (0.24, 0.48, 0.74)


def save_row(
    path: Path,
    panels: Sequence[torch.Tensor | np.ndarray | Image.Image],
    *,
    width: int = 0,
    columns: int = 0,
) -> None:
    """Save pictures of one size beside each other.

    Args:
        path: the file.
        panels: the pictures: [h, w, 3] in [0, 1], uint8 [h, w, 3], or Pillow's.
        width: pixels that each is scaled to; 0: as it is.
        columns: pictures in a row; 0: all.
    """
    images = []
    for panel in panels:
        if isinstance(panel, torch.Tensor):
            panel = to_uint8(panel.detach().float().clamp(0, 1))
        image = panel if isinstance(panel, Image.Image) else Image.fromarray(panel)
        if width:
            image = image.resize((width, round(width * image.height / image.width)), Image.Resampling.LANCZOS)
        images.append(image)
    columns = columns or len(images)
    across, down = images[0].width + GAP_PX, images[0].height + GAP_PX
    rows = -(-len(images) // columns)
    page = Image.new("RGB", (columns * across - GAP_PX, rows * down - GAP_PX), GROUND)
    for n, image in enumerate(images):
        page.paste(image, (n % columns * across, n // columns * down))
    page.save(path, quality=QUALITY, method=6)


def flat_camera(width: int, height: int) -> sfumato.Camera:
    """A camera that sees the plane in pixels: x right, y down, depth z."""
    return sfumato.Camera(torch.eye(4), (1.0, 1.0), (0.0, 0.0), (width, height), sfumato.Lens("ortho"))


def flat_gaussians(
    means: torch.Tensor,
    log_scales: torch.Tensor,
    angles: torch.Tensor,
    logits: torch.Tensor,
    rgb: torch.Tensor,
) -> sfumato.Gaussians:
    """2D Gaussians in pixels; the first is the nearest."""
    zeros, n = torch.zeros_like(angles), len(angles)
    return sfumato.Gaussians(
        means=torch.cat([means, torch.linspace(1, 2, n)[:, None]], 1),
        log_scales=torch.cat([log_scales, torch.zeros(n, 1)], 1),
        quats=torch.stack([(angles / 2).cos(), zeros, zeros, (angles / 2).sin()], 1),
        logit_opacities=logits,
        sh=((rgb - 0.5) / C0)[:, None],
    )


def additive_alpha(path: Path, work: Work) -> None:
    """Three Gaussians, added and blended."""
    scene = flat_gaussians(
        torch.tensor([[118.0, 88.0], [206.0, 92.0], [160.0, 158.0]]),
        torch.tensor([[52.0, 30.0], [50.0, 32.0], [60.0, 28.0]]).log(),
        torch.tensor([0.5, -0.6, 0.1]),
        torch.tensor([3.5, 3.5, 3.5]),
        torch.tensor([[0.93, 0.36, 0.22], [0.20, 0.58, 0.92], [0.96, 0.80, 0.25]]),
    )
    camera = flat_camera(320, 240).resized(480, 360)
    alone = [sfumato.rasterize(scene.select(torch.tensor([n])), camera).image for n in range(3)]
    save_row(path, [sum(alone, torch.zeros(360, 480, 3)), sfumato.rasterize(scene, camera).image])


def drawn_large(image: torch.Tensor, times: int) -> Image.Image:
    """An image with its pixels as squares."""
    picture = Image.fromarray(to_uint8(image.detach().clamp(0, 1)))
    return picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)


def still_life_96() -> torch.Tensor:
    """[96, 96, 3] a part of a photograph, float32."""
    whole = photograph(held_out(still_life(), 3))
    square = Image.fromarray(to_uint8(whole[40:328, 96:384]))
    return torch.from_numpy(np.asarray(square.resize((96, 96), Image.Resampling.BOX), np.float32) / 255)


def fitted(target: torch.Tensor, count: int, steps: int, *, round_ones: bool = False) -> list[torch.Tensor]:
    """2D Gaussians fitted to a picture with Adam: means, log scales, angles, logits, colours' logits."""
    random, side = torch.Generator().manual_seed(0), target.shape[0]
    raw = [
        torch.rand(count, 2, generator=random) * side,
        torch.full((count, 1 if round_ones else 2), math.log(5.0)),
        torch.rand(count, generator=random) * math.pi,
        torch.zeros(count),
        torch.randn(count, 3, generator=random) * 0.3,
    ]
    raw = [tensor.requires_grad_() for tensor in raw]
    rates = (0.3, 0.02, 0.03, 0.05, 0.05)
    adam = torch.optim.Adam([{"params": [t], "lr": r} for t, r in zip(raw, rates, strict=True)])
    for _ in range(steps):
        adam.zero_grad()
        (drawn(raw, side) - target).square().mean().backward()
        adam.step()
    return raw


def drawn(raw: list[torch.Tensor], side: int) -> torch.Tensor:
    means, log_scales, angles, logits, colours = raw
    scene = flat_gaussians(means, log_scales.expand(-1, 2), angles, logits, colours.sigmoid())
    return sfumato.rasterize(scene, flat_camera(side, side)).image


def gradient_arrows(path: Path, work: Work) -> None:
    """A picture that is being fitted: target, render, and where the descent moves each mean."""
    target, times = still_life_96(), 3
    for round_ones in (True, False):
        image = drawn(fitted(target, 200, 300, round_ones=round_ones), 96)
        print(
            f"200 {'round' if round_ones else 'free'} ones, 300 steps: {sfumato.psnr(image, target):.2f} dB"
        )
    raw = [tensor.detach().requires_grad_() for tensor in fitted(target, 60, 40)]
    image = drawn(raw, 96)
    (image - target).square().mean().backward()
    residual = ((image - target).mean(dim=2, keepdim=True) / 0.3).detach().clamp(-1, 1)
    end = torch.where(residual > 0, torch.tensor(TOO_BRIGHT), torch.tensor(TOO_DARK))
    faded = torch.lerp(torch.tensor(PALE), end, residual.abs())
    size = 96 * times
    big = drawn_large(faded, times).resize((size * 4, size * 4))
    draw = ImageDraw.Draw(big)
    means, grads = raw[0].detach().numpy(), raw[0].grad.numpy()
    reach = 6.0 / np.quantile(np.linalg.norm(grads, axis=1), 0.8)
    for mean, grad in zip(means, grads, strict=True):
        step = -grad * reach
        step *= min(1.0, 12.0 / max(np.linalg.norm(step), 1e-9))
        arrow(draw, mean * times * 4, (mean + step) * times * 4)
    arrows = big.resize((size, size), Image.Resampling.LANCZOS)
    save_row(path, [drawn_large(target, times), drawn_large(image, times), arrows])


def arrow(draw: ImageDraw.ImageDraw, start: np.ndarray, end: np.ndarray) -> None:
    """A dark arrow of a picture that is scaled down by four afterwards."""
    colour, along = (30, 34, 44), end - start
    length = float(np.linalg.norm(along))
    draw.ellipse([*(start - 7), *(start + 7)], fill=colour)
    if length < 4:
        return
    along = along / length
    across = np.array([-along[1], along[0]])
    draw.line([*start, *(end - 12 * along)], fill=colour, width=7)
    base = end - 24 * along
    draw.polygon([*end, *(base + 13 * across), *(base - 13 * across)], fill=colour)


def loss(path: Path, work: Work) -> None:
    """A photograph, brightened, with noise and blurred, all with the same mean absolute difference."""
    photo = photograph(held_out(still_life(), 3))[60:240, 120:360]
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(photo.shape, generator=random)
    channels_first = photo.permute(2, 0, 1)
    blurred = channels_first
    for _ in range(10):
        blurred = torch.nn.functional.avg_pool2d(blurred, 3, 1, 1, count_include_pad=False)
    blurred = blurred.permute(1, 2, 0)
    wanted = float((blurred - photo).abs().mean())
    damaged = [_with_difference(photo, kind, wanted) for kind in (torch.ones_like(photo), noise)] + [blurred]
    for image in damaged:
        l1, whole = (float(ops.photometric_loss(image, photo, ssim_weight=w)) for w in (0.0, 1.0))
        print(f"L1 {l1:.4f}, 1 - SSIM {whole:.4f}, PSNR {sfumato.psnr(image, photo):.2f}")
    save_row(path, [photo, *damaged], width=476, columns=2)


def _with_difference(photo: torch.Tensor, kind: torch.Tensor, wanted: float) -> torch.Tensor:
    """The photograph plus as much of ``kind`` as makes the mean absolute difference ``wanted``."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        image = (photo + middle * kind).clamp(0, 1)
        low, high = (middle, high) if float((image - photo).abs().mean()) < wanted else (low, middle)
    return image


def fisheye(path: Path, work: Work) -> None:
    """The wide lens of the examples: traced, projected, and the errors of both times ten."""
    spec = importlib.util.spec_from_file_location("wide_lens", ROOT / "examples" / "04_wide_lens.py")
    assert spec and spec.loader
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    side, scene = 320, example.scene_all_around(400)
    focal_px = side / math.radians(example.FIELD_OF_VIEW_DEG)
    lens = sfumato.Lens("fisheye")
    camera = sfumato.Camera(torch.eye(4), (focal_px,) * 2, (side / 2,) * 2, (side, side), lens)
    with torch.no_grad():
        exact = sfumato.raytrace(scene.to(torch.float64), camera).image
        images = [sfumato.raytrace(scene, camera).image, sfumato.rasterize(scene, camera).image]
    errors = [
        colour_map((10 * (image.double() - exact).abs().mean(2)).clamp(0, 1).numpy()) for image in images
    ]
    for image in images:
        print(f"{sfumato.psnr(image, exact):.1f} dB")
    save_row(path, [*images, *errors], width=234)
