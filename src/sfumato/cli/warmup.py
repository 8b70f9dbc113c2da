"""`sfumato warmup`: compile kernels before they are needed."""

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
    """Compile the kernels for rendering and training, and store them on disk.

    Otherwise this happens at the first use on a machine. sfumato doctor shows where they are stored.

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
