"""`sfumato convert`: convert a static or dynamic scene to another format."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from sfumato.cli.arguments import parse
from sfumato.cli.help import Help
from sfumato.errors import ConfigError

if TYPE_CHECKING:
    from sfumato.display import Display
    from sfumato.scene.gaussians import Gaussians

_HELP = Help(
    examples=(
        "sfumato convert out/mine mine.spz",
        "sfumato convert scene.ply out/lod-meta.json",
    )
)


@dataclass(frozen=True)
class ConvertCommand:
    """Convert a scene: the input format is detected from content, the output format from the suffix.

    Axes, quaternions, view-dependent colour and colour space are converted. Data that a format
    cannot represent is dropped or rounded, with a message. A dynamic scene is written as .4dgs, as a
    sequence of files if OUT is such as out%04d.ply, as USD with time samples, as glTF with animated rigid
    parts, or, if OUT has no suffix, as a folder with scene.ply and tracks.npz; with --at, as a single moment
    in any format. An OUT called lod-meta.json becomes a folder of Streamed SOG, with levels of detail, which
    sfumato view and other viewers load as they need; one called tileset.json a folder of OGC 3D Tiles with
    glTF content. The scene may then be larger than memory.

    Attributes:
        source: scene file of any readable format, or a dynamic scene: .4dgs, or the folder of a tracked run.
        out: scene file to write.
        at: of a dynamic scene, write the moment at this many seconds.
        sh_degree: drop view-dependent colour above this degree of spherical harmonics, 0 to 3.
        overwrite: replace the output if it exists, even if it is the input.
        repair: skip broken Gaussians of the input, with NaN or an all-zero rotation, and report their number.
        spz_version: version of a .spz output; few viewers read 4.
    """

    source: Annotated[Positional[Path], arg(metavar="IN")]
    out: Annotated[Positional[Path], arg(metavar="OUT")]
    at: float | None = None
    sh_degree: Literal[0, 1, 2, 3] | None = None
    overwrite: bool = False
    repair: FlagCreatePairsOff[bool] = False
    spz_version: Literal[2, 3, 4] | None = None


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and convert; the exit code."""
    given = parse(ConvertCommand, "convert", arguments, shown=_HELP)
    from rich.console import Console

    from sfumato.display import Display
    from sfumato.scene.files.dynamic_files import holds_motion

    display = Display(Console())
    if holds_motion(given.source):
        _convert_moving(given, display)
    else:
        _convert_still(given, display)
    return 0


def _convert_still(given: ConvertCommand, display: Display) -> None:
    from sfumato.scene.files import NAMES_OF_LEVELS, load_with_format

    if given.at is not None:
        raise ConfigError(f"--at is for dynamic scenes, and {given.source} is static")
    if given.out.name in NAMES_OF_LEVELS:
        _convert_to_levels(given, display)
        return
    output = _format_of(given)
    _check_free(given)
    with display.waiting(f"reading {given.source} ({_size(given.source)})"):
        scene, kind = load_with_format(given.source, repair=given.repair)
    _save_still(given, scene, kind, output, display)


def _convert_to_levels(given: ConvertCommand, display: Display) -> None:
    from sfumato import machine
    from sfumato.levels.save_levels import save_source
    from sfumato.levels.scene_source import of_degree, source_of_file

    if given.spz_version is not None:
        raise ConfigError(f"--spz-version is for .spz files; {given.out} is none")
    _check_free(given)
    began = time.monotonic()
    source = source_of_file(given.source, repair=given.repair)
    source = of_degree(source, 3 if given.sh_degree is None else given.sh_degree)
    with display.counting("making levels of detail", "Gaussians") as report:
        counts = save_source(source, given.out, report=report)
    words = " + ".join(f"{count:,}" for count in counts)
    seconds, peak = time.monotonic() - began, machine.peak_memory_bytes() / 2**20
    display.say(f"{given.source} -> {given.out}: {words} Gaussians, {seconds:.1f} s, {peak:.0f} MiB")


def _convert_moving(given: ConvertCommand, display: Display) -> None:
    from sfumato.scene.dynamic_changes import check_within
    from sfumato.scene.files.dynamic_files import load_dynamic, save_dynamic, writer_of_name

    if given.repair:
        raise ConfigError(f"--repair is for static scenes; {given.source} is dynamic")
    output = None if given.at is None else _format_of(given)
    if output is None:
        name = writer_of_name(given.out).name
        if given.spz_version is not None:
            raise ConfigError(f"--spz-version is for .spz files; {given.out} is {name}")
    _check_free(given)
    with display.waiting(f"reading {given.source}"):
        scene = load_dynamic(given.source)
    if given.at is not None and output is not None:
        check_within(scene, given.at, given.at)
        _save_still(given, scene.at(given.at), f"at {given.at:g} s", output, display)
        return
    scene = replace(scene, gaussians=_of_degree(scene.gaussians, given.sh_degree))
    with display.waiting(f"writing {len(scene):,} Gaussians and {scene.num_steps} steps to {given.out}"):
        remark = save_dynamic(scene, given.out)
    for words in filter(None, (f"{given.source} -> {given.out}: {scene!r}", remark)):
        display.say(words)


def _format_of(given: ConvertCommand) -> tuple[str, dict[str, int]]:
    """Name of the format of the output, and its options."""
    from sfumato.scene.files import codec_of_name
    from sfumato.scene.files.spz_packing import zstd_module

    codec = codec_of_name(given.out)
    if given.spz_version is None:
        return codec.name, {}
    if "version" not in codec.options:
        raise ConfigError(f"--spz-version is for .spz files; {given.out} is {codec.name}")
    if given.spz_version == 4:
        zstd_module("a .spz file of version 4")
    return codec.name, {"version": given.spz_version}


def _save_still(
    given: ConvertCommand, scene: Gaussians, kind: str, output: tuple[str, dict[str, int]], display: Display
) -> None:
    from sfumato.scene.files import save

    name, options = output
    scene = _of_degree(scene, given.sh_degree)
    with display.waiting(f"writing {len(scene):,} Gaussians of SH degree {scene.sh_degree} to {given.out}"):
        save(scene, given.out, **options)
    display.say(f"{given.source} ({kind}, {_size(given.source)}) -> {given.out} ({name}, {_size(given.out)})")


def _of_degree(scene: Gaussians, degree: int | None) -> Gaussians:
    """The scene without view-dependent colour above a degree."""
    from sfumato.scene.changes import with_degree

    return scene if degree is None or degree >= scene.sh_degree else with_degree(scene, degree)


def _check_free(given: ConvertCommand) -> None:
    from sfumato.scene.files.dynamic_files import files_there

    there = files_there(given.out)
    if there and not given.overwrite:
        same = given.source.exists() and there[0].samefile(given.source)
        what = "is the input itself" if same else "exists"
        raise ConfigError(f"{there[0]} {what}; give another name, or --overwrite to replace it")


def _size(path: Path) -> str:
    """The size of a file in MB, or the reason why it is unknown."""
    try:
        return f"{path.stat().st_size / 1e6:.1f} MB"
    except OSError as error:
        return (error.strerror or "unknown size").lower()
