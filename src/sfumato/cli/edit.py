"""`sfumato edit`: scene files to a scene file, by a sequence of edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from sfumato.cli.arguments import parse
from sfumato.errors import ConfigError

if TYPE_CHECKING:
    from sfumato.edit.script import Edit
    from sfumato.edit.selections import Selection
    from sfumato.scene.gaussians import Gaussians

HELP = """
edits, in any number, done in the order in which they are given:
  --keep SELECTION           keep only what is selected
  --delete SELECTION         remove it
  --clean                    remove floaters: groups of fewer than 32 Gaussians that touch nothing else;
                             --clean=reach=2,members=32 says how far they reach and how few are too few
  --translate X,Y,Z          move, scene units
  --rotate X,Y,Z             turn about the origin, degrees: about x, then y, then z
  --scale FACTOR             about the origin
  --transform M11,M12,...    a similarity of 16 numbers, row by row
  --duplicate X,Y,Z          add a copy, moved
  --paint R,G,B              one colour, numbers in [0, 1]
  --tint R,G,B               multiply the colours
  --saturate FACTOR          0: grey, 1: as it is
  --fade FACTOR              multiply the opacities
  --degree N                 spherical harmonics up to degree N
  --add FILE                 add another scene
  --script FILE              the edits in a JSON file, see sfumato.edit.script
  --where SELECTION          the one edit after this is done to what is selected alone

selections:
  box:X0,Y0,Z0,X1,Y1,Z1      centres in a box           sphere:X,Y,Z,RADIUS   in a ball
  plane:NX,NY,NZ,OFFSET      beyond a plane             opacity:LOW..HIGH     either may be left out
  size:LOW..HIGH             largest sigma              colour:R,G,B,WITHIN   near a colour
  cluster:X,Y,Z,LINK         connected to the Gaussian nearest to a point by gaps up to LINK
  largest:LINK               the connected cluster of the most Gaussians
  masks:DATASET,FOLDER       marked in pictures of masks, named like the photographs of the dataset
  floaters                   what --clean removes
  not A, A and B, A or B     quoted, as in --delete "box:0,0,0,1,1,1 and not opacity:0.1.."

example: sfumato edit run -o cup.ply --clean --keep sphere:0,0,2,0.5 --rotate 90,0,0"""


@dataclass(frozen=True)
class EditFiles:
    """Change a scene: select, remove, move, turn, scale, colour, join, clean.

    The inputs are joined, edited and written to the output, whose suffix names the format. Exit codes:
    0 done, 2 something given is wrong, 1 anything else.

    Attributes:
        inputs: scene files of any format, or run folders; several are joined.
        out: scene file to make; its suffix names the format.
        overwrite: replace the output, even if it is an input.
        repair: leave out Gaussians of broken inputs, with NaN or a rotation of zeros, and count them.
        save_script: write the edits to this JSON file too, for --script.
    """

    inputs: Annotated[Positional[tuple[Path, ...]], arg(metavar="IN")]
    out: Annotated[Path, arg(aliases=["-o"])]
    overwrite: FlagCreatePairsOff[bool] = False
    repair: FlagCreatePairsOff[bool] = False
    save_script: Path | None = None


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and edit; the exit code."""
    if {"-h", "--help"} & set(arguments):
        try:
            parse(EditFiles, "edit", ["--help"])
        finally:
            print(HELP)
    words, edits = take_edits(arguments)
    given = parse(EditFiles, "edit", words, also=edit_options())
    if not given.inputs:
        raise ConfigError("IN is missing: give a scene file or a run folder; see sfumato edit --help")
    from rich.console import Console

    from sfumato.cli.scene_files import scene_file
    from sfumato.display import Display
    from sfumato.edit.script import write_script
    from sfumato.scene.changes import merged
    from sfumato.scene.files import codec_of_name, load, save

    display = Display(Console())
    codec_of_name(given.out)
    for path in filter(None, (given.out, given.save_script)):
        if path.exists() and not given.overwrite:
            raise ConfigError(f"{path} exists; give --overwrite to replace it, or another name")
    scene: Gaussians = merged(*(load(scene_file(path), repair=given.repair) for path in given.inputs))
    for edit in edits:
        before = len(scene)
        scene = edit(scene)
        display.say(f"{edit.name}: {before:,} -> {len(scene):,} Gaussians")
    if not len(scene):
        raise ConfigError("nothing is left of the scene, and nothing was written; select otherwise")
    save(scene, given.out)
    if given.save_script:
        write_script(given.save_script, edits)
    display.say(f"the scene is {given.out}, {len(scene):,} Gaussians")
    return 0


def edit_options() -> set[str]:
    """The options that are edits, or belong to them."""
    from sfumato.edit.script import EDITS

    return {f"--{name}" for name in (*EDITS, "script", "where")}


def take_edits(arguments: Sequence[str]) -> tuple[list[str], list[Edit]]:
    """Split a command line into its edits, in order, and everything else.

    Args:
        arguments: after the verb.

    Returns:
        The other words, and the edits.

    Raises:
        ConfigError: an edit has no or wrong arguments.
    """
    from sfumato.edit.script import read_script
    from sfumato.edit.selections import selection_from_text

    known = edit_options()
    others: list[str] = []
    edits: list[Edit] = []
    where = None
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        option, has_value, value = word.partition("=")
        name = option.removeprefix("--")
        if option not in known:
            others.append(word)
            continue
        if not has_value and name != "clean":
            if not rest:
                raise ConfigError(f"{option} needs a value; see sfumato edit --help")
            value = rest.pop(0)
        if name == "where":
            where = selection_from_text(value, option)
        elif name == "script":
            edits += read_script(Path(value))
        else:
            edits.append(_edit(name, value, where))
            where = None
    if where is not None:
        raise ConfigError("--where stands before the edit it is for; none follows")
    return others, edits


def _edit(name: str, value: str, where: Selection | None) -> Edit:
    from sfumato.edit.parameters import from_text
    from sfumato.edit.script import EDITS, Edit
    from sfumato.edit.selections import selection_from_text

    if name in ("keep", "delete"):
        if where is not None:
            raise ConfigError(f"--where before --{name}: join the two selections by and")
        return Edit(name, {}, selection_from_text(value, f"--{name}"))
    return Edit(name, from_text(EDITS[name][1], value, f"--{name}"), where)
