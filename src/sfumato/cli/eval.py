"""`sfumato eval`: measure the quality of a run's scene on held-out views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from sfumato.cli.arguments import parse
from sfumato.cli.help import Help

_HELP = Help(examples=("sfumato eval out/mine --envelope",))


@dataclass(frozen=True)
class EvalCommand:
    """Measure the scene of a run folder on its held-out views again.

    Reads scene.ply and config.json; writes metrics.json, renders/ and the training chart.

    Attributes:
        run: run folder.
        data: the dataset, if it has moved since training.
        size: long side of the held-out views in pixels, at most that of the photographs; None: as trained.
            They are also compared at native size, up to 1600 pixels.
        envelope: measure where the scene can be trusted: writes envelope.json and trust.npz, and updates
            scene.html if it exists.
        device: compute device, cpu or cuda (untested so far); auto: cpu.
    """

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    data: Path | None = None
    size: int | None = None
    envelope: bool = False
    device: str = "auto"


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and evaluate; the exit code."""
    given = parse(EvalCommand, "eval", arguments, shown=_HELP)
    from rich.console import Console

    from sfumato.blocks.train_in_blocks import measure_seams
    from sfumato.cli.pages import write_page_of
    from sfumato.display import Display
    from sfumato.ops.backend import device_named
    from sfumato.runs.envelope_run import write_envelope
    from sfumato.runs.folder import RunFolder
    from sfumato.runs.held_out_evaluation import EvaluationOptions
    from sfumato.runs.results import draw_chart, write_results
    from sfumato.scene.files import load

    device, folder = device_named(given.device), RunFolder(given.run)
    options = folder.read_options()
    folder.check_own()
    scene = load(folder.scene).to(device)
    capture = options.read_capture(given.data)
    display, how = Display(Console()), EvaluationOptions(given.size)
    rows = folder.read_metrics().get("blocks")
    write_results(folder, scene, capture, options.train, folder.read_training(), display, how)
    measure_seams(folder, scene, capture, options, display, rows=rows)
    draw_chart(folder)
    if given.envelope:
        write_envelope(folder, scene, capture, options.train, display)
        if folder.page.is_file():
            write_page_of(folder, scene, options.train, capture, display)
    return 0
