"""`sfumato sfm`: make a dataset with cameras from a video or photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from sfumato.cli.arguments import parse
from sfumato.cli.help import Help
from sfumato.footage.frame_options import FrameOptions
from sfumato.sfm.config import SfmConfig

_HELP = Help(
    examples=(
        "sfumato sfm photos/ -o data/mine",
        "sfumato sfm video.mp4 -o data/mine --max-frames 100",
    )
)


@dataclass(frozen=True)
class SfmCommand:
    """Find the cameras of a video or of photographs.

    INPUT is a video, a photograph, a folder of either, or several of them. For a posed dataset the given
    cameras are kept and points are triangulated. After an interruption the same command resumes.
    Exit codes: 0 done, 2 bad input or no cameras can be found, 130 Ctrl-C, 143
    SIGTERM, 1 anything else.

    Attributes:
        inputs: videos, photographs, folders of them.
        out: dataset folder to create: images/, sparse/0/ and sfm.json, readable by other programs.
        config, frames: groups of options.
    """

    inputs: Annotated[Positional[tuple[Path, ...]], arg(metavar="INPUT")]
    out: Annotated[Path, arg(aliases=["-o"])]
    config: Annotated[SfmConfig, arg(name="")] = field(default_factory=SfmConfig)
    frames: Annotated[FrameOptions, arg(name="")] = field(default_factory=FrameOptions)


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and find cameras; the exit code."""
    given = parse(SfmCommand, "sfm", arguments, shown=_HELP)
    from rich.console import Console

    from sfumato.display import Display
    from sfumato.errors import ConfigError
    from sfumato.sfm.pipeline import structure_from_motion

    if not given.inputs:
        raise ConfigError("INPUT is missing: give a video, photographs or a folder of them")
    display = Display(Console())
    result = structure_from_motion(given.inputs, given.out, given.config, given.frames, display=display)
    display.say(f"the dataset is {result.folder}")
    return 0
