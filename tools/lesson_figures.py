"""Make the figures of the lesson with the library.

    python tools/lesson_figures.py --work build/lesson [NAME ...]

Diagrams are drawn at once. Pictures need scenes, which are trained into the folder ``--work`` and kept there;
the same version and machine give the same pictures. No words stand in them: they serve every language.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from lesson_drawings import diagrams, flows, found, measured, pictures, still_life
from lesson_drawings.scenes import Work

FIGURES = Path(__file__).resolve().parents[1] / "src" / "sfumato" / "lesson" / "figures"
DRAWN: dict[str, Callable[[Path], None]] = {
    "gaussian_2d.svg": diagrams.gaussian_2d,
    "projection.svg": diagrams.projection,
    "blending.svg": diagrams.blending,
    "ray.svg": diagrams.ray,
    "chain.svg": flows.chain,
    "density_control.svg": flows.density_control,
    "rigidity.svg": flows.rigidity,
}
RENDERED: dict[str, Callable[[Path, Work], None]] = {
    "additive_alpha.webp": pictures.additive_alpha,
    "gradient_arrows.webp": pictures.gradient_arrows,
    "loss.webp": pictures.loss,
    "fisheye.webp": pictures.fisheye,
    "ellipsoids.webp": still_life.ellipsoids,
    "front_to_back.webp": still_life.front_to_back,
    "growth.webp": still_life.growth,
    "glass.webp": still_life.glass,
    "structure.webp": found.structure,
    "cameras.webp": found.cameras,
    "tracks.webp": found.tracks,
    "measured_learned.webp": measured.points_splats_learned,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="files to make; all by default")
    parser.add_argument(
        "--work", type=Path, default=Path("build/lesson"), help="folder of the trained scenes"
    )
    parser.add_argument("--out", type=Path, default=FIGURES)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.names or [*DRAWN, *RENDERED]:
        if name in DRAWN:
            DRAWN[name](given.out / name)
        else:
            RENDERED[name](given.out / name, Work(given.work))


if __name__ == "__main__":
    main()
