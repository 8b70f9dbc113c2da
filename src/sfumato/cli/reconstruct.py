"""`sfumato reconstruct`: reconstruct a scene from a video, photographs or a posed dataset in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from sfumato.cli.arguments import parse, resume_command
from sfumato.cli.help import Help
from sfumato.cli.train import with_length_of, without_length
from sfumato.footage.frame_options import FrameOptions
from sfumato.runs.run_options import CaptureOptions
from sfumato.sfm.config import SfmConfig
from sfumato.training.config import TrainConfig

_HELP = Help(
    common=(
        *("out", "resume", "overwrite", "view", "minutes", "downscale", "test-every", "max-gaussians"),
        *("exposure", "refine-poses", "renderer", "frames.max-frames", "frames.max-photos"),
        *("sfm.poses", "sfm.known-distance"),
    ),
    examples=(
        "sfumato reconstruct video.mp4 -o out/mine",
        "sfumato reconstruct photos/ -o out/mine --minutes 30 --exposure",
        "sfumato reconstruct photos/ -o out/mine --sfm.known-distance a.jpg b.jpg 0.5",
    ),
)


@dataclass(frozen=True)
class ReconstructCommand:
    """Make a scene from a video or photographs, within a given time.

    INPUT is a video, photographs, a folder of either, several of them, or a dataset with cameras. Cameras
    are found, the scene is trained, and its quality is measured on held-out photographs.
    After an interruption the same command resumes.
    Exit codes: 0 done, 2 bad input, 130 Ctrl-C, 143 SIGTERM, 1 anything else.

    Attributes:
        inputs: videos, photographs, folders of them, or one dataset.
        out: run folder to make: scene.ply, metrics.json, renders and more; the cameras are in dataset/.
        resume: resume the reconstruction in the folder with its saved options, which need not be repeated.
        overwrite: replace the results in the run folder.
        device: compute device, cpu or cuda (untested so far); auto: cpu.
        view: watch the training in the browser, at an address that only this machine can open.
        frames, sfm, capture, train: groups of options.
    """

    inputs: Annotated[Positional[tuple[Path, ...]], arg(metavar="INPUT")]
    out: Annotated[Path, arg(aliases=["-o"])]
    resume: FlagCreatePairsOff[bool] = False
    overwrite: FlagCreatePairsOff[bool] = False
    device: str = "auto"
    view: FlagCreatePairsOff[bool] = False
    frames: FrameOptions = field(default_factory=FrameOptions)
    sfm: SfmConfig = field(default_factory=SfmConfig)
    capture: Annotated[CaptureOptions, arg(name="")] = field(default_factory=CaptureOptions)
    train: Annotated[TrainConfig, arg(name="")] = field(default_factory=TrainConfig)


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and reconstruct; the exit code."""
    given = parse(ReconstructCommand, "reconstruct", arguments, shown=_HELP)
    if given.resume:
        given = _with_stored_options(given, arguments)
    from rich.console import Console

    from sfumato.cli.pages import TrainingViewer, write_run_page
    from sfumato.display import Display
    from sfumato.reconstruction.reconstruct import Reconstruction, reconstruct
    from sfumato.runs.folder import RunFolder

    task = Reconstruction(given.inputs, given.frames, given.sfm, given.capture, given.train)
    display = Display(Console())
    with TrainingViewer(given.out, display, wanted=given.view) as watching:
        result = reconstruct(
            task,
            given.out,
            resume=given.resume,
            overwrite=given.overwrite,
            display=display,
            watch=watching.watch,
            device=given.device,
        )
        watching.finish(result)
        if not result.stopped_by:
            write_run_page(given.out, result, display)
            watching.offer(RunFolder(given.out).page)
    if result.stopped_by:
        display.say(f"to resume: {resume_command('reconstruct', arguments)}")
        return 128 + result.stopped_by
    return 0


def _with_stored_options(given: ReconstructCommand, arguments: Sequence[str]) -> ReconstructCommand:
    """Parse again with the stored options of the reconstruction as defaults."""
    from sfumato.reconstruction.reconstruct import Reconstruction
    from sfumato.reconstruction.saved_task import load_task

    saved = load_task(Reconstruction, given.out)
    if saved is None:
        return given
    default = ReconstructCommand(
        given.inputs,
        given.out,
        frames=saved.frames,
        sfm=saved.sfm,
        capture=saved.capture,
        train=without_length(saved.train),
    )
    again = parse(ReconstructCommand, "reconstruct", arguments, default=default)
    return replace(again, train=with_length_of(again.train, saved.train))
