"""Reduction of photographs to a size that the time of a run is enough for."""

from __future__ import annotations

from dataclasses import replace

from sfumato.capture.dataset import Capture
from sfumato.display import Display
from sfumato.runs.run_options import RunOptions
from sfumato.training.plan import downscale_for, sides


def reduced_to_fit(
    options: RunOptions, capture: Capture, display: Display, minutes: float
) -> tuple[RunOptions, Capture]:
    """Choose the ``downscale`` of a run that has none, and read the photographs again if it is above 1.

    With too large photographs a run has too few steps. A scene of reduced ones is trained with
    ``native_blur``, as it will be viewed at the size of the photographs.

    Args:
        options: of the run.
        capture: read with them, at full size.
        display: says what was chosen.
        minutes: of training.

    Returns:
        The options with ``downscale``, and the dataset read with them.
    """
    size_px = capture.original_size_px
    downscale = downscale_for(size_px, minutes)
    options = replace(options, capture=replace(options.capture, downscale=downscale))
    if downscale == 1:
        return options, capture
    small = (size_px[0] // downscale, size_px[1] // downscale)
    display.say(
        f"photographs are reduced from {sides(size_px)} to {sides(small)} to fit the time; "
        "--downscale 1 keeps their size"
    )
    options = replace(options, train=replace(options.train, native_blur=options.train.renderer == "raster"))
    return options, options.read_capture()


def with_reduction_of(saved: RunOptions, options: RunOptions) -> RunOptions:
    """Options with the ``downscale``, and the blur that goes with it, of the run that they resume."""
    native_blur = options.train.native_blur or saved.train.native_blur
    return replace(
        options,
        capture=replace(options.capture, downscale=saved.capture.downscale),
        train=replace(options.train, native_blur=native_blur),
    )
