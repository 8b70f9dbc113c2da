"""The trust of a run's scene: ``sfumato eval --envelope`` and ``sfumato.trust``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfumato.capture.dataset import Capture, reduction_of
from sfumato.checks import file_path
from sfumato.display import Display
from sfumato.envelope.floaters import Floaters, counts_in_words, floaters_by_support
from sfumato.envelope.measure_envelope import measure_envelope
from sfumato.envelope.sightings import gather
from sfumato.envelope.trust import Trust
from sfumato.envelope.trust_file import read_trust, write_trust
from sfumato.errors import CaptureError, ConfigError, FormatError
from sfumato.ops.backend import HOST
from sfumato.outputs import write_json
from sfumato.render.settings import RasterSettings
from sfumato.runs.cameras_file import with_refined_poses
from sfumato.runs.folder import RunFolder
from sfumato.scene.files import load
from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import TrainConfig
from sfumato.training.render_settings import settings_of

_log = logging.getLogger("sfumato")


def trust(run: str | Path) -> Trust:
    """The trust of a run's scene, as measured by ``sfumato eval RUN --envelope``.

    Args:
        run: run folder.

    Returns:
        Trust; ``render(camera)`` gives the expected error of any view [h, w].

    Raises:
        ConfigError: there is no run.
        FormatError: ``scene.ply`` or ``trust.npz`` is missing or damaged, or they do not match.
    """
    folder = RunFolder(file_path("run", run))
    settings = settings_of(folder.read_options().train)
    return read_trust(folder.trust, load(folder.scene), settings)


def floaters_of(path: Path, gaussians: Gaussians, display: Display) -> Floaters | None:
    """The floaters of a run's scene by support: from ``trust.npz``, else from its photographs, which is
    slower.

    Args:
        path: run folder, or the scene file in it.
        gaussians: read from it, on the CPU.
        display: shows progress.

    Returns:
        Floaters; None if neither is available, with a warning if reading them failed.
    """
    folder = RunFolder(path if path.is_dir() else path.parent)
    if path.is_file() and path.name != folder.scene.name:
        return None
    try:
        if folder.trust.is_file():
            known = read_trust(folder.trust, gaussians, RasterSettings())
            return floaters_by_support(gaussians, known.evidence)
        if not folder.config.is_file():
            return None
        options = folder.read_options()
        capture = options.read_capture(None)
        views = with_refined_poses(folder.cameras, capture.train_views)
        reduction = reduction_of(capture.train_views)
        settings = settings_of(options.train, capture.render_background, reduction=reduction)
        with display.counting("collecting evidence", "training views") as progress:
            evidence = gather(gaussians, views, settings, progress=progress)
    except (FormatError, CaptureError, ConfigError) as error:
        _log.warning("floaters are found by isolation: %s", error)
        return None
    return floaters_by_support(gaussians, evidence)


def write_envelope(
    folder: RunFolder, gaussians: Gaussians, capture: Capture, config: TrainConfig, display: Display
) -> None:
    """Measure where a scene can be trusted; write ``envelope.json`` and ``trust.npz``.

    Args:
        folder: of the run.
        gaussians: the scene.
        capture: the training data.
        config: options of training.
        display: shows progress and the result.

    Raises:
        SfumatoError: a file cannot be written.
    """
    settings = settings_of(config, capture.render_background, reduction=reduction_of(capture.train_views))
    training = with_refined_poses(folder.cameras, capture.train_views)
    found = measure_envelope(
        gaussians.to(HOST), training, capture.test_views, settings, capture.depth, display
    )
    write_trust(found.trust, folder.trust)
    write_json(folder.envelope, found.document)
    for words in in_words(found.document):
        display.say(words)


def in_words(document: Mapping[str, Any]) -> list[str]:
    """The content of ``envelope.json``, as lines of text."""
    lines = [
        f"expected PSNR {row['expected_psnr']:.1f} dB{_measured(row)} {_place(row)}"
        for row in document["curve"]
    ]
    if document["spearman"] is not None:
        lines.append(f"rank correlation of expected and true errors of pixels: {document['spearman']:.2f}")
    lines.append(_floaters(document["floaters"]))
    lines += [f"photograph next: {one['says']}" for one in document["next_photographs"]]
    return lines


def _floaters(found: Mapping[str, Any]) -> str:
    words = counts_in_words(found)
    if found.get("psnr_without") is None:
        return words
    return f"{words}; held-out views {found['psnr']:.2f} dB, without them {found['psnr_without']:.2f} dB"


def _measured(row: Mapping[str, Any]) -> str:
    return "" if row["measured_psnr"] is None else f", measured {row['measured_psnr']:.1f} dB,"


def _place(row: Mapping[str, Any]) -> str:
    return f"{row['distance']:.3g} and {row['angle_deg']:.0f} degrees from the nearest training view"
