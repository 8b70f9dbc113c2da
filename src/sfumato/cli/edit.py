"""`sfumato edit`: apply a sequence of edits to static or dynamic scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from sfumato.cli.arguments import HELP_OPTIONS, parse
from sfumato.errors import ConfigError

if TYPE_CHECKING:
    from sfumato.display import Display
    from sfumato.edit.script import Edit
    from sfumato.edit.selections import Selection
    from sfumato.scene.dynamic import DynamicScene
    from sfumato.scene.scene import Scene

HELP = """
edits, in any number, applied in the given order:
  --keep SELECTION           keep only selected Gaussians
  --delete SELECTION         delete selected Gaussians
  --clean                    remove floaters: for a run, Gaussians not supported by its photographs; else
                             isolated groups of fewer than 32 Gaussians. --clean=reach=2,members=32 always
                             removes isolated groups: reach in sigmas, and the smallest group to keep
  --translate X,Y,Z          move, scene units
  --rotate X,Y,Z             rotate about the origin, degrees: about x, then y, then z
  --scale FACTOR             about the origin
  --transform M11,M12,...    a similarity of 16 numbers, row by row
  --duplicate X,Y,Z          add a copy, moved
  --paint R,G,B              one colour, numbers in [0, 1]
  --tint R,G,B               multiply the colours
  --saturate FACTOR          0: grey, 1: as it is
  --fade FACTOR              multiply the opacities
  --degree N                 spherical harmonics up to degree N
  --add FILE                 add another scene, or a mesh (.obj, .stl, .off) as surface splats
  --script FILE              the edits in a JSON file, see sfumato.edit.script
  --where SELECTION          restrict the next edit to the selection

dynamic scenes are edited at all times; selections are made at one moment
  --at SECONDS               the moment of the following selections; by default the first step
  --ride FILE[,X,Y,Z]        add a static scene or a mesh, translated first, attached to the selection
  --from SECONDS             cut off earlier times
  --until SECONDS            cut off later times

selections:
  box:X0,Y0,Z0,X1,Y1,Z1      centres in a box           sphere:X,Y,Z,RADIUS   in a ball
  plane:NX,NY,NZ,OFFSET      beyond a plane             opacity:LOW..HIGH     either may be left out
  size:LOW..HIGH             largest sigma              colour:R,G,B,WITHIN   near a colour
  cluster:X,Y,Z,LINK         connected to the Gaussian nearest to a point by gaps up to LINK
  largest:LINK               the connected cluster of the most Gaussians
  masks:DATASET,FOLDER       marked in pictures of masks, named like the photographs of the dataset
  floaters                   what --clean removes
  polygon:CAMERA,X,Y,X,Y,... in a polygon of a picture, pixels, at any depth; CAMERA is 20 numbers, the
                             rows of camera_from_world, focal lengths and centre: the page writes them
  brush:CAMERA,RADIUS,X,Y,.. under the stroke of a round brush in a picture
  not A, A and B, A or B     quoted, as in --delete "box:0,0,0,1,1,1 and not (opacity:0.1.. or floaters)"

examples: sfumato edit run -o cup.ply --clean --keep sphere:0,0,2,0.5 --rotate 90,0,0
          sfumato edit tracked -o empty.4dgs --at 0.5 --delete sphere:0,0,2,0.5"""


@dataclass(frozen=True)
class EditFiles:
    """Change a scene: select, remove, move, turn, scale, colour, join, clean.

    The inputs are joined, edited and written to the output, whose suffix selects the format. If one of them
    is dynamic, so is the output: see sfumato convert for formats. Exit codes: 0 done, 2 wrong input or
    arguments, 1 anything else.

    Attributes:
        inputs: scene files of any format, or run folders; several are joined.
        out: scene file to write; its suffix selects the format. A dynamic scene without suffix is written as
            a folder.
        overwrite: replace the output, even if it is an input.
        repair: skip broken Gaussians of the inputs, with NaN or an all-zero rotation, and report their
            number.
        view: a view saved by the page, in JSON: the output opens with it, as its .ply file says in a comment.
        save_script: also write the edits to this JSON file, for --script.
    """

    inputs: Annotated[Positional[tuple[Path, ...]], arg(metavar="IN")]
    out: Annotated[Path, arg(aliases=["-o"])]
    overwrite: FlagCreatePairsOff[bool] = False
    repair: FlagCreatePairsOff[bool] = False
    view: Path | None = None
    save_script: Path | None = None


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and edit; the exit code."""
    if HELP_OPTIONS & set(arguments):
        try:
            parse(EditFiles, "edit", ["--help"])
        finally:
            print(f"\n{HELP}")
    words, edits = take_edits(arguments)
    given = parse(EditFiles, "edit", words, also=edit_options())
    if not given.inputs:
        raise ConfigError("IN is missing: give a scene file or a run folder; see sfumato edit --help")
    from rich.console import Console

    from sfumato.cli.existing_files import refuse_to_replace
    from sfumato.cli.scene_files import scene_file
    from sfumato.display import Display
    from sfumato.edit.script import write_script
    from sfumato.scene.changes import merged
    from sfumato.scene.files import codec_of_name, load, save
    from sfumato.scene.files.dynamic_files import files_there, holds_motion, save_dynamic, writer_of_name
    from sfumato.scene.gaussians import Gaussians
    from sfumato.scene.scene import floating_of

    display = Display(Console())
    moves = any(map(holds_motion, given.inputs))
    (writer_of_name if moves else codec_of_name)(given.out)
    made = [*files_there(given.out), *filter(None, (given.save_script,))]
    refuse_to_replace(made, overwrite=given.overwrite)
    scene: Gaussians | DynamicScene
    if moves:
        scene = _moving(given)
    else:
        scenes = [load(scene_file(path), repair=given.repair) for path in given.inputs]
        if any(map(_looks_for_floaters, edits)):
            scenes = [_with_floaters(*one, display) for one in zip(given.inputs, scenes, strict=True)]
        scene = merged(*scenes)
    for edit in edits:
        before = len(scene)
        is_known = isinstance(scene, Gaussians) and floating_of(scene) is not None
        if edit.name == "clean" and (edit.values or not is_known):
            display.say("clean: by isolation, groups of few Gaussians that touch nothing else")
        scene = edit(scene)
        display.say(f"{edit.name}: {before:,} -> {len(scene):,} Gaussians")
    if given.view:
        from sfumato.paths.view_file import read_view, with_view

        view = read_view(given.view)
        if isinstance(scene, Gaussians):
            scene = with_view(scene, view)
        else:
            scene = replace(scene, gaussians=with_view(scene.gaussians, view))
    if not len(scene):
        raise ConfigError("no Gaussians are left, so nothing was written; change the selection")
    if isinstance(scene, Gaussians):
        save(scene, given.out)
        display.say(f"the scene is {given.out}, {len(scene):,} Gaussians")
    else:
        remark = save_dynamic(scene, given.out)
        for line in filter(None, (f"the scene is {given.out}: {scene!r}", remark)):
            display.say(line)
    if given.save_script:
        write_script(given.save_script, edits)
    return 0


