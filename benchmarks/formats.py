"""Scene formats on a trained scene: bytes, seconds and what renders lose; and a million Gaussians.

    python benchmarks/formats.py DATA --splat-transform 'node splat-transform/bin/cli.mjs'

DATA is the folder with the dataset fox_colmap, which is trained on first; ``--scene`` takes a scene that
was trained on it before. PSNR is between our own renders of held-out cameras before and after. Beside ours
are the files that PlayCanvas' splat-transform makes of the same scene, read by us, and ours after it has
read them and written a .ply of them; its seconds include its start and its reading of a .ply.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from harness import print_table
from harness import save as keep

from sfumato import load_capture, rasterize, train
from sfumato.evaluation.metrics import psnr
from sfumato.scene.cameras import Camera
from sfumato.scene.files import load, save
from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import TrainConfig

# Of the photographs that are trained on; renders that are compared are as large as the photographs.
DOWNSCALE = 2
MILLION = 1_000_000


@dataclass(frozen=True)
class Format:
    """A format, and how to ask for it.

    Attributes:
        name: in the table.
        suffix: of the file.
        options: of ``sfumato.save``.
        theirs: of splat-transform; None where it does not write the format.
        read_by_them: whether it reads the format.
        sh: whether the format holds view-dependent colour.
        slow: written and read but once.
    """

    name: str
    suffix: str
    options: dict[str, Any] = field(default_factory=dict)
    theirs: tuple[str, ...] | None = None
    read_by_them: bool = True
    sh: bool = True
    slow: bool = False


FORMATS = (
    Format(".ply", ".ply", theirs=()),
    Format(".compressed.ply", ".compressed.ply", theirs=()),
    Format(".splat", ".splat", sh=False),
    Format(".spz 2", ".spz", {"version": 2}),
    Format(".spz 3", ".spz", {"version": 3}, theirs=("--spz-version", "3")),
    Format(".spz 4", ".spz", {"version": 4}, theirs=("--spz-version", "4")),
    Format(".sog", ".sog", theirs=("-g", "cpu"), slow=True),
    Format(".glb", ".glb", theirs=(), read_by_them=False),
    Format(".gltf", ".gltf", read_by_them=False),
    Format(".usdc", ".usdc", read_by_them=False),
    Format(".usdz", ".usdz", read_by_them=False),
    Format(".usda", ".usda", read_by_them=False, slow=True),
)


class Judge:
    """Renders of a scene from held-out cameras, which others are compared with."""

    def __init__(self, scene: Gaussians, cameras: Sequence[Camera]) -> None:
        self._cameras = cameras
        bare = replace(scene, sh=scene.sh[:, :1].contiguous())
        self._expected = {True: self._renders(scene), False: self._renders(bare)}

    def psnr(self, scene: Gaussians, *, sh: bool) -> float | None:
        """Mean over the cameras in dB; None where every pixel is the same."""
        pairs = list(zip(self._renders(scene), self._expected[sh], strict=True))
        if all(torch.equal(one, other) for one, other in pairs):
            return None
        return fmean(min(float(psnr(one, other)), 150.0) for one, other in pairs)

    def _renders(self, scene: Gaussians) -> list[torch.Tensor]:
        with torch.no_grad():
            return [rasterize(scene, camera).image.clamp(0, 1) for camera in self._cameras]


def trained(data: Path, minutes: float, most: int) -> Gaussians:
    """A scene of fox_colmap."""
    capture = load_capture(data / "fox_colmap", downscale=DOWNSCALE)
    return train(capture, TrainConfig(minutes=minutes, max_gaussians=most)).gaussians


def seconds_of(work: Callable[[], object], repeats: int) -> list[float]:
    """How long each of some runs took."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return taken


def ours(form: Format, scene: Gaussians, judge: Judge, folder: Path, repeats: int) -> dict[str, Any]:
    """Our own file of a format, in ``folder / "ours"`` with its suffix."""
    path = folder / f"ours{form.suffix}"
    repeats = 1 if form.slow else repeats
    write = seconds_of(lambda: save(scene, path, **form.options), repeats)
    read = seconds_of(lambda: load(path), repeats)
    return {
        "bytes": path.stat().st_size,
        "write_s": median(write),
        "read_s": median(read),
        "psnr": judge.psnr(load(path), sh=form.sh),
    }


