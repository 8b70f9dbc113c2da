"""A tiny dynamic scene, and its multi-view video on disk."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import torch

from sfumato.maths.neighbours import near_neighbours
from sfumato.maths.quaternions import quat_product
from sfumato.render.rasterize import rasterize
from sfumato.render.settings import RasterSettings
from sfumato.scene.cameras import Camera
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.track_config import TrackConfig
from sfumato.tracking.tracked_scene import TrackedScene
from sfumato.tracking.trained_poses import TrainedPoses
from support.capture_folders import save
from support.rig_folders import ring_pose

SIZE_PX = (64, 48)
FOCAL_PX = 60.0
MOVING = 40
# Translation of the ball at the centre in each step; it also rotates.
SHIFT = torch.tensor([0.08, 0.03, -0.05])
TURN = 0.15
SETTINGS = RasterSettings(depth=False)


def cameras(count=6):
    poses = [torch.from_numpy(ring_pose(2 * math.pi * i / count)) for i in range(count)]
    centre = (SIZE_PX[0] / 2, SIZE_PX[1] / 2)
    return [Camera(pose, (FOCAL_PX, FOCAL_PX), centre, SIZE_PX) for pose in poses]


def turned(angle):
    return torch.tensor([math.cos(angle / 2), 0.0, math.sin(angle / 2), 0.0])


def first_scene():
    """Coloured Gaussians on a sphere around all cameras, followed by those of a ball at the centre."""
    generator = torch.Generator().manual_seed(0)
    wall = torch.nn.functional.normalize(torch.randn(400, 3, generator=generator), dim=1) * 9
    ball = torch.nn.functional.normalize(torch.randn(MOVING, 3, generator=generator), dim=1) * 0.6
    means = torch.cat([wall, ball])
    scales = torch.cat([torch.full((400, 3), math.log(0.9)), torch.full((MOVING, 3), math.log(0.18))])
    quats = torch.zeros(len(means), 4)
    quats[:, 0] = 1.0
    sh = torch.rand(len(means), 1, 3, generator=generator) * 2.4 - 1.2
    return Gaussians(means, scales, quats, torch.full((len(means),), 3.0), sh)


def scene_at(step):
    """The scene at a step, with the ball translated and rotated."""
    gaussians = first_scene()
    angle = TURN * step
    c, s = math.cos(angle), math.sin(angle)
    rotation = torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    means, quats = gaussians.means.clone(), gaussians.quats.clone()
    means[-MOVING:] = means[-MOVING:] @ rotation.T + step * SHIFT
    quats[-MOVING:] = turned(angle)
    return Gaussians(**{**gaussians.tensors(), "means": means, "quats": quats})


def tracked_scene(steps=4):
    """The dynamic scene of an error-free tracking run, with a thirtieth of a second per step."""
    first = first_scene()
    ids = torch.arange(len(first) - MOVING, len(first))
    at = [scene_at(step) for step in range(steps)]
    return TrackedScene(
        first,
        ids,
        torch.arange(steps, dtype=torch.float64) / 30,
        torch.stack([now.means[ids] for now in at]),
        torch.stack([now.quats[ids] for now in at]),
        torch.zeros(MOVING, dtype=torch.int64),
        torch.full((MOVING,), steps),
    )


def brief_scene(moving=6, still=3, steps=5):
    """Gaussians that rotate and drift over unevenly spaced times; one is born late, and one dies early."""
    generator = torch.Generator().manual_seed(1)
    n = moving + still
    ids = torch.arange(n)[torch.randperm(n, generator=generator)[:moving]].sort().values
    times = torch.arange(steps, dtype=torch.float64) ** 1.5 / 10
    start = torch.randn(moving, 3, generator=generator)
    drift = torch.randn(moving, 3, generator=generator)
    means = torch.stack([start + float(time) * drift for time in times])
    quats = torch.nn.functional.normalize(torch.randn(1, moving, 4, generator=generator), dim=2)
    turns = torch.stack([turned(0.9 * step) for step in range(steps)])[:, None]
    quats = quat_product(turns, quats)
    birth, death = torch.zeros(moving, dtype=torch.int64), torch.full((moving,), steps)
    birth[1], death[2] = 2, 3
    at = torch.arange(steps)[:, None]
    gone = (at < birth) | (at >= death)
    means[gone], quats[gone] = torch.nan, torch.nan
    shapes = {"log_scales": (n, 3), "logit_opacities": (n,), "sh": (n, 4, 3)}
    others = {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    others["log_scales"] -= 3
    gaussians = Gaussians(
        means=torch.randn(n, 3, generator=generator), quats=torch.randn(n, 4, generator=generator), **others
    )
    scene = DynamicScene(gaussians, ids, times, means, quats, birth, death)
    return replace(scene, gaussians=scene.at_birth())


def poses_of(scene, **changes):
    """The poses of a scene as they are trained, after a run that ended with the given state."""
    near = near_neighbours(scene.gaussians.means[scene.ids], 3)
    state = {
        "config": TrackConfig(),
        "ids": scene.ids,
        "neighbours": near,
        "edge_weights": near.weights,
        "bodies": None,
        "pixel_size": 0.05,
        "spacing": 0.3,
    }
    return TrainedPoses(scene, SimpleNamespace(**{**state, **changes}))


def photograph(camera, step, at=scene_at):
    image = rasterize(at(step), camera, SETTINGS).image.clamp(0, 1)
    return (image * 255).round().byte().numpy()


def moving_video(root, *, steps=4, masks=True, count=7, missing=(), at=scene_at):
    """A dataset in the layout of PanopticSports; the last camera is held out.

    Args:
        missing: (camera, step) of missing photographs.
        at: returns the photographed scene at a step.
    """
    rig = cameras(count)
    for part, numbers in (("train", range(count - 1)), ("test", [count - 1])):
        rows = [[n for n in numbers if (n, step) not in missing] for step in range(steps)]
        matrix = [[FOCAL_PX, 0.0, SIZE_PX[0] / 2], [0.0, FOCAL_PX, SIZE_PX[1] / 2], [0.0, 0.0, 1.0]]
        meta = {
            "w": SIZE_PX[0],
            "h": SIZE_PX[1],
            "k": [[matrix for _ in row] for row in rows],
            "w2c": [[rig[n].camera_from_world.tolist() for n in row] for row in rows],
            "fn": [[f"{n}/{step:06d}.png" for n in row] for step, row in enumerate(rows)],
            "cam_id": rows,
        }
        (root / f"{part}_meta.json").write_text(json.dumps(meta))
        for step, row in enumerate(rows):
            for n in row:
                save(root / "ims" / str(n) / f"{step:06d}.png", photograph(rig[n], step, at))
                if masks and part == "train":
                    still = Gaussians(**{k: v[:-MOVING] for k, v in first_scene().tensors().items()})
                    empty = rasterize(still, rig[n], SETTINGS).image.clamp(0, 1)
                    shown = torch.from_numpy(photograph(rig[n], step, at)).float() / 255
                    mask = ((shown - empty).abs() > 0.02).any(2).numpy().astype(np.uint8) * 255
                    save(root / "seg" / str(n) / f"{step:06d}.png", mask)
    return root
