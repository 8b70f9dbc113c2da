"""`sfumato mesh`: a triangle mesh of the surface in a scene."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from sfumato.cli.arguments import parse
from sfumato.cli.help import Help
from sfumato.meshing.mesh import MeshConfig

_HELP = Help(
    examples=(
        "sfumato mesh out/mine -o mine.ply",
        "sfumato mesh out/mine -o mine.glb --faces 50000",
        "sfumato mesh scene.ply --data photos/dataset -o mine.obj",
    )
)


@dataclass(frozen=True)
class MeshCommand:
    """Make a coloured triangle mesh of the surface in a scene.

    Depth is rendered from the cameras of the training views and fused; surfaces that few of them see, or on
    whose position they disagree, are left out. The mesh has the frame and unit of the dataset. Exit codes: 0
    done, 2 bad input, 130 Ctrl-C, 1 anything else.

    Attributes:
        scene: run folder, or a scene file with --data.
        out: file to write, .ply, .glb or .obj.
        data: the dataset with the cameras; by default that of the run folder.
        overwrite: replace an existing file.
        config: how.
    """

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    out: Annotated[Path, arg(aliases=["-o"])]
    data: Path | None = None
    overwrite: FlagCreatePairsOff[bool] = False
    config: Annotated[MeshConfig, arg(name="")] = field(default_factory=MeshConfig)


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and make the mesh; the exit code."""
    given = parse(MeshCommand, "mesh", arguments, shown=_HELP)
    from rich.console import Console

    from sfumato import machine
    from sfumato.cli.existing_files import refuse_to_replace
    from sfumato.display import Display
    from sfumato.meshing.mesh import mesh
    from sfumato.meshing.triangle_mesh import mesh_suffix

    mesh_suffix(given.out)
    refuse_to_replace([given.out], overwrite=given.overwrite)
    display, began = Display(Console()), time.monotonic()
    found = mesh(given.scene, given.config, data=given.data, display=display)
    found.save(given.out)
    display.say(
        f"{given.out}: {len(found.vertices):,} vertices, {len(found.faces):,} faces, "
        f"{time.monotonic() - began:.1f} s, {machine.peak_memory_bytes() / 2**20:.0f} MiB"
    )
    return 0
