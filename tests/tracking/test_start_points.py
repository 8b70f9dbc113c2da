"""Initial points for few cameras: moving ones from the visual hull, static ones on a floor and a sphere."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sfumato.capture.multiview import RigCamera
from sfumato.capture.random_points import rays_through
from sfumato.scene.cameras import Camera
from sfumato.tracking.foreground import Foreground
from sfumato.tracking.start_points import start_points
from sfumato.tracking.still_points import Plane, StillView, find_floor, still_points

SIZE_PX, FOCAL_PX = (120, 90), 90.0
# Three cameras 4 m from a ball above the floor z = 0; up differs from the mean of their up axes.
AROUND, HEIGHT, MIDDLE, BALL = 4.0, 2.0, np.array([0.0, 0.0, 0.8]), 0.5
ROLLS = (0.2, 0.0, -0.1)


def camera(number):
    angle = 2 * math.pi * number / 3
    centre = np.array([AROUND * math.cos(angle), AROUND * math.sin(angle), HEIGHT])
    forward = (MIDDLE - centre) / np.linalg.norm(MIDDLE - centre)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down, roll = np.cross(forward, right), ROLLS[number]
    pose = np.eye(4)
    pose[0, :3] = math.cos(roll) * right + math.sin(roll) * down
    pose[1, :3] = math.cos(roll) * down - math.sin(roll) * right
    pose[2, :3] = forward
    pose[:3, 3] = -pose[:3, :3] @ centre
    return Camera(torch.from_numpy(pose), (FOCAL_PX, FOCAL_PX), (SIZE_PX[0] / 2, SIZE_PX[1] / 2), SIZE_PX)


CAMERAS = [camera(number) for number in range(3)]


def picture(camera, ball):
    """(rgb, mask of the ball): a floor with patches of varying brightness, walls, and optionally a ball."""
    x, y = np.meshgrid(np.arange(SIZE_PX[0]) + 0.5, np.arange(SIZE_PX[1]) + 0.5)
    centre, rays = rays_through(camera, np.stack([x, y], axis=-1).reshape(-1, 2))
    depths = np.where(rays[:, 2] < 0, -centre[2] / np.minimum(rays[:, 2], -1e-9), np.inf)
    floor = centre + np.minimum(depths, 100.0)[:, None] * rays
    grey = (
        110 + 60 * np.sin(2.1 * floor[:, 0] + 1.0) * np.cos(1.7 * floor[:, 1]) + 25 * np.sin(5 * floor[:, 0])
    )
    rgb = np.where(np.isfinite(depths), grey, 60)[:, None] * np.array([1.0, 0.9, 0.8])
    to_ball = MIDDLE - centre
    unit = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    hit = ball & (np.linalg.norm(to_ball - (unit @ to_ball)[:, None] * unit, axis=1) < BALL)
    rgb[hit] = (250, 20, 20)
    return rgb.reshape(*x.shape, 3).astype(np.uint8), hit.reshape(x.shape)


def still_views():
    found = []
    for one in CAMERAS:
        rgb, moves = picture(one, True)
        found.append(StillView(one, rgb, picture(one, False)[0], ~moves))
    return found


def level():
    return np.array([0.1, -0.05, 0.99]) / np.linalg.norm([0.1, -0.05, 0.99])


def test_the_floor_is_the_photo_consistent_plane():
    floor = find_floor(still_views(), MIDDLE, np.array([0.1, 0.0, 0.2]), level(), np.random.default_rng(0))
    assert math.degrees(math.acos(floor.normal[2])) < 3
    assert abs(floor.offset) < 0.05 * AROUND / 2


@pytest.mark.slow
def test_without_photo_consistency_there_is_no_floor():
    rng = np.random.default_rng(0)
    noise = [
        StillView(s.camera, rng.integers(0, 256, s.rgb.shape, np.uint8), s.rgb, s.still)
        for s in still_views()
    ]
    assert find_floor(noise, MIDDLE, np.zeros(3), level(), rng) is None


def test_static_points_are_on_the_floor_or_beyond_the_cameras():
    xyz, rgb = still_points(
        still_views(), MIDDLE, Plane(np.array([0, 0, 1.0]), 0.0), 900, np.random.default_rng(0)
    )
    on_floor = np.abs(xyz[:, 2]) < 1e-9
    away = np.linalg.norm(xyz - MIDDLE, axis=1)
    assert 0.3 < on_floor.mean() < 1.0 and (xyz[:, 2] > -1e-9).all()
    assert (away[~on_floor] > 1.1 * AROUND).all()
    # The colours are those of the median over time, without the ball.
    assert not (rgb == (250, 20, 20)).all(axis=1).any()


def video(moments=5):
    """Three cameras that see a ball only at the first moment."""
    rigs = []
    for number, one in enumerate(CAMERAS):
        shots = [
            SimpleNamespace(rgb=picture(one, step == 0)[0], alpha=None, mask=None) for step in range(moments)
        ]
        views = tuple(SimpleNamespace(camera=one, load=lambda shot=shot: shot) for shot in shots)
        rigs.append(RigCamera(str(number), one, views, False))
    return SimpleNamespace(
        cameras=rigs,
        train_cameras=rigs,
        points=None,
        foreground=lambda camera, step: None,
        at=lambda step: None,
    )


@pytest.mark.slow
def test_with_three_cameras_moving_points_come_from_the_visual_hull():
    rig = video()
    cloud = start_points(rig, Foreground(rig), seed=3)
    red = (cloud.rgb[:, 0] > 200) & (cloud.rgb[:, 1] < 80)
    away = np.linalg.norm(cloud.xyz - MIDDLE, axis=1)
    assert red.sum() > 1000 and np.quantile(away[red], 0.95) < 2 * BALL


@pytest.mark.parametrize("few", [True, False])
def test_with_few_cameras_gaps_in_moving_masks_are_closed(few):
    rig = video()
    # An object that covers the same pixels at all times leaves a ring that is open on one side.
    mask = torch.zeros(SIZE_PX[1], SIZE_PX[0], dtype=torch.bool)
    mask[60:80, 60:80] = True
    mask[66:74, 66:74] = False
    mask[70:72, 74:80] = False
    rig.foreground = lambda camera, step: mask
    if not few:
        rig.cameras = rig.train_cameras = rig.cameras * 2
    _, moves = next(iter(Foreground(rig).changing_at(3)))
    assert bool(moves[70, 70]) == few and moves[62, 62] and not moves[50, 30]
