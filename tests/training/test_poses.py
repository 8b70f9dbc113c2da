"""Corrections of poses: what they learn, the gauge freedom they exclude, and where they are written."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from sfumato.capture.cache import ByteCache
from sfumato.capture.dataset import Capture, View
from sfumato.capture.pixels import Pixels
from sfumato.capture.points import PointCloud
from sfumato.maths.rigid import rigid_from_twist
from sfumato.render.rasterize import rasterize
from sfumato.render.settings import RasterSettings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.shutter import Shutter
from sfumato.training import loop
from sfumato.training.config import Rates, Schedule, TrainConfig
from sfumato.training.parts.poses import Poses
from sfumato.training.state import start
from support.steps import gradients_of

VIEWS, EXTENT = 7, 2.5


def ring(num_views=VIEWS, radius=2.0):
    """[n, 4, 4] cameras at varying heights on an arc around a point off the origin, looking at it."""
    poses = []
    for k in range(num_views):
        angle = torch.tensor(0.5 * k, dtype=torch.float64)
        turn = rigid_from_twist(torch.tensor([0.1 * (k % 3), 0, 0, 0, 0, 0], dtype=torch.float64))
        around = rigid_from_twist(torch.stack([0 * angle, angle, *[0 * angle] * 4]))
        out, back = torch.eye(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)
        out[2, 3], back[:3, 3] = radius, torch.tensor([-5.0, 3.0, -1.0])
        poses.append(out @ turn @ around @ back)
    return torch.stack(poses)


def camera(pose, size_px=(32, 24)):
    return Camera(pose, (30.0, 30.0), (size_px[0] / 2, size_px[1] / 2), size_px)


def with_rates(rotations, translations):
    """A configuration that refines poses from the beginning."""
    rates = Rates(pose_rotations=rotations, pose_translations=translations)
    return TrainConfig(rates=rates, schedule=Schedule(poses_from=0.0))


def corrections(given=None):
    """Float64, which needs no compiled kernel."""
    made = Poses(ring() if given is None else given, EXTENT, with_rates(1e-3, 1e-3))
    saved = made.state_dict()
    made.load_state_dict({**saved, **{key: saved[key].double() for key in ("twists", "moments")}})
    return made


def with_twists(made, twists):
    made.load_state_dict({**made.state_dict(), "twists": twists})
    return made


def shared_motions(given):
    """[7, n * 6] twists (radians, extents) of small similarities of the world, by finite differences."""
    tiny = 1e-6
    changes = []
    for k in range(6):
        twist = torch.zeros(6, dtype=torch.float64)
        twist[k] = tiny
        changes.append(given @ rigid_from_twist(-twist))
    scaled = given.clone()
    scaled[:, :3, 3] *= 1 + tiny
    changes.append(scaled)
    steps = [(changed @ torch.linalg.inv(given) - torch.eye(4)) / tiny for changed in changes]
    turns = [torch.stack([d[:, 2, 1], d[:, 0, 2], d[:, 1, 0]], dim=1) for d in steps]
    both = [torch.cat([t, d[:, :3, 3] / EXTENT], dim=1) for t, d in zip(turns, steps, strict=True)]
    return torch.stack([b.flatten() for b in both])


def without_shared(twists, given):
    basis = torch.linalg.qr(shared_motions(given).T).Q
    return (twists.flatten() - basis @ (basis.T @ twists.flatten())).view_as(twists)


def fit(made, given, wanted, rounds, rates=(1e-3, 1e-3)):
    """Minimise the reprojection error of world points, one camera per step; returns the losses."""
    middle = torch.tensor([5.0, -3.0, 1.0], dtype=torch.float64)
    world = torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) + middle
    made.config = with_rates(*rates)
    losses = []
    for step in range(rounds * len(given)):
        view = step % len(given)
        found = made.refined(camera(given[view]), view).camera_from_world
        here, there = (world @ p[:3, :3].T + p[:3, 3] for p in (found, wanted[view]))
        loss = (here - there).square().mean()
        loss.backward()
        made.step(None, gradients_of(made, view))
        losses.append(float(loss.detach()))
    return losses


def test_at_the_start_nothing_changes():
    for view, pose in enumerate(ring()):
        assert torch.equal(corrections().refined(camera(pose), view).camera_from_world, pose)


def test_a_correction_is_a_twist_in_the_frame_of_its_camera():
    made, given = corrections(), ring()
    twists = torch.zeros(VIEWS, 6, dtype=torch.float64)
    twists[2] = torch.tensor([0.1, -0.2, 0.3, 0.4, 0.5, -0.6])
    with_twists(made, twists)
    scaled = torch.cat([twists[2, :3], EXTENT * twists[2, 3:]])
    expected = rigid_from_twist(scaled) @ given[2]
    found = made.refined(camera(given[2]), 2)
    torch.testing.assert_close(found.camera_from_world, expected)
    assert found.camera_from_world.dtype == torch.float64
    rest = [(c.focal_px, c.centre_px, c.size_px, c.lens) for c in (found, camera(given[2]))]
    assert rest[0] == rest[1]
    assert torch.equal(made.refined(camera(given[1]), 1).camera_from_world, given[1])


@pytest.mark.slow
def test_poses_are_corrected():
    given = ring()
    noise = torch.randn(VIEWS, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    noise = without_shared(0.01 * noise, given)
    scaled = torch.cat([noise[:, :3], EXTENT * noise[:, 3:]], dim=1)
    wanted = rigid_from_twist(scaled) @ given
    made = corrections(given)
    losses = fit(made, given, wanted, 60)
    assert sum(losses[-VIEWS:]) < 0.02 * sum(losses[:VIEWS])
    found = made.state_dict()["twists"]
    assert float((found - noise).norm()) < 0.1 * float(noise.norm())


def test_similarities_of_the_whole_world_are_not_learned():
    given = ring()
    change = rigid_from_twist(torch.tensor([0.01, -0.02, 0.015, 0.1, 0.05, -0.07], dtype=torch.float64))
    moved = given @ change
    moved[:, :3, 3] *= 1.02
    made = corrections(given)
    fit(made, given, moved, 5)
    twists = made.state_dict()["twists"]
    assert twists.any()
    share = shared_motions(given) @ twists.flatten() / shared_motions(given).norm(dim=1)
    # Rotation about the origin here and about the cameras there; both span the same space.
    assert float(share.abs().max()) < 1e-6


@pytest.mark.parametrize("given", [ring(1), ring(1).repeat(4, 1, 1), ring(2)])
def test_few_or_coincident_cameras_have_finite_corrections(given):
    made = corrections(given)
    fit(made, given, given @ rigid_from_twist(torch.full((6,), 0.01, dtype=torch.float64)), 3)
    assert torch.isfinite(made.state_dict()["twists"]).all()
    if len(given) == 1:
        assert float(made.state_dict()["twists"].abs().max()) < 1e-9, "a single camera is the frame"


@pytest.mark.slow
def test_the_first_steps_of_a_seldom_seen_photograph_are_no_longer_than_others():
    given = ring(60)
    made = corrections(given)
    wanted = given @ rigid_from_twist(torch.tensor([0, 0, 0, 0.3, 0, 0], dtype=torch.float64))
    fit(made, given[:1], wanted, 100, rates=(0.0, 0.0))
    before = made.state_dict()["twists"].clone()
    assert not before.any()
    loss = (made.refined(camera(given[5]), 5).camera_from_world - wanted[5]).square().sum()
    loss.backward()
    made.config = with_rates(0.0, 1e-3)
    made.step(None, gradients_of(made, 5))
    moved = made.state_dict()["twists"][5, 3:].abs()
    assert 0.7e-3 < float(moved.max()) < 1.1e-3


def test_only_the_compared_photograph_updates_its_moments():
    given = ring()
    made = corrections(given)
    wanted = given @ rigid_from_twist(torch.full((6,), 0.01, dtype=torch.float64))
    fit(made, given[:1], wanted, 1)
    before = made.state_dict()
    before = copy.deepcopy({key: before[key] for key in ("moments", "visits")})
    assert before["moments"][:, 0].any() and not before["moments"][:, 1:].any()
    assert before["visits"].tolist() == [1] + [0] * (VIEWS - 1)
    made.refined(camera(given[1]), 1).camera_from_world.sum().backward()
    made.step(None, gradients_of(made, 1))
    after = made.state_dict()["moments"]
    assert torch.equal(after[:, 0], before["moments"][:, 0]) and not after[:, 2:].any()


def test_saved_state_is_restored():
    given = ring()
    wanted = given @ rigid_from_twist(torch.full((6,), 0.01, dtype=torch.float64))
    straight, stopped = corrections(given), corrections(given)
    fit(straight, given, wanted, 4)
    fit(stopped, given, wanted, 2)
    resumed = Poses(given, EXTENT, with_rates(1e-3, 1e-3))
    resumed.load_state_dict(copy.deepcopy(stopped.state_dict()))
    fit(resumed, given, wanted, 2)
    for key, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key])


@pytest.fixture
def painted():
    """A scene, true cameras, and a capture of its pictures with slightly wrong cameras."""
    made = torch.Generator().manual_seed(5)
    n = 60
    means = torch.rand(n, 3, generator=made) * 1.6 - 0.8 + torch.tensor([5.0, -3.0, 1.0])
    scene = Gaussians(
        means,
        torch.full((n, 3), -2.0),
        torch.tensor([1.0, 0, 0, 0]).repeat(n, 1),
        torch.full((n,), 1.0),
        3 * torch.rand(n, 1, 3, generator=made) - 1.5,
    )
    given = ring()
    noise = 0.01 * torch.randn(VIEWS, 6, dtype=torch.float64, generator=made)
    true = rigid_from_twist(without_shared(noise, given) * torch.tensor([1.0] * 3 + [EXTENT] * 3)) @ given
    views = []
    for k in range(VIEWS):
        image = rasterize(scene, camera(true[k], (64, 48)), RasterSettings(depth=False)).image
        pixels = Pixels((255 * image.clamp(0, 1)).round().to(torch.uint8).numpy())
        views.append(View(f"{k}.png", camera(given[k], (64, 48)), 0, lambda p=pixels: p, ByteCache(1 << 20)))
    points = PointCloud(means.double().numpy(), np.zeros((n, 3), np.uint8))
    capture = Capture(None, tuple(views), points, False, frozenset(), "none", None, ByteCache(1 << 20))
    return scene, true, capture


def errors(poses, true):
    return [float((p[:3] - t[:3]).norm()) for p, t in zip(poses, true, strict=True)]


@pytest.mark.slow
def test_poses_are_recovered_from_pictures(painted):
    """With the known scene fixed, this tests the gradients of the poses."""
    scene, true, capture = painted
    still = Rates(1e-12, 1e-12, *[0.0] * 5, pose_rotations=2e-3, pose_translations=2e-3)
    whole = Schedule(quarter_resolution_until=0.0, half_resolution_until=0.0, refine_every=10**6)
    config = TrainConfig(
        steps=40 * VIEWS, rates=still, schedule=whole, refine_poses=True, random_background=False
    )
    state = loop.train(capture, start(capture, config, cap=len(scene), init=scene))
    given = [view.camera.camera_from_world for view in capture.views]
    found = [
        state.parts["poses"].refined(v.camera, k).camera_from_world.detach()
        for k, v in enumerate(capture.views)
    ]
    assert np.median(errors(found, true)) < 0.35 * np.median(errors(given, true))


def test_poses_are_not_refined_early(painted):
    scene, _, capture = painted
    config = TrainConfig(steps=20, schedule=Schedule(poses_from=0.5), refine_poses=True)
    seen = []

    def look(state, stats):
        seen.append(bool(state.parts["poses"].state_dict()["twists"].any()))

    loop.train(capture, start(capture, config, cap=len(scene), init=scene), (look,))
    assert seen == [False] * 10 + [True] * 10


def test_both_poses_of_a_moving_camera_are_corrected():
    moving = replace(camera(ring()[0]), shutter=Shutter(ring()[1]))
    made = with_twists(corrections(), 0.05 * torch.randn(VIEWS, 6, dtype=torch.float64))
    refined = made.refined(moving, 0)
    begun = refined.camera_from_world @ torch.linalg.inv(moving.camera_from_world)
    ended = refined.shutter.camera_from_world_end @ torch.linalg.inv(moving.shutter.camera_from_world_end)
    assert torch.allclose(begun, ended) and (begun - torch.eye(4)).abs().max() > 1e-3
