"""A scene filmed all around, its page for a notebook, and the depth along single rays.

python examples/06_turntable.py out/mine/scene.ply --out turn.mp4
"""

import argparse
from pathlib import Path

import torch

import sfumato


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path, help="a scene file of any format")
    parser.add_argument("--out", type=Path, default=Path("turn.mp4"))
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--width", type=int, default=960)
    given = parser.parse_args()

    scene = sfumato.load(given.scene)
    size_px = (given.width, given.width * 9 // 16)
    # Around the best view; orbit((x, y, z), radius=...) goes around a point.
    cameras = sfumato.orbit(scene, given.frames, size_px=size_px)
    sfumato.write_video(given.out, (sfumato.rasterize(scene, camera) for camera in cameras), fps=30)
    sfumato.save_image(given.out.with_suffix(".png"), sfumato.rasterize(scene, cameras[0]))
    print(f"{given.out}: {given.frames} frames of {size_px[0]}x{size_px[1]}")

    # In a notebook `sfumato.show(scene)` alone, as the last line of a cell, shows the scene to turn.
    sfumato.show(scene).save(given.out.with_suffix(".html"))

    # Rays need no camera: five from the first camera's centre, in its own direction and around it.
    world_from_camera = cameras[0].camera_from_world.inverse()
    aside = torch.tensor([[0.0, 0.0], [0.1, 0.0], [-0.1, 0.0], [0.0, 0.1], [0.0, -0.1]])
    directions = torch.cat([aside, torch.ones(5, 1)], 1).double() @ world_from_camera[:3, :3].double().T
    origins = world_from_camera[:3, 3].double().expand(5, 3)
    traced = sfumato.raytrace(scene, sfumato.Rays(origins.float(), directions.float()))
    for distance, alpha in zip(traced.depth.tolist(), traced.alpha.tolist(), strict=True):
        print(f"distance {distance:.3f}, alpha {alpha:.2f}")


if __name__ == "__main__":
    main()
