"""Make the picture of the README: a swing round the still life, then a slider over a held-out frame.

    sfumato reconstruct demo/still_life_video/still_life.mp4 -o out/still_life --steps 2500
    python tools/readme_loop.py out/still_life --out docs/still_life.webp

The camera starts at a held-out frame and comes back to it at rest. Then the photograph is uncovered and
covered again, so the animated WebP has no seam. The left is rendered, the right is the frame.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy.spatial.transform import Rotation

import sfumato
from sfumato.paths.orbit import orbit_of_cameras

FPS, SWING_S, SLIDE_S = 15, 4.6, 3.4
# The swing about the point that all cameras look at: to either side, and up. It is wider on the side from
# which less of what the video does not show comes into the picture.
SIDE_DEG, SHIFT_DEG, RISE_DEG = 16.0, 5.0, 8.0
# The line stops at this share of the width.
STOP = 0.08
MAX_BYTES = 2_000_000


def swing(camera: sfumato.Camera, target: np.ndarray, up: np.ndarray) -> Iterator[sfumato.Camera]:
    """The camera turned about a point, from its own pose and back to it, at rest at both ends."""
    pose = camera.camera_from_world.double().numpy()
    for time in np.arange(round(FPS * SWING_S)) / round(FPS * SWING_S):
        phase = 2 * np.pi * (time - 0.8 * np.sin(2 * np.pi * time) / (2 * np.pi))
        away = 1 - np.cos(phase)
        aside = Rotation.from_rotvec(np.radians(SIDE_DEG * np.sin(phase) - SHIFT_DEG * away) * up)
        higher = Rotation.from_rotvec(np.radians(-RISE_DEG * away / 2) * pose[0, :3])
        moved = np.eye(4)
        moved[:3, :3] = (aside * higher).as_matrix()
        moved[:3, 3] = target - moved[:3, :3] @ target
        yield replace(camera, camera_from_world=torch.from_numpy(pose @ np.linalg.inv(moved)))


def slide(rendered: Image.Image, photograph: Image.Image) -> Iterator[Image.Image]:
    """Both pictures beside a white line that goes from the right edge to the left and back."""
    width, height = rendered.size
    font = ImageFont.load_default(max(12, height // 26))
    for time in np.arange(round(FPS * SLIDE_S)) / round(FPS * SLIDE_S):
        at = round(width * (1 - (1 - STOP) * np.sin(np.pi * time) ** 2))
        frame = rendered.copy()
        frame.paste(photograph.crop((at, 0, width, height)), (at, 0))
        draw = ImageDraw.Draw(frame)
        if at < width:
            draw.rectangle((at - 1, 0, at, height), fill="white")
        for words, place, anchor in (("rendered", at - 10, "rs"), ("video", at + 10, "ls")):
            left, _, right, _ = draw.textbbox((place, height - 10), words, font, anchor)
            if left > 4 and right < width - 4 and at < width:
                draw.text(
                    (place, height - 10), words, "white", font, anchor, stroke_width=1, stroke_fill="#444"
                )
        yield frame


def picture(image: torch.Tensor) -> Image.Image:
    """An image [h, w, 3] in [0, 1] as a picture."""
    return Image.fromarray((255 * image.clamp(0, 1)).round().byte().numpy())


def best_held_out(run: Path) -> str:
    """The held-out view of the highest PSNR."""
    rows = json.loads((run / "metrics.json").read_text("utf-8"))["test"]["views"]
    return str(max(rows, key=lambda row: row["psnr"])["name"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/still_life.webp"))
    parser.add_argument("--view", help="the held-out frame; by default the one of the highest PSNR")
    parser.add_argument("--quality", type=int, default=77)
    given = parser.parse_args()
    scene, views = sfumato.load(given.run / "scene.ply"), sfumato.load_capture(given.run / "dataset").views
    name = given.view or best_held_out(given.run)
    view = next(one for one in views if one.name == name)
    orbit = orbit_of_cameras([one.camera for one in views])
    frames = []
    for camera in swing(view.camera, orbit.target, orbit.up):
        frames.append(picture(sfumato.rasterize(scene, camera).image))
        print(f"\r{len(frames)} frames ", end="", flush=True)
    frames += slide(frames[0], Image.fromarray(view.load().rgb))
    frames[0].save(
        given.out,
        save_all=True,
        append_images=frames[1:],
        duration=round(1000 / FPS),
        loop=0,
        quality=given.quality,
        method=6,
        # Every frame alone: otherwise blocks that change little keep their pixels, also under the slider.
        kmin=0,
        kmax=1,
    )
    size = given.out.stat().st_size
    print(f"\r{given.out}: {len(frames)} frames round {name}, {len(frames) / FPS:.1f} s, {size:,} bytes")
    if size > MAX_BYTES:
        raise SystemExit(f"more than {MAX_BYTES:,} bytes: give a lower --quality")


if __name__ == "__main__":
    main()
