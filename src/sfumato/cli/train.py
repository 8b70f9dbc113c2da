"""`sfumato train`: train a scene on photographs with cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from sfumato.cli.arguments import command_that_goes_on, parse
from sfumato.cli.help import Help
from sfumato.runs.run_options import CaptureOptions, RunOptions
from sfumato.training.config import TrainConfig

_HELP = Help(
    common=(
        *("out", "resume", "overwrite", "view", "minutes", "steps", "downscale", "test-every", "init"),
        *("max-gaussians", "strategy", "exposure", "refine-poses", "renderer", "antialiased", "seed"),
    ),
    examples=(
        "sfumato train data/mine -o out/mine",
        "sfumato train data/mine -o out/mine --steps 7000 --downscale 2 --view",
        "sfumato train data/mine -o out/mine --resume --steps 15000",
    ),
)


@dataclass(frozen=True)
class TrainCommand:
    """Train a scene of 3D Gaussians on photographs with cameras.

    DATA is a COLMAP folder or one with transforms.json (instant-ngp, nerfstudio, Blender). Ctrl-C
    saves a checkpoint; the same command resumes, also after a power cut. Exit codes: 0 done, 2 bad
    input, 130 Ctrl-C, 143 SIGTERM, 1 anything else.

    Attributes:
        data: dataset folder.
        out: run folder to make: scene.ply, metrics.json, renders and more.
        resume: resume the run in the folder with its saved options, which need not be repeated; --steps or
            --minutes may be given to make it longer.
        overwrite: replace the results in the run folder.
        init: a scene (.ply) to initialise from instead of the dataset's points.
        device: compute device, cpu or cuda (never tried so far); auto: cpu.
        view: watch the training in the browser, at an address that only this machine can open.
        checkpoint_every: steps between two checkpoints; None: about one a minute.
        capture, config: groups of options.
    """

    data: Annotated[Positional[Path], arg(metavar="DATA")]
    out: Annotated[Path, arg(aliases=["-o"])]
    resume: FlagCreatePairsOff[bool] = False
    overwrite: FlagCreatePairsOff[bool] = False
    init: Path | None = None
    device: str = "auto"
    view: FlagCreatePairsOff[bool] = False
    checkpoint_every: int | None = None
    capture: Annotated[CaptureOptions, arg(name="")] = field(default_factory=CaptureOptions)
    config: Annotated[TrainConfig, arg(name="")] = field(default_factory=TrainConfig)

    def run_options(self) -> RunOptions:
        """The options of the run, without those of this command."""
        return RunOptions(self.data, self.capture, self.config, self.init, self.checkpoint_every)


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and train; the exit code."""
    given = parse(TrainCommand, "train", arguments, shown=_HELP)
    from sfumato.ops.backend import device_named

    device = device_named(given.device)
    if given.resume:
        given = _with_stored_options(given, arguments)
    from rich.console import Console

    from sfumato.cli.pages import Watching, write_run_page
    from sfumato.display import Display
    from sfumato.runs.run import run_training

    display = Display(Console())
    with Watching(given.out, display, wanted=given.view) as watching:
        result = run_training(
            given.out,
            given.run_options(),
            resume=given.resume,
            overwrite=given.overwrite,
            display=display,
            watch=watching.watch,
            device=device,
        )
        watching.finish(result)
    if result.stopped_by:
        display.say(f"to go on: {command_that_goes_on('train', arguments)}")
        return 128 + result.stopped_by
    write_run_page(given.out, result, given.config, display)
    return 0


def _with_stored_options(given: TrainCommand, arguments: Sequence[str]) -> TrainCommand:
    """Parse again with the stored options of the run as defaults."""
    from sfumato.runs.folder import RunFolder

    stored = RunFolder(given.out).read_options()
    default = TrainCommand(
        given.data,
        given.out,
        checkpoint_every=stored.checkpoint_every,
        capture=stored.capture,
        config=without_length(stored.train),
    )
    again = parse(TrainCommand, "train", arguments, default=default)
    return replace(again, config=with_length_of(again.config, stored.train))


def without_length(config: TrainConfig) -> TrainConfig:
    """The same options without a length, which is either ``steps`` or ``minutes``."""
    return replace(config, steps=None, minutes=None)


def with_length_of(config: TrainConfig, stored: TrainConfig) -> TrainConfig:
    """The same options, with the length of ``stored`` if they have none."""
    if config.steps is not None or config.minutes is not None:
        return config
    return replace(config, steps=stored.steps, minutes=stored.minutes)