def theirs(
    form: Format, command: Sequence[str], limit_s: float, judge: Judge, folder: Path
) -> dict[str, Any]:
    """What splat-transform makes of the scene, and of our file."""
    found: dict[str, Any] = {}
    if form.theirs is not None:
        made = folder / f"theirs{form.suffix}"
        call = [*command, "-q", "-w", *form.theirs, folder / "scene.ply", made]
        try:
            (seconds,) = seconds_of(lambda: subprocess.run(call, check=True, timeout=limit_s), 1)
        except subprocess.TimeoutExpired:
            found["write_s"] = f"> {limit_s:.0f}"
        else:
            there = judge.psnr(load(made), sh=form.sh)
            found |= {"bytes": made.stat().st_size, "write_s": seconds, "psnr": there}
    if form.read_by_them:
        back = folder / "back.ply"
        subprocess.run([*command, "-q", "-w", folder / f"ours{form.suffix}", back], check=True)
        found["psnr_of_ours_as_they_read_it"] = judge.psnr(load(back), sh=form.sh)
    return found


def million(folder: Path, repeats: int) -> dict[str, Any]:
    """Seconds to read and write a million Gaussians with SH of degree 3, of each format."""
    random = torch.Generator().manual_seed(0)
    scene = Gaussians(
        means=2 * torch.randn(MILLION, 3, generator=random),
        log_scales=torch.randn(MILLION, 3, generator=random) - 5,
        quats=torch.randn(MILLION, 4, generator=random),
        logit_opacities=2 * torch.randn(MILLION, generator=random),
        sh=0.15 * torch.randn(MILLION, 16, 3, generator=random),
    )
    found = {}
    for suffix in (".ply", ".spz"):
        path = folder / f"million{suffix}"
        write = seconds_of(lambda path=path: save(scene, path), repeats)
        read = seconds_of(lambda path=path: load(path), repeats)
        found[suffix] = {
            "bytes": path.stat().st_size,
            "write_s": {"least": min(write), "median": median(write)},
            "read_s": {"least": min(read), "median": median(read)},
        }
        path.unlink()
    return found


def main() -> None:
    """Measure, print two tables and keep the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument(
        "--scene", type=Path, help="scene.ply of a run on fox_colmap; trained where not given"
    )
    parser.add_argument("--minutes", type=float, default=2.0, help="of training")
    parser.add_argument("--max-gaussians", type=int, default=150_000)
    parser.add_argument("--repeats", type=int, default=5, help="times are the median of so many")
    parser.add_argument("--splat-transform", default=os.environ.get("SFUMATO_SPLAT_TRANSFORM"))
    parser.add_argument("--limit", type=float, default=900.0, help="seconds that splat-transform may take")
    parser.add_argument("--quick", action="store_true", help="a trial whose numbers mean nothing")
    given = parser.parse_args()
    minutes = 0.05 if given.quick else given.minutes
    scene = load(given.scene) if given.scene else trained(given.data, minutes, given.max_gaussians)
    views = load_capture(given.data / "fox_colmap").test_views
    command = shlex.split(given.splat_transform or "")
    if not command:
        print("splat-transform is left out: name its command with --splat-transform")
    load_before = os.getloadavg()[0]
    repeats = 1 if given.quick else given.repeats
    results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(scene, folder / "scene.ply")
        judge = Judge(scene, [view.camera for view in views])
        for form in FORMATS:
            results[form.name] = {"ours": ours(form, scene, judge, folder, repeats)}
            if command:
                results[form.name]["splat_transform"] = theirs(form, command, given.limit, judge, folder)
            print(form.name, results[form.name], flush=True)
        large = {} if given.quick else million(folder, repeats)
    print_results(results, large, len(scene))
    facts = {"gaussians": len(scene), "sh_degree": scene.sh_degree, "held_out": len(views)}
    facts |= {"load_before": load_before, "formats": results, "million": large}
    keep("formats", facts, quick=given.quick)


def print_results(results: dict[str, Any], large: dict[str, Any], count: int) -> None:
    """Both tables; renders that are the same bit by bit are called so."""

    def decibels(part: dict[str, Any], key: str = "psnr") -> object:
        return ("same" if part[key] is None else part[key]) if key in part else "-"

    rows = []
    for name, found in results.items():
        own, other = found["ours"], found.get("splat_transform", {})
        size = other["bytes"] / 1e6 if "bytes" in other else "-"
        row = [name, own["bytes"] / 1e6, own["write_s"], own["read_s"], decibels(own), size]
        again = decibels(other, "psnr_of_ours_as_they_read_it")
        rows.append([*row, other.get("write_s", "-"), decibels(other), again])
    headings = ("format", "MB", "write s", "read s", "PSNR", "their MB", "write s", "PSNR", "ours by them")
    print_table(f"{count:,} Gaussians, ours and splat-transform's", headings, rows)
    if large:
        rows = [
            [suffix, found["bytes"] / 1e6, *found["write_s"].values(), *found["read_s"].values()]
            for suffix, found in large.items()
        ]
        headings = ("format", "MB", "write s, least", "median", "read s, least", "median")
        print_table("A million Gaussians", headings, rows)


if __name__ == "__main__":
    main()
