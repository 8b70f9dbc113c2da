"""Make the embedded capture: path-trace the still life and write it as a posed data set.

    python tools/still_life/make.py --out demo/still_life

Needs the extra ``still-life`` (Mitsuba 3). Views that are already rendered in ``--work`` are kept,
so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro


@dataclass(frozen=True)
class Options:
    """How the capture is made."""

    out: Path = Path("demo/still_life")
    """Folder of the data set."""
    work: Path = Path("build/still_life")
    """Folder that keeps the linear pictures of finished views."""
    spp: int = 147
    """Paths per pixel."""
    views: int = 54
    """Number of views on the path; eight held-out ones are added."""
    seed: int = 1
    """Of textures, path, and sampling."""
    threads: int = 2
    """Threads of the renderer."""
    points: int = 5000
    """Number of points in the cloud."""
    quality: int = 88
    """Of the JPEG files."""
    render_only: bool = False
    """Render what is missing and write no data set."""


def named_views(options: Options) -> dict:
    """All views by file stem; held-out ones start with ``held_out``."""
    from cameras import hand_held_path, held_out_views

    views = {f"path_{k:03d}": v for k, v in enumerate(hand_held_path(options.views, options.seed))}
    return views | {f"held_out_{k:02d}": v for k, v in enumerate(held_out_views())}


def render_missing(scene, views: dict, options: Options) -> dict[str, np.ndarray]:
    """Linear passes [3, h, w, 3] of all views by name; files kept in ``options.work`` are reused."""
    from render import render_passes

    options.work.mkdir(parents=True, exist_ok=True)
    pictures = {}
    for number, (name, view) in enumerate(views.items()):
        kept = options.work / f"{name}_spp{options.spp}_seed{options.seed}_of{options.views}.npy"
        if not kept.exists():
            start = time.perf_counter()
            picture = render_passes(scene, view, options.spp, seed=options.seed * 1000 + number)
            unfinished = kept.with_suffix(".part")
            with unfinished.open("wb") as file:
                np.save(file, picture.astype(np.float16))
            unfinished.replace(kept)
            print(f"{number + 1}/{len(views)} {name} {time.perf_counter() - start:.1f} s", flush=True)
        pictures[name] = np.load(kept).astype(np.float32)
    return pictures


def main(options: Options) -> None:
    """Render what is missing, then write the data set."""
    from render import set_variant

    set_variant(options.threads)
    from scene import build_scene

    scene, views = build_scene(options.seed), named_views(options)
    pictures = render_missing(scene, views, options)
    if not options.render_only:
        from export import write_capture

        write_capture(scene, views, pictures, options)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
