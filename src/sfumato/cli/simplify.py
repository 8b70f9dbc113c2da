"""`sfumato simplify`: fewer Gaussians for the same picture."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from sfumato.cli.arguments import parse
from sfumato.cli.help import Help
from sfumato.errors import ConfigError

_HELP = Help(
    examples=(
        "sfumato simplify out/mine -o small.ply -n 25%",
        "sfumato simplify scene.spz -o small.spz -n 50000",
    )
)


@dataclass(frozen=True)
class SimplifyCommand:
    """Reduce the number of Gaussians of a scene: neighbours are merged so that it looks similar.

    Pairs whose merging changes the image least are merged first. The same input gives the same result. From
    .ply to .ply, a scene of more than 500,000 Gaussians is simplified part by part, with a temporary file
    beside the output, and may be larger than memory. Exit codes: 0 done, 2 wrong input or arguments, 1
    anything else.

    Attributes:
        scene: run folder, or scene file of any format.
        out: scene file to write; its suffix selects the format.
        count: Gaussians of the result: a number such as 50000, or a share such as 25% or 0.25.
        overwrite: replace the output, even if it is the input.
        repair: skip broken Gaussians of the input, with NaN or an all-zero rotation, and report their number.
    """

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    out: Annotated[Path, arg(aliases=["-o"])]
    count: Annotated[str, arg(aliases=["-n"], metavar="COUNT|SHARE")]
    overwrite: FlagCreatePairsOff[bool] = False
    repair: FlagCreatePairsOff[bool] = False


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and simplify; the exit code."""
    given = parse(SimplifyCommand, "simplify", arguments, shown=_HELP)
    count = count_of_text(given.count)
    from rich.console import Console

    from sfumato import machine
    from sfumato.cli.existing_files import refuse_to_replace
    from sfumato.cli.scene_files import scene_file
    from sfumato.display import Display
    from sfumato.levels.large import CELL, simplify_source
    from sfumato.levels.scene_source import source_of_file
    from sfumato.levels.simplify import simplify
    from sfumato.scene.files import codec_of_name, load, ply, save

    codec = codec_of_name(given.out)
    refuse_to_replace([given.out], overwrite=given.overwrite)
    display, began, path = Display(Console()), time.monotonic(), scene_file(given.scene)
    source = source_of_file(path, repair=given.repair)
    if source.count > CELL and codec is ply.CODEC:
        with display.counting("simplifying", "Gaussians") as report:
            made = simplify_source(source, count, given.out, report=report)
    else:
        with display.counting("simplifying", "merges") as report:
            scene = simplify(load(path, repair=given.repair), count, report=report)
        save(scene, given.out)
        made = len(scene)
    display.say(
        f"{given.out}: {source.count:,} -> {made:,} Gaussians, {time.monotonic() - began:.1f} s, "
        f"{machine.peak_memory_bytes() / 2**20:.0f} MiB"
    )
    return 0


def count_of_text(text: str) -> int | float:
    """A number of Gaussians, or a share between 0 and 1, of the text of ``-n``.

    Raises:
        ConfigError: it is neither.
    """
    digits = text.strip().removesuffix("%")
    is_share = digits != text.strip()
    try:
        value = float(digits) / (100 if is_share else 1)
    except ValueError:
        value = 0.0
    if 0 < value < 1:
        return value
    if value >= 1 and value == int(min(value, 1e18)) and not is_share:
        return int(value)
    raise ConfigError(f"-n {text!r:.40}: give a number of Gaussians such as 50000, or a share such as 25%")
