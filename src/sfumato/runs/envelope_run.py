"""The trust of a run's scene: ``sfumato eval --envelope`` and ``sfumato.trust``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfumato.capture.dataset import Capture
from sfumato.checks import file_path
from sfumato.display import Display
from sfumato.envelope.measure_envelope import measure_envelope
from sfumato.envelope.trust import Trust
from sfumato.envelope.trust_file import read_trust, write_trust
from sfumato.ops.backend import HOST
from sfumato.outputs import write_json
from sfumato.runs.folder import RunFolder
from sfumato.scene.files import load
from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import TrainConfig
from sfumato.training.render_settings import settings_of


def trust(run: str | Path) -> Trust:
    """The trust of a run's scene, as ``sfumato eval RUN --envelope`` has measured it.

    Args:
        run: run folder.

    Returns:
        Trust; ``render(camera)`` gives the expected error of any view [h, w].

    Raises:
        ConfigError: there is no run.
        FormatError: ``scene.ply`` or ``trust.npz`` is missing or damaged, or they do not belong together.
    """
    folder = RunFolder(file_path("run", run))
    settings = settings_of(folder.read_options().train)
    return read_trust(folder.trust, load(folder.scene), settings)


def write_envelope(
    folder: RunFolder, gaussians: Gaussians, capture: Capture, config: TrainConfig, display: Display
) -> None:
    """Find out where a scene can be trusted; write ``envelope.json`` and ``trust.npz``.

    Args:
        folder: of the run.
        gaussians: the scene.
        capture: what it was trained on.
        config: how.
        display: where progress and the outcome are shown.

    Raises:
        SfumatoError: a file cannot be written.
    """
    settings = settings_of(config, capture.render_background)
    found = measure_envelope(
        gaussians.to(HOST), capture.train_views, capture.test_views, settings, capture.depth, display
    )
    write_trust(found.trust, folder.trust)
    write_json(folder.envelope, found.document)
    for words in in_words(found.document):
        display.say(words)


def in_words(document: Mapping[str, Any]) -> list[str]:
    """What ``envelope.json`` says, a line each."""
    lines = [
        f"expected PSNR {row['expected_psnr']:.1f} dB{_measured(row)} {_place(row)}"
        for row in document["curve"]
    ]
    if document["spearman"] is not None:
        lines.append(f"rank correlation of expected and true errors of pixels: {document['spearman']:.2f}")
    floaters = document["floaters"]
    lines.append(f"{floaters['count']:,} floaters ({floaters['share']:.1%} of the Gaussians)")
    lines += [f"photograph next: {one['says']}" for one in document["next_photographs"]]
    return lines


def _measured(row: Mapping[str, Any]) -> str:
    return "" if row["measured_psnr"] is None else f", measured {row['measured_psnr']:.1f} dB,"


def _place(row: Mapping[str, Any]) -> str:
    return f"{row['distance']:.3g} and {row['angle_deg']:.0f} degrees from the nearest training view"
