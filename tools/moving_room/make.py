"""Make the embedded sequence: path-trace the moving room from all cameras, with its true tracks.

    python tools/moving_room/make.py --out demo/moving_room

Needs the extra ``still-life`` (Mitsuba 3). Steps that are already rendered in ``--work`` are kept, so an
interrupted run goes on where it stopped.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

# Textures, shapes, denoiser and sensors are those of the still life.
sys.path.append(str(Path(__file__).parents[1] / "still_life"))


@dataclass(frozen=True)
class Options:
    """How the sequence is made."""

    out: Path = Path("demo/moving_room")
    """Folder of the sequence."""
    work: Path = Path("build/moving_room")
    """Folder that keeps the linear pictures of finished steps."""
    seed: int = 1
    """Of textures, sampling and the choice of tracked points."""
    threads: int = 2
    """Threads of the renderer."""
    most_bytes: int = 3_400_000
    """Size of all videos; their quality is chosen to fit."""


def render_missing(scene, things: list, options: Options) -> np.ndarray:
    """[t, n, h, w, 3] float16 linear radiance at all steps; files kept in ``options.work`` are reused."""
    from movers import RATE_HZ, STEPS
    from pictures import Rig
    from rig import cameras
    from staging import move

    options.work.mkdir(parents=True, exist_ok=True)
    kept = [options.work / f"step{number:03d}_seed{options.seed}.npy" for number in range(STEPS)]
    rig = Rig(list(cameras().values()))
    for number, path in enumerate(kept):
        if path.exists():
            continue
        start = time.perf_counter()
        move(scene, things, number / RATE_HZ)
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as file:
            np.save(file, rig.take(scene, options.seed * 1000).astype(np.float16))
        unfinished.replace(path)
        print(f"step {number} of {STEPS}: {time.perf_counter() - start:.1f} s", flush=True)
    return np.stack([np.load(path) for path in kept])


def main(options: Options) -> None:
    """Render what is missing, then write the sequence."""
    from render import set_variant

    set_variant(options.threads)
    from movers import movers
    from staging import stage

    things = movers(options.seed)
    scene = stage(things, options.seed)
    radiance = render_missing(scene, things, options)
    from writing import write_sequence

    write_sequence(scene, things, radiance, options)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
