"""`sfumato fit`: compress an image to a small file of 2D Gaussians, or decode such a file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from sfumato.cli.arguments import parse
from sfumato.cli.help import Help
from sfumato.errors import ConfigError
from sfumato.fitting.fit_image import FitConfig
from sfumato.fitting.fitted_image import checked_name, load_fitted
from sfumato.fitting.g2d_file import SUFFIX

# Supported output formats for decoded pictures.
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")

_HELP = Help(
    examples=(
        "sfumato fit photo.png -o photo.g2d",
        "sfumato fit photo.g2d -o decoded.png",
    )
)


@dataclass(frozen=True)
class FitCommand:
    """Fit 2D Gaussians to an image and write them as a small .g2d file; or turn such a file into an image.

    sfumato fit photo.png -o photo.g2d fits, and writes metrics.json beside the output.
    sfumato fit photo.g2d -o photo.png decodes, at any --size. Exit codes: 0 done, 2 wrong input or arguments,
    1 anything else.

    Attributes:
        image: a picture to fit, or a .g2d file to decode.
        out: .g2d file to write when fitting, or picture to write when decoding.
        size: for decoding, width and height of the picture; by default those of the original.
        overwrite: replace the output and its metrics.json.
        config: options for fitting.
    """

    image: Annotated[Positional[Path], arg(metavar="IMAGE")]
    out: Annotated[Path, arg(aliases=["-o"])]
    size: tuple[int, int] | None = None
    overwrite: FlagCreatePairsOff[bool] = False
    config: Annotated[FitConfig, arg(name="")] = field(default_factory=FitConfig)


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments, and fit or decode; the exit code."""
    given = parse(FitCommand, "fit", arguments, shown=_HELP)
    if given.image.suffix.lower() == SUFFIX:
        _decode(given)
    else:
        _fit(given)
    return 0


def _fit(given: FitCommand) -> None:
    from rich.console import Console

    from sfumato import machine
    from sfumato.cli.existing_files import metrics_beside
    from sfumato.display import Display
    from sfumato.evaluation.metrics import psnr, ssim
    from sfumato.fitting.fit_image import fit, read_target
    from sfumato.outputs import write_json

    checked_name(given.out)
    if given.size is not None:
        raise ConfigError(f"--size is for {SUFFIX} files; a picture is fitted at its own size")
    metrics = metrics_beside(given.out, "fit", overwrite=given.overwrite)
    target = read_target(given.image)
    display, began, began_cpu = Display(Console()), time.monotonic(), time.process_time()
    found = fit(target, **asdict(given.config), display=display)
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - began_cpu
    found.save(given.out)
    image, size = found.render(), given.out.stat().st_size
    figures = {"psnr": psnr(image, target), "ssim": ssim(image, target)}
    # JSON has no infinity.
    finite = {name: min(value, 999.0) for name, value in figures.items()}
    width, height = found.size_px
    write_json(
        metrics,
        {
            "version": 1,
            "kind": "fit",
            "image": str(given.image),
            "options": asdict(given.config),
            "size_px": [width, height],
            "count": len(found),
            "bytes": size,
            "bits_per_pixel": 8 * size / (width * height),
            **finite,
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            "environment": machine.environment(),
        },
    )
    display.say(
        f"the fitted image is {given.out}: {width} x {height} px, {len(found):,} Gaussians, {size:,} bytes, "
        f"PSNR {figures['psnr']:.2f} dB, SSIM {figures['ssim']:.4f}, {seconds:.1f} s"
    )


def _decode(given: FitCommand) -> None:
    from sfumato.cli.existing_files import refuse_to_replace
    from sfumato.evaluation.saved_images import save_image
    from sfumato.ops.backend import device_named
    from sfumato.render.png import to_uint8

    if given.out.suffix.lower() not in _PICTURES:
        raise ConfigError(f"{given.out} names no picture; give one that ends in {' or '.join(_PICTURES)}")
    others = {k: v for k, v in asdict(given.config).items() if k != "device" and v != getattr(FitConfig, k)}
    if others:
        raise ConfigError(f"--{next(iter(others))} is for fitting; {given.image} is only decoded")
    refuse_to_replace([given.out], overwrite=given.overwrite)
    found = load_fitted(given.image)
    image = found.render(given.size, device=device_named(given.config.device))
    save_image(given.out, to_uint8(image))
    height, width, _ = image.shape
    print(f"the image is {given.out}: {width} x {height} px, of {len(found):,} Gaussians")
