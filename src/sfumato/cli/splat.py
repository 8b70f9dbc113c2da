"""`sfumato splat`: turn a measured point cloud into a scene of surface splats, without training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from sfumato.cli.arguments import parse
from sfumato.cli.help import Help
from sfumato.errors import ConfigError
from sfumato.splatting.surface_splats import SplatConfig

if TYPE_CHECKING:
    from sfumato.splatting.surface_splats import SplattedCloud

_HELP = Help(
    examples=(
        "sfumato splat scan.laz -o out/scan/scene.ply",
        "sfumato splat west.laz east.laz -o out/scan/scene.ply",
    )
)


@dataclass(frozen=True)
class SplatCommand:
    """Turn a measured point cloud into a scene of surface splats, without training.

    Each point becomes a flat Gaussian in the plane of its neighbours, with a width equal to their spacing.
    Normals are read from the file or else estimated. The scene can be viewed, edited and converted, and
    training can start from it: sfumato train DATA --init scene.ply. Exit codes: 0 done, 2 wrong input or
    arguments, 1 anything else.

    Attributes:
        clouds: points: .ply, .las, .laz, .e57, .pcd, .glb, or text (.xyz, .txt, .csv, .pts), one point per
            line; or meshes: .obj, .stl, .off. Several files in the same frame become one scene.
        out: scene file to write; its suffix selects the format. metrics.json is written beside it.
        overwrite: replace the output and its metrics.json.
        config: options for making splats.
    """

    clouds: Annotated[Positional[tuple[Path, ...]], arg(metavar="CLOUD")]
    out: Annotated[Path, arg(aliases=["-o"])]
    overwrite: FlagCreatePairsOff[bool] = False
    config: Annotated[SplatConfig, arg(name="")] = field(default_factory=SplatConfig)


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and splat; the exit code."""
    given = parse(SplatCommand, "splat", arguments, shown=_HELP)
    if not given.clouds:
        raise ConfigError("CLOUD is missing: give a file of points; see sfumato splat --help")
    from rich.console import Console

    from sfumato import machine
    from sfumato.cli.existing_files import metrics_beside
    from sfumato.display import Display
    from sfumato.outputs import write_json
    from sfumato.scene.files import codec_of_name, save
    from sfumato.splatting.surface_splats import splat

    codec_of_name(given.out)
    metrics = metrics_beside(given.out, "splat", overwrite=given.overwrite)
    display, began = Display(Console()), time.monotonic()
    found = splat(given.clouds, given.config, display=display)
    save(found.scene, given.out)
    seconds = time.monotonic() - began
    write_json(metrics, _metrics(given, found, seconds) | {"environment": machine.environment()})
    if any(found.offset):
        where = ", ".join(f"{value:.15g}" for value in found.offset)
        display.say(f"positions are stored relative to ({where}), the offset in {metrics}")
    display.say(
        f"the scene is {given.out}: {found.points:,} points, {len(found.scene):,} Gaussians, "
        f"{found.outliers:,} outliers left out, {found.spacing:.3g} units apart, {seconds:.1f} s, "
        f"{machine.peak_memory_bytes() / 2**20:.0f} MiB"
    )
    return 0


def _metrics(given: SplatCommand, found: SplattedCloud, seconds: float) -> dict[str, object]:
    from sfumato import machine

    return {
        "version": 1,
        "kind": "splat",
        "clouds": [str(path) for path in given.clouds],
        "options": asdict(given.config),
        "points": found.points,
        "gaussians": len(found.scene),
        "outliers": found.outliers,
        "spacing": found.spacing,
        "offset": list(found.offset),
        "colours": found.colours,
        "normals": found.normals,
        "seconds": seconds,
        "peak_memory_bytes": machine.peak_memory_bytes(),
    }
