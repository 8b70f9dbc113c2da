"""`sfumato train`: train a scene on photographs with cameras."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from sfumato.cli.arguments import parse, resume_command
from sfumato.cli.help import Help
from sfumato.errors import ConfigError
from sfumato.runs.run_options import CaptureOptions, RunOptions
from sfumato.training.config import TrainConfig

if TYPE_CHECKING:
    import torch

    from sfumato.blocks.block_engine import BlockEngine
    from sfumato.blocks.train_in_blocks import BlockedResult
    from sfumato.display import Display

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
        device: compute device, cpu or cuda (untested so far); auto: cpu.
        view: watch the training in the browser, at an address that only this machine can open.
        checkpoint_every: steps between two checkpoints; None: about one a minute.
        block: train one block of a scene alone: its block.json, as --blocks wrote it.
        blocks: divide the scene along the ground into this many blocks; auto: as many as the memory requires;
            None: one, or the number of blocks of the run in the folder.
        processes: number of processes that train the scene together, each with a part of its Gaussians; each
            step then takes at least as many photographs. Under torchrun, its processes are used.
        cluster: train the blocks on Dask workers: local, local:N, or the address of a running scheduler, such
            as tcp://10.0.0.5:8786; None: one after another in this process.
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
    block: Path | None = None
    blocks: Annotated[int | Literal["auto"] | None, arg(metavar="INT|auto")] = None
    processes: int = 1
    cluster: str | None = None
    capture: Annotated[CaptureOptions, arg(name="")] = field(default_factory=CaptureOptions)
    config: Annotated[TrainConfig, arg(name="")] = field(default_factory=TrainConfig)

    def run_options(self) -> RunOptions:
        """The options of the run, without those of this command."""
        return RunOptions(self.data, self.capture, self.config, self.init, self.checkpoint_every, self.block)


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and train; the exit code."""
    given = parse(TrainCommand, "train", arguments, shown=_HELP)
    from sfumato.ops.backend import device_named
    from sfumato.runs.shared_training import follow_torchrun
    from sfumato.sharding.ranks import torchrun

    device = device_named(given.device)
    if given.resume:
        given = _with_stored_options(given, arguments)
    of_torchrun = torchrun()
    if of_torchrun and of_torchrun.rank > 0:
        follow_torchrun()
        return 0
    given = _with_batch(given, of_torchrun.processes if of_torchrun else given.processes)
    from rich.console import Console

    from sfumato.cli.pages import TrainingViewer, write_run_page
    from sfumato.display import Display
    from sfumato.runs.folder import RunFolder
    from sfumato.runs.run import run_training

    display = Display(Console())
    if _is_in_blocks(given):
        in_blocks = _train_in_blocks(given, device, display)
        if in_blocks.blocks > 1:
            return _end_of_blocks(given, arguments, in_blocks, display)
    with TrainingViewer(given.out, display, wanted=given.view) as watching:
        result = run_training(
            given.out,
            given.run_options(),
            resume=given.resume,
            overwrite=given.overwrite,
            display=display,
            watch=watching.watch,
            device=device,
            processes=given.processes,
        )
        watching.finish(result)
        if not result.stopped_by:
            write_run_page(given.out, result, display)
            watching.offer(RunFolder(given.out).page)
    if result.stopped_by:
        display.say(f"to resume: {resume_command('train', arguments)}")
        return 128 + result.stopped_by
    return 0


def _is_in_blocks(given: TrainCommand) -> bool:
    """Whether blocks are asked for, or the run in the folder has some."""
    from sfumato.blocks.blocked_run import blocks_of
    from sfumato.runs.folder import RunFolder

    if given.blocks is not None or (not given.overwrite and blocks_of(RunFolder(given.out)) > 1):
        return True
    if given.cluster is not None:
        raise ConfigError("--cluster trains blocks: give --blocks auto too, or a number of blocks")
    return False


def _train_in_blocks(given: TrainCommand, device: torch.device, display: Display) -> BlockedResult:
    from sfumato.blocks.train_in_blocks import train_in_blocks

    if given.view and given.blocks != 1:
        raise ConfigError("--view shows the training of a whole scene: leave it out, or give --blocks 1")
    with _engine(given, device, display) as engine:
        return train_in_blocks(
            given.out,
            given.run_options(),
            None if given.blocks == "auto" else given.blocks,
            engine,
            display,
            resume=given.resume,
            overwrite=given.overwrite,
            device=device,
        )


def _engine(
    given: TrainCommand, device: torch.device, display: Display
) -> AbstractContextManager[BlockEngine]:
    if given.cluster is None or given.blocks == 1:
        from sfumato.blocks.block_engine import SequentialEngine

        return nullcontext(SequentialEngine(device))
    from sfumato.blocks.dask_client import ClusterSpec
    from sfumato.blocks.dask_engine import DaskEngine

    return DaskEngine(ClusterSpec.of(given.cluster), given.device, display)


def _end_of_blocks(
    given: TrainCommand, arguments: Sequence[str], result: BlockedResult, display: Display
) -> int:
    """Write the pages of a run in blocks; the exit code."""
    from sfumato.cli.pages import write_pages

    if result.stopped_by or result.scene is None:
        display.say(f"to resume: {resume_command('train', arguments)}")
        return 128 + (result.stopped_by or 0)
    write_pages(given.out, result.scene, result.capture, given.config, display)
    return 0


def _with_stored_options(given: TrainCommand, arguments: Sequence[str]) -> TrainCommand:
    """Parse again with the stored options of the run as defaults."""
    from sfumato.runs.folder import RunFolder

    stored = RunFolder(given.out).read_options()
    default = TrainCommand(
        given.data,
        given.out,
        checkpoint_every=stored.checkpoint_every,
        block=stored.block,
        capture=stored.capture,
        config=without_length(stored.train),
    )
    again = parse(TrainCommand, "train", arguments, default=default)
    return replace(again, config=with_length_of(again.config, stored.train))


def _with_batch(given: TrainCommand, processes: int) -> TrainCommand:
    """At least one photograph a step for each process, in a run that is not resumed.

    Raises:
        ConfigError: their number is not possible.
    """
    from sfumato.runs.checkpoint import MOST_PROCESSES

    if not 1 <= processes <= MOST_PROCESSES:
        raise ConfigError(f"--processes is {processes}; give 1 to {MOST_PROCESSES}")
    if processes > 1 and _is_in_blocks(given):
        raise ConfigError("--processes share one scene: give it with --block, not with --blocks or --cluster")
    if given.resume:
        return given
    batch_size = max(given.config.batch_size, processes)
    return replace(given, config=replace(given.config, batch_size=batch_size))


def without_length(config: TrainConfig) -> TrainConfig:
    """The same options without a length, which is either ``steps`` or ``minutes``."""
    return replace(config, steps=None, minutes=None)


def with_length_of(config: TrainConfig, stored: TrainConfig) -> TrainConfig:
    """The same options, with the length of ``stored`` if they have none."""
    if config.steps is not None or config.minutes is not None:
        return config
    return replace(config, steps=stored.steps, minutes=stored.minutes)
