"""`sfumato convert`: a scene file into another format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from sfumato.cli.arguments import parse
from sfumato.errors import ConfigError


@dataclass(frozen=True)
class ConvertCommand:
    """Convert a scene: the input format is detected from content, the output format from the suffix.

    Axes, quaternions, view-dependent colour and colour space are converted. Data that a format
    cannot hold is dropped or rounded, with a message.

    Attributes:
        source: scene file of any format that can be read.
        out: scene file to write.
        sh_degree: drop view-dependent colour above this degree of spherical harmonics, 0 to 3.
        overwrite: replace the output if it exists, even if it is the input.
        repair: leave out Gaussians of a broken input, with NaN or a rotation of zeros, and count them.
        spz_version: version of a .spz output; few viewers read 4.
    """

    source: Annotated[Positional[Path], arg(metavar="IN")]
    out: Annotated[Positional[Path], arg(metavar="OUT")]
    sh_degree: Literal[0, 1, 2, 3] | None = None
    overwrite: bool = False
    repair: FlagCreatePairsOff[bool] = False
    spz_version: Literal[2, 3, 4] | None = None


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and convert; the exit code."""
    given = parse(ConvertCommand, "convert", arguments)
    from rich.console import Console

    from sfumato.display import Display
    from sfumato.scene.files import codec_of_name, load, recognised, save

    codec = codec_of_name(given.out)
    if given.out.exists() and not given.overwrite:
        same = given.source.exists() and given.out.samefile(given.source)
        what = "is the input itself" if same else "exists"
        raise ConfigError(f"{given.out} {what}; give another name, or --overwrite to replace it")
    options = {}
    if given.spz_version is not None:
        if "version" not in codec.options:
            raise ConfigError(f"--spz-version is for .spz files; {given.out} is {codec.name}")
        options["version"] = given.spz_version
    display = Display(Console())
    with display.waiting(f"reading {given.source} ({_size(given.source)})"):
        scene = load(given.source, repair=given.repair)
        kind = recognised(given.source).name
    if given.sh_degree is not None and given.sh_degree < scene.sh_degree:
        scene = replace(scene, sh=scene.sh[:, : (given.sh_degree + 1) ** 2].contiguous())
    with display.waiting(f"writing {len(scene):,} Gaussians of SH degree {scene.sh_degree} to {given.out}"):
        save(scene, given.out, **options)
    display.say(
        f"{given.source} ({kind}, {_size(given.source)}) -> {given.out} ({codec.name}, {_size(given.out)})"
    )
    return 0


def _size(path: Path) -> str:
    """The length of a file in MB, or why there is none."""
    try:
        return f"{path.stat().st_size / 1e6:.1f} MB"
    except OSError as error:
        return (error.strerror or "unknown size").lower()
