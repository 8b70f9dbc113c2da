"""A ball of flat Gaussians with cameras all around, and a dataset of its pictures."""

import torch

from sfumato.maths.quaternions import quat_from_rotation
from sfumato.maths.sh import SH_C0
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from support.capture_folders import save, write_colmap_bin
from support.small_scenes import drawn

RADIUS, COUNT, DISTANCE = 1.0, 1500, 8.0
BLACK = (0.0, 0.0, 0.0)


def frames(directions):
    """[n, 3, 3] rotations whose third columns are the directions."""
    side = torch.linalg.cross(directions, directions.new_tensor([0.1, 0.7, 0.7]).expand_as(directions))
    side = torch.nn.functional.normalize(side, dim=1)
    return torch.stack([side, torch.linalg.cross(directions, side), directions], 2)


def ball(unit=1.0):
    """A ball, red where x is above zero, and blue elsewhere."""
    rows = torch.arange(COUNT) + 0.5
    height, turn = 1 - 2 * rows / COUNT, rows * torch.pi * (1 + 5**0.5)
    flat = (1 - height.square()).sqrt()
    normals = torch.stack([flat * turn.cos(), flat * turn.sin(), height], 1)
    scales = torch.tensor([0.05, 0.05, 0.005]) * unit
    red = (normals[:, 0] > 0).float()[:, None]
    colours = red * torch.tensor([0.8, 0.1, 0.1]) + (1 - red) * torch.tensor([0.1, 0.1, 0.8])
    return Gaussians(
        means=RADIUS * unit * normals,
        log_scales=scales.log().expand(COUNT, 3).clone(),
        quats=quat_from_rotation(frames(normals)),
        logit_opacities=torch.full((COUNT,), 4.0),
        sh=((colours - 0.5) / SH_C0)[:, None],
    )


def cameras(unit=1.0, count=14):
    """Cameras all around that look at the ball."""
    rows = torch.arange(count, dtype=torch.float64) + 0.5
    height, turn = 1 - 2 * rows / count, rows * torch.pi * (1 + 5**0.5)
    flat = (1 - height.square()).sqrt()
    found = []
    for away in torch.stack([flat * turn.cos(), flat * turn.sin(), height], 1):
        pose = torch.eye(4, dtype=torch.float64)
        pose[:3, :3] = frames(-away[None])[0].T
        pose[2, 3] = DISTANCE * unit
        found.append(Camera(pose, (250.0, 250.0), (40.0, 40.0), (80, 80)))
    return found


def dataset(root):
    """A COLMAP dataset of six pictures of one side of the ball; its points are means of Gaussians."""
    gaussians, rows = ball(), []
    shots = [one for one in cameras(count=12) if one.centre_world[2] > 0]
    for number, shot in enumerate(shots):
        name, pose = f"{number:02d}.png", shot.camera_from_world
        rows.append((name, quat_from_rotation(pose[:3, :3]).tolist(), pose[:3, 3].tolist(), 1))
        save(root / "images" / name, drawn(gaussians, shot, BLACK))
    colours = (255 * (gaussians.sh[:, 0] * SH_C0 + 0.5)).round().int().tolist()
    points = list(zip(gaussians.means.tolist(), colours, strict=True))[::3]
    lens = (1, "PINHOLE", *shots[0].size_px, (*shots[0].focal_px, *shots[0].centre_px))
    write_colmap_bin(root / "sparse/0", [lens], rows, points)
    return root
