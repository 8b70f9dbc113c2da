"""The lesson's pictures of cameras and points that structure from motion found, and of what moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import torch
from lesson_drawings.pictures import GAP_PX, save_row
from lesson_drawings.scenes import MOVING_ROOM, Work
from PIL import Image, ImageDraw

import sfumato
from sfumato.evaluation.saved_images import colour_map
from sfumato.render.png import to_uint8
from sfumato.scene.image_points import image_points
from sfumato.sequences import load_sequence

LARGE = 3  # pictures are drawn this much larger, then scaled down: smooth lines
LINES = 40
COLOURS = ((244, 184, 96), (122, 176, 240), (140, 204, 150), (236, 120, 100), (196, 156, 232))


def structure(path: Path, work: Work) -> None:
    """Two pictures of a video, and lines between what both see of the same points."""
    folder = work.run("sfm")
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    images = sorted(model.images.values(), key=lambda image: image.name)
    first, second = images[len(images) // 4], images[len(images) // 4 + 5]
    pictures = [Image.open(folder / "images" / image.name).convert("RGB") for image in (first, second)]
    width, height = pictures[0].size
    row = Image.new("RGB", (2 * width + GAP_PX, height))
    row.paste(pictures[0], (0, 0))
    row.paste(pictures[1], (width + GAP_PX, 0))
    row = row.point(lambda value: int(0.75 * value)).resize((row.width * LARGE, row.height * LARGE))
    draw = ImageDraw.Draw(row)
    there = {point.point3D_id: point.xy for point in second.points2D if point.has_point3D()}
    shared = [
        (p.xy, there[p.point3D_id]) for p in first.points2D if p.has_point3D() and p.point3D_id in there
    ]
    print(f"{len(shared)} points in both pictures, of {len(model.points3D)}")
    random = np.random.default_rng(1)
    for n, k in enumerate(random.permutation(len(shared))[:LINES]):
        start, end = (LARGE * np.asarray(place) for place in shared[k])
        end = end + np.array([LARGE * (width + GAP_PX), 0])
        colour = COLOURS[n % len(COLOURS)]
        draw.line([*start, *end], fill=colour, width=3)
        for place in (start, end):
            draw.ellipse([*(place - 9), *(place + 9)], outline=colour, width=4)
    save_row(path, [row.resize((row.width // LARGE, row.height // LARGE), Image.Resampling.LANCZOS)])


def cameras(path: Path, work: Work) -> None:
    """The points and the cameras of the same video, from above and behind."""
    model = pycolmap.Reconstruction(work.run("sfm") / "sparse" / "0")
    points = np.array([point.xyz for point in model.points3D.values()])
    colours = np.array([point.color for point in model.points3D.values()])
    poses = [
        image.cam_from_world().inverse() for image in sorted(model.images.values(), key=lambda i: i.name)
    ]
    centres = np.array([pose.translation for pose in poses])
    middle = np.median(points, axis=0)
    reach = np.linalg.norm(centres - middle, axis=1).max()
    away = centres.mean(axis=0) - middle
    away[1] = 0
    eye = middle + 1.7 * reach * away / np.linalg.norm(away) + np.array([0, -1.9 * reach, 0])
    width, height = 960, 560
    camera = looking(eye, 0.5 * middle + 0.5 * centres.mean(axis=0), 1.0 * width, (width, height))
    page = Image.new("RGB", (width * LARGE, height * LARGE), (22, 23, 26))
    draw = ImageDraw.Draw(page)
    places, depth = image_points(camera, torch.from_numpy(points))
    for n in np.argsort(-depth.numpy()):
        x, y = LARGE * places[n].numpy()
        draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=tuple(int(c) for c in colours[n]))
    size = 0.06 * reach
    corners = size * np.array(
        [[-0.51, -0.38, 1], [0.51, -0.38, 1], [0.51, 0.38, 1], [-0.51, 0.38, 1], [0, 0, 0]]
    )
    for pose, centre in zip(poses, centres, strict=True):
        there = (
            LARGE
            * image_points(camera, torch.from_numpy(corners @ pose.rotation.matrix().T + centre))[0].numpy()
        )
        for start, end in ((0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (1, 4), (2, 4), (3, 4)):
            draw.line([*there[start], *there[end]], fill=COLOURS[0], width=3)
    save_row(path, [page.resize((width, height), Image.Resampling.LANCZOS)])


def looking(eye: np.ndarray, target: np.ndarray, focal_px: float, size: tuple[int, int]) -> sfumato.Camera:
    """A camera at a place that looks at another; the world's y points down."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    pose = np.eye(4)
    pose[:3] = np.c_[rotation, -rotation @ eye]
    centre = (size[0] / 2, size[1] / 2)
    return sfumato.Camera(torch.from_numpy(pose), (focal_px, focal_px), centre, size)


def tracks(path: Path, work: Work) -> None:
    """A moment of the moving room, and the paths of Gaussians up to and after it."""
    scene = sfumato.load_tracked(work.run("room"))
    video = load_sequence(MOVING_ROOM, work=work.folder / "room_frames")
    camera = next(one.camera for one in video.cameras if one.name == "cam00")
    large = camera.resized(camera.width * 2, camera.height * 2)
    half = len(scene.times) // 2
    moment = sfumato.rasterize(scene.at(float(scene.times[half])), large).image.clamp(0, 1)
    first = sfumato.rasterize(scene.at(float(scene.times[0])), large).image.clamp(0, 1)
    faded = Image.fromarray(to_uint8(0.35 + 0.6 * moment.mean(2, keepdim=True).expand(-1, -1, 3)))
    faded = faded.resize((large.width * LARGE, large.height * LARGE))
    draw = ImageDraw.Draw(faded)
    alive = (scene.birth <= 0) & (scene.death >= len(scene.times))
    opaque = scene.gaussians.opacities[scene.ids] > 0.5
    chosen = torch.nonzero(alive & opaque).squeeze(1)
    order = torch.randperm(len(chosen), generator=torch.Generator().manual_seed(2))[:350]
    for n in chosen[order].tolist():
        places = LARGE * image_points(large, scene.means[:, n].double())[0].numpy()
        if np.linalg.norm(places[1:] - places[:-1], axis=1).sum() < 12 * LARGE:
            continue
        for step in range(len(places) - 1):
            colour = tuple(int(c) for c in colour_map(np.array(0.2 + 0.75 * step / len(places))))
            draw.line([*places[step], *places[step + 1]], fill=colour, width=4)
    paths = faded.resize((large.width, large.height), Image.Resampling.LANCZOS)
    save_row(path, [first, moment, paths], width=318)