def _looks_for_floaters(edit: Edit) -> bool:
    """Whether an edit refers to floaters without specifying how to find them."""
    return (edit.name == "clean" and not edit.values) or "floaters" in str(edit.where and edit.where.plain())


def _with_floaters(path: Path, scene: Scene, display: Display) -> Scene:
    """A scene with its floaters by photographic support, if photographs are available."""
    from sfumato.envelope.floaters import counts_in_words
    from sfumato.runs.envelope_run import floaters_of

    found = floaters_of(path, scene, display)
    if found is None:
        return scene
    display.say(f"{path}: {counts_in_words(found.counts())}")
    return replace(scene, floating=found.mask)


def _moving(given: EditFiles) -> DynamicScene:
    """The inputs joined into one dynamic scene."""
    from sfumato.cli.scene_files import scene_file
    from sfumato.scene.dynamic import DynamicScene
    from sfumato.scene.dynamic_changes import as_dynamic, composed
    from sfumato.scene.files import load
    from sfumato.scene.files.dynamic_files import holds_motion, load_dynamic

    if given.repair:
        raise ConfigError("--repair is for static scenes, and one of these is dynamic")
    loaded = [load_dynamic(p) if holds_motion(p) else load(scene_file(p)) for p in given.inputs]
    times = next(one.times for one in loaded if isinstance(one, DynamicScene))
    return composed(*(one if isinstance(one, DynamicScene) else as_dynamic(one, times) for one in loaded))


def edit_options() -> set[str]:
    """Names of the options that are edits or modify edits."""
    from sfumato.edit.script import ARGUMENTS

    return {f"--{name}" for name in (*ARGUMENTS, "script", "where", "at")}


def take_edits(arguments: Sequence[str]) -> tuple[list[str], list[Edit]]:
    """Split a command line into its edits, in order, and everything else.

    Args:
        arguments: arguments after the verb.

    Returns:
        The other arguments, and the edits.

    Raises:
        ConfigError: an edit has missing or wrong arguments.
    """
    from sfumato.edit.parameters import from_text
    from sfumato.edit.script import AT, read_script
    from sfumato.edit.selections import selection_from_text

    known = edit_options()
    others: list[str] = []
    edits: list[Edit] = []
    where, at = None, None
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
        elif name == "at":
            at = from_text(AT, value, option)["at"]
        elif name == "script":
            edits += read_script(Path(value))
        else:
            edits.append(replace(_edit(name, value, where), at=at))
            where = None
    if where is not None:
        raise ConfigError("--where must be followed by the edit that it restricts")
    return others, edits


def _edit(name: str, value: str, where: Selection | None) -> Edit:
    from sfumato.edit.parameters import from_text
    from sfumato.edit.script import ARGUMENTS, Edit
    from sfumato.edit.selections import selection_from_text

    if name in ("keep", "delete"):
        if where is not None:
            raise ConfigError(f"--where before --{name}: join the two selections by and")
        return Edit(name, {}, selection_from_text(value, f"--{name}"))
    return Edit(name, from_text(ARGUMENTS[name], value, f"--{name}"), where)
