"""Make the embedded video: the still life filmed by a walking person with a phone.

    python tools/still_life/film.py --out demo/still_life_video

Needs the extra ``still-life`` (Mitsuba 3) and PyAV. Frames that are already rendered in ``--work`` are
kept, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro


@dataclass(frozen=True)
class Options:
    """How the film is made."""

    out: Path = Path("demo/still_life_video")
    """Folder of the film."""
    work: Path = Path("build/still_life_video")
    """Folder that keeps the linear pictures of finished frames."""
    spp: int = 27
    """Paths per pixel."""
    frames: int = 200
    """Number of frames."""
    length_s: float = 16.0
    """Length of the film."""
    seed: int = 1
    """Of textures, path, and sampling."""
    threads: int = 2
    """Threads of the renderer."""
    most_bytes: int = 1_900_000
    """Size of the video; its quality is chosen to fit."""
    render_only: bool = False
    """Render what is missing and write no film."""


def kept_file(options: Options, number: int) -> Path:
    """Where the finished frame ``number`` is kept."""
    return options.work / f"frame_{number:03d}_of{options.frames}_spp{options.spp}_seed{options.seed}.npy"


def render_missing(views: list, options: Options) -> None:
    """Keep each view's [h, w, 4] float32: denoised linear radiance and camera z (metres)."""
    missing = [k for k in range(len(views)) if not kept_file(options, k).exists()]
    if not missing:
        return
    from render import depth_map, render_passes, set_variant, without_fireflies

    set_variant(options.threads)
    from denoise import denoise, surface_features

    from scene import build_scene

    scene = build_scene(options.seed)
    options.work.mkdir(parents=True, exist_ok=True)
    for number in missing:
        start, view = time.perf_counter(), views[number]
        passes = render_passes(scene, view, options.spp, seed=options.seed * 10_000 + number)
        picture = denoise(without_fireflies(passes), surface_features(scene, view, 16))
        frame = np.dstack([picture, depth_map(scene, view)]).astype(np.float32)
        kept = kept_file(options, number)
        unfinished = kept.with_suffix(".part")
        with unfinished.open("wb") as file:
            np.save(file, frame)
        unfinished.replace(kept)
        print(f"frame {number} of {len(views)}: {time.perf_counter() - start:.1f} s", flush=True)


def main(options: Options) -> None:
    """Render what is missing, then write the film."""
    from phone_path import PhonePath, frame_times

    path = PhonePath(frame_times(options.frames, options.length_s, options.seed), options.seed)
    render_missing(path.views(), options)
    if options.render_only:
        return
    from export import replace_file
    from film_writer import cameras, encode_within, report
    from phone_camera import film_frames

    kept = [np.load(kept_file(options, number)) for number in range(options.frames)]
    pictures, depths = [k[..., :3] for k in kept], [k[..., 3] for k in kept]
    shots = list(film_frames(pictures, depths, path, options.seed))
    options.out.mkdir(parents=True, exist_ok=True)
    video, unfinished = options.out / "still_life.mp4", options.out / ".still_life.part.mp4"
    crf = encode_within(unfinished, shots, options.most_bytes)
    unfinished.replace(video)
    replace_file(options.out / "cameras.json", lambda path: path.write_text(cameras(video.name, shots)))
    print(report(video, shots, crf))


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
