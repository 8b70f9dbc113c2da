"""The lesson's pictures of the trained still life."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from lesson_drawings.pictures import save_row
from lesson_drawings.scenes import Work, held_out, photograph, still_life
from PIL import Image, ImageDraw

import sfumato
from sfumato import ops
from sfumato.evaluation.saved_images import colour_map
from sfumato.maths.quaternions import rotation_from_quats
from sfumato.ops.constants import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_STOP
from sfumato.render.insert import Insert, render_with_mesh
from sfumato.scene.rays import camera_rays

VIEW = 3
PART = slice(52, 142), slice(56, 176)
TILE_PX = (64, 32)
BALL = (0.02, -0.24, 0.1)  # on the table, metres
BALL_RADIUS = 0.1


def ellipsoids(path: Path, work: Work) -> None:
    """A scene, and its Gaussians as solid bodies of one standard deviation."""
    scene, camera = work.scene("good"), held_out(still_life(), VIEW).camera
    save_row(path, [sfumato.rasterize(scene, camera).image, solid(scene, camera)])


def solid(scene: sfumato.Gaussians, camera: sfumato.Camera) -> torch.Tensor:
    """[h, w, 3] the ellipsoids of one standard deviation, shaded."""
    rays = camera_rays(camera, like=scene.means)
    origin, directions = camera.centre_world.numpy(), rays.directions.double().numpy()
    rotations = rotation_from_quats(scene.quats.double()).numpy()
    inverse = rotations / scene.scales.double().numpy()[:, None, :]  # columns r / s
    colours = (0.5 + 0.2821 * scene.sh[:, 0]).clamp(0, 1).numpy()
    boxes = boxes_of(scene, camera, sigmas=1.2)
    image, nearest = (
        np.zeros((camera.height, camera.width, 3)),
        np.full((camera.height, camera.width), np.inf),
    )
    for n in np.flatnonzero((scene.opacities.numpy() > 0.3) & (boxes[:, 2] > boxes[:, 0])):
        left, top, right, bottom = boxes[n]
        start = (origin - scene.means[n].double().numpy()) @ inverse[n]
        along = directions[top:bottom, left:right] @ inverse[n]
        a, b, c = (along**2).sum(-1), along @ start, start @ start - 1
        root = b * b - a * c
        distance = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
        before = (distance > 0.1) & (distance < nearest[top:bottom, left:right])
        hit = start + np.where(before, distance, 0)[..., None] * along
        normal = hit @ inverse[n].T
        normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
        shade = 0.35 + 0.65 * np.abs((normal * directions[top:bottom, left:right]).sum(-1))
        nearest[top:bottom, left:right][before] = distance[before]
        image[top:bottom, left:right][before] = (shade[..., None] * colours[n])[before]
    return torch.from_numpy(image)


def projected(scene: sfumato.Gaussians, camera: sfumato.Camera) -> ops.Projected:
    return ops.project(
        scene.means,
        ops.covariance(scene.quats, scene.scales),
        camera.camera_from_world.float(),
        camera.intrinsics.float(),
        width=camera.width,
        height=camera.height,
        near=0.05,
        opacities=scene.opacities,
    )


def boxes_of(scene: sfumato.Gaussians, camera: sfumato.Camera, sigmas: float = 3.4) -> np.ndarray:
    """[n, 4] left, top, right, bottom of each ellipse in whole pixels; empty where it is not seen."""
    found = projected(scene, camera)
    a, b, c = found.conic.double().unbind(1)
    variance = torch.stack([c, a], 1) / (a * c - b * b).clamp_min(1e-12)[:, None]
    half = sigmas * variance.sqrt()
    size = torch.tensor([camera.width, camera.height])
    low = (found.mean_px - half).floor().clamp(torch.zeros(2), size)
    high = (found.mean_px + half).ceil().clamp(torch.zeros(2), size)
    high = torch.where((found.radius_px[:, :1] > 0) & torch.isfinite(high), high, low)
    return torch.cat([low, high], 1).nan_to_num(0).to(torch.int64).numpy()


def front_to_back(path: Path, work: Work) -> None:
    """The nearest Gaussians, more of them, all; and how many a pixel blends, with the tiles."""
    scene, camera = work.scene("good"), held_out(still_life(), VIEW).camera
    depth = projected(scene, camera).depth
    order = torch.argsort(depth[depth > 0])
    seen = torch.nonzero(depth > 0).squeeze(1)[order]
    parts = [
        sfumato.rasterize(scene.select(seen[: int(share * len(seen))]), camera).image for share in (0.35, 0.7)
    ]
    count = blended(scene, camera)
    print(f"Gaussians in a pixel: mean {count.mean():.1f}, most {count.max()}, of {len(scene)}")
    heat = Image.fromarray(colour_map(np.clip(count / np.quantile(count, 0.995), 0, 1)))
    draw = ImageDraw.Draw(heat)
    for x in range(TILE_PX[0], camera.width, TILE_PX[0]):
        draw.line([x, 0, x, camera.height], fill=(120, 124, 134))
    for y in range(TILE_PX[1], camera.height, TILE_PX[1]):
        draw.line([0, y, camera.width, y], fill=(120, 124, 134))
    save_row(path, [*parts, sfumato.rasterize(scene, camera).image, heat], width=476, columns=2)


def blended(scene: sfumato.Gaussians, camera: sfumato.Camera) -> np.ndarray:
    """[h, w] how many Gaussians are blended in a pixel before it stops."""
    found, boxes, opacities = projected(scene, camera), boxes_of(scene, camera), scene.opacities.numpy()
    means, conics = found.mean_px.numpy(), found.conic.numpy()
    count = np.zeros((camera.height, camera.width), np.int64)
    light = np.ones(count.shape)
    for n in np.argsort(found.depth.numpy(), kind="stable"):
        left, top, right, bottom = boxes[n]
        if right <= left or bottom <= top:
            continue
        x = np.arange(left, right) + 0.5 - means[n, 0]
        y = (np.arange(top, bottom) + 0.5 - means[n, 1])[:, None]
        a, b, c = conics[n]
        alpha = np.minimum(ALPHA_MAX, opacities[n] * np.exp(-0.5 * (a * x * x + c * y * y) - b * x * y))
        here = light[top:bottom, left:right]
        counts = (alpha >= ALPHA_MIN) & (here > 0)
        stops = counts & (here * (1 - alpha) <= TRANSMITTANCE_STOP)
        count[top:bottom, left:right] += counts & ~stops
        here[counts] *= 1 - alpha[counts]
        here[stops] = 0
    return count


def growth(path: Path, work: Work) -> None:
    """A held-out view with the first number of Gaussians, with density control, and the photograph."""
    capture = still_life(downscale=2)
    view = held_out(capture, VIEW)
    with_fixed, with_growth = (
        sfumato.rasterize(work.scene(n), view.camera).image for n in ("fixed", "ssim_0.2")
    )
    save_row(path, [image[PART] for image in (with_fixed, with_growth, photograph(view))], width=320)


def glass(path: Path, work: Work) -> None:
    """A ball of glass among Gaussians."""
    scene, camera = work.scene("good"), held_out(still_life(), VIEW).camera.resized(960, 720)
    vertices, faces = sphere(5)
    ball = Insert(BALL_RADIUS * vertices + torch.tensor(BALL).double(), faces, "glass")
    save_row(path, [render_with_mesh(scene, camera, [ball]).image])


def sphere(rounds: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Vertices [v, 3] and faces [f, 3] of an octahedron whose triangles are cut in four and pushed out."""
    eye = np.eye(3)
    triangles = [
        [sx * eye[0], sy * eye[1], sz * eye[2]][:: 1 if sx * sy * sz > 0 else -1]
        for sx in (1, -1) for sy in (1, -1) for sz in (1, -1)
    ]  # fmt: skip
    corners = np.array(triangles)
    for _ in range(rounds):
        a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        corners = np.concatenate(
            [np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
        )
    corners /= np.linalg.norm(corners, axis=-1, keepdims=True)
    vertices, rows = np.unique(corners.reshape(-1, 3).round(12), axis=0, return_inverse=True)
    return torch.from_numpy(vertices), torch.from_numpy(rows.reshape(-1, 3).astype(np.int64))
