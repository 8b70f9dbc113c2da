"""The same still life measured and learned: as points, as surface splats, as a trained scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from lesson_drawings.pictures import save_row
from lesson_drawings.scenes import STILL_LIFE, Work, held_out, photograph, still_life
from PIL import Image

import sfumato
from sfumato.capture.dataset import View
from sfumato.scene.image_points import image_points
from sfumato.splatting.surface_splats import splat

METRES_PER_UNIT = 0.001  # of the depth maps


def measured_cloud(path: Path) -> None:
    """Write the cloud that a scanner in six of the views would measure, as x y z r g b."""
    rows = []
    for view in still_life().views:
        file = STILL_LIFE / "depth" / Path(view.name).with_suffix(".png").name
        if not file.exists():
            continue
        depth = np.asarray(Image.open(file), np.float64) * METRES_PER_UNIT
        height, width = depth.shape
        camera = view.camera.resized(width, height)
        rgb = np.asarray(Image.fromarray(view.load().rgb).resize((width, height), Image.Resampling.BOX))
        y, x = np.mgrid[:height, :width] + 0.5
        (fx, fy), (cx, cy) = camera.focal_px, camera.centre_px
        seen = np.stack([(x - cx) / fx * depth, (y - cy) / fy * depth, depth], axis=-1)[depth > 0]
        pose = camera.camera_from_world.numpy()
        rows.append(np.c_[(seen - pose[:3, 3]) @ pose[:3, :3], rgb[depth > 0]])
    np.savetxt(path, np.concatenate(rows), fmt="%.4f %.4f %.4f %d %d %d")


def as_points(cloud: np.ndarray, camera: sfumato.Camera) -> np.ndarray:
    """uint8 [h, w, 3] each point as one pixel, the nearest in front."""
    pixels, depth = image_points(camera, torch.from_numpy(cloud[:, :3]))
    x, y = pixels.floor().long().numpy().T
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    inside = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height) & (depth.numpy() > 0)
    for n in np.argsort(-depth.numpy(), kind="stable"):
        if inside[n]:
            image[y[n], x[n]] = cloud[n, 3:]
    return image


def points_splats_learned(path: Path, work: Work) -> None:
    """A held-out view of the measured cloud, its splats and the trained scene; figures of five such views."""
    file = work.folder / "cloud.xyz"
    if not file.exists():
        measured_cloud(file)
    cloud, found, learned = np.loadtxt(file), splat(file), work.scene("good")
    print(f"{len(cloud)} points, {len(found.scene)} splats, {len(learned)} trained Gaussians")
    views = [held_out(still_life(), n) for n in (0, 2, 3, 5, 7)]  # those that gave no points
    rows = [_compared(cloud, found.scene, learned, view) for view in views]
    for name, column in zip(("points", "splats", "learned"), zip(*rows, strict=True), strict=True):
        truths = [photograph(view) for view in views]
        quality = [
            (sfumato.psnr(image, truth), sfumato.psnr(image, truth, kept), sfumato.ssim(image, truth))
            for (image, kept), truth in zip(column, truths, strict=True)
        ]
        empty = 1 - np.mean([float(kept.float().mean()) for _, kept in column])
        text = "PSNR {:.2f}, {:.2f} where something is, SSIM {:.3f}".format(*np.mean(quality, axis=0))
        print(f"{name}: {text}, empty {100 * empty:.1f}%")
    save_row(path, [image for image, _ in rows[2]], width=318)


def _compared(
    cloud: np.ndarray, splats: sfumato.Gaussians, learned: sfumato.Gaussians, view: View
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Picture, and where it is not empty, of each of the three."""
    dots = torch.from_numpy(as_points(cloud, view.camera)).float() / 255
    found = [(dots, dots.sum(dim=2) > 0)]
    for scene in (splats, learned):
        render = sfumato.rasterize(scene, view.camera)
        found.append((render.image.clamp(0, 1), render.alpha >= 0.5))
    return found
