"""`sfumato warmup`: the kernels compiled before they are needed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sfumato.cli.arguments import parse
from sfumato.cli.help import Help

_HELP = Help(examples=("sfumato warmup", "sfumato warmup --renderers raster trace"))


@dataclass(frozen=True)
class WarmupCommand:
    """Compile the kernels that rendering and training need, and keep them on the disk.

    The first use on a machine does so otherwise. Where they are kept, sfumato doctor says.

    Attributes:
        renderers: renderers to compile for.
    """

    renderers: tuple[Literal["raster", "trace"], ...] = ("raster",)


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and compile; the exit code."""
    given = parse(WarmupCommand, "warmup", arguments, shown=_HELP)
    from rich.console import Console

    from sfumato.display import Display
    from sfumato.training.config import TrainConfig
    from sfumato.training.warm_up import prepare_kernels

    display = Display(Console())
    for renderer in given.renderers:
        began_s = time.monotonic()
        prepare_kernels(TrainConfig(renderer=renderer), (), display)
        display.say(f"kernels of the renderer {renderer} are ready after {time.monotonic() - began_s:.1f} s")
    return 0
