"""Moving Gaussians follow photographs of a known motion."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato import ops
from sfumato.capture.multiview import load_multiview
from sfumato.maths.quaternions import rotation_from_quats
from sfumato.ops.constants import ALIGNMENT_ENTRIES
from sfumato.tracking.foreground import Foreground
from sfumato.tracking.node_alignment import aligned
from sfumato.tracking.photograph_parts import Photographs
from sfumato.tracking.time_step import predicted, track_step
from sfumato.tracking.track_config import TrackConfig
from sfumato.tracking.track_state import MovingPoses, StepResult, start
from sfumato.tracking.vote import moving_rows
from support.moving_scenes import MOVING, SHIFT, TURN, first_scene, moving_video, scene_at, turned

pytestmark = [pytest.mark.kernels, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return moving_video(tmp_path_factory.mktemp("moving"))


EIGHT_NODES = TrackConfig(nodes=8, views_per_step=48)


def started(folder, config=EIGHT_NODES, gaussians=None):
    video = load_multiview(folder)
    gaussians = gaussians or first_scene()
    ids = torch.arange(len(gaussians) - MOVING, len(gaussians))
    cameras = video.train_cameras
    colours = {"gains": torch.ones(len(cameras), 3), "offsets": torch.zeros(len(cameras), 3)}
    return start(cameras, gaussians, ids, config, Foreground(video), **colours)


def found(state, poses):
    return StepResult(poses, None, state.absent, state.still_absent, 0)


def go(state, steps):
    for _ in range(steps):
        state.add(track_step(state))
    return state


@pytest.mark.parametrize("nodes", [0, 8])
def test_a_rigid_motion_is_followed(folder, nodes):
    state = go(started(folder, TrackConfig(nodes=nodes, views_per_step=48)), 3)
    true = scene_at(3).means[-MOVING:]
    error = (state.means[3] - true).norm(dim=1).median()
    moved = (true - state.means[0]).norm(dim=1).median()
    assert error < 0.15 * moved
    centre = state.means[3].mean(0) - state.means[0].mean(0)
    torch.testing.assert_close(centre, 3 * SHIFT, atol=0.06, rtol=0)


def test_rotations_are_followed(folder):
    state = go(started(folder), 3)
    turn = rotation_from_quats(state.quats[3])
    angle = torch.atan2(turn[:, 0, 2], turn[:, 0, 0]).median()
    assert abs(float(angle) - 3 * TURN) < 0.1


def test_bodies_rotate_by_the_solution_of_the_normal_equations(folder, monkeypatch):
    def equations(offsets, colours, weights, first, positions, rotations, *others):
        """Unit weights of the rotations; bodies without a rotation are to rotate by 0.2 about y."""
        sums = torch.zeros(len(positions), ALIGNMENT_ENTRIES)
        row, column = torch.triu_indices(6, 6)
        sums[:, :21] = ((row == column) & (row >= 3)).float()
        sums[:, 25] = -0.2 * (rotations == torch.eye(3)).all(2).all(1)
        return sums

    monkeypatch.setattr(ops, "alignment", equations)
    state = started(folder)
    start = predicted(state)
    poses = aligned(state, Photographs(state, state.step, start), start)
    # The damping is 0.01 of the trace, which is 3, and 0.001 of that of the median body.
    angle = 2 * math.atan(0.1 / 1.033)
    torch.testing.assert_close(poses.quats, turned(angle).expand(MOVING, 4), atol=1e-5, rtol=0)


def test_errors_of_the_last_step_do_not_stay(folder):
    """Photographs alone show how a body moved since then, but renders also where it should have been."""
    state = started(folder)
    state.means[-1] = state.means[-1] + torch.tensor([0.06, 0.0, -0.04])
    start = predicted(state)
    poses = aligned(state, Photographs(state, state.step, start), start)
    error = (poses.means - scene_at(1).means[-MOVING:]).mean(0).norm()
    assert error < 0.02, "it was 0.07 before the step"


def test_the_same_seed_gives_the_same_bits(folder):
    first, second = (go(started(folder), 2) for _ in range(2))
    assert torch.equal(first.means[2], second.means[2])
    assert torch.equal(first.quats[2], second.quats[2])
    other = go(started(folder, TrackConfig(nodes=8, views_per_step=48, seed=1)), 1)
    assert not torch.equal(first.means[1], other.means[1])


def test_a_step_starts_with_the_motion_of_the_last_one(folder):
    state = started(folder)
    state.add(found(state, MovingPoses(state.means[0] + SHIFT, state.quats[0])))
    torch.testing.assert_close(predicted(state).means, state.means[0] + 2 * SHIFT)
    still = dataclasses.replace(state, config=TrackConfig(forward_motion=False))
    assert torch.equal(predicted(still).means, state.means[1])


def test_units_of_the_scene_change_nothing(folder, tmp_path):
    """The same rig and scene a thousand times larger."""
    import json
    import shutil

    big = tmp_path / "big"
    shutil.copytree(folder, big)
    for part in ("train", "test"):
        meta = json.loads((big / f"{part}_meta.json").read_text())
        poses = np.array(meta["w2c"])
        poses[..., :3, 3] *= 1000
        (big / f"{part}_meta.json").write_text(json.dumps(meta | {"w2c": poses.tolist()}))
    gaussians = first_scene()
    larger = dataclasses.replace(
        gaussians, means=gaussians.means * 1000, log_scales=gaussians.log_scales + np.log(1000)
    )
    few = TrackConfig(views_per_step=8)
    small, large = go(started(folder, few), 1), go(started(big, few, gaussians=larger), 1)
    # Equal except for rounding, which a few iterations of Adam amplify little.
    torch.testing.assert_close(large.means[1] / 1000, small.means[1], atol=1e-3, rtol=0)


def test_masks_determine_the_moving_gaussians(folder):
    video, gaussians = load_multiview(folder), first_scene()
    rows = moving_rows(gaussians, Foreground(video))
    expected = torch.arange(len(gaussians) - MOVING, len(gaussians))
    assert set(rows.tolist()) >= set(expected.tolist())
    assert len(rows) < 1.2 * MOVING


def test_without_masks_the_median_over_time_determines_motion(tmp_path):
    video = load_multiview(moving_video(tmp_path, masks=False, steps=9))
    foreground, masked = Foreground(video), load_multiview(moving_video(tmp_path, steps=9))
    for step in (0, 8):
        found, given = foreground.of(0, step), masked.foreground(0, step)
        assert found is not None and given is not None
        # For the median, an object that covers a pixel at most steps is background.
        assert (found & given).sum() > 0.25 * given.sum()
        assert (found & ~given).float().mean() < 0.2


def test_what_is_at_rest_at_first_and_moves_later_is_moving(tmp_path):
    video = load_multiview(
        moving_video(tmp_path, masks=False, steps=24, at=lambda step: scene_at(max(step - 10, 0)))
    )
    gaussians = first_scene()
    rows = moving_rows(gaussians, Foreground(video))
    ball = rows >= len(gaussians) - MOVING
    assert ball.sum() > 0.7 * MOVING and (~ball).sum() < 0.1 * MOVING


def test_a_change_of_light_is_not_motion(tmp_path):
    folder = moving_video(tmp_path, masks=False, steps=12, at=lambda step: first_scene())
    for path in folder.glob("ims/*/000011.png"):
        with Image.open(path) as image:
            darker = image.point(lambda value: value // 3)
        darker.save(path)
    assert not len(moving_rows(first_scene(), Foreground(load_multiview(folder))))


def test_cameras_without_a_frame_are_skipped(tmp_path):
    video = load_multiview(moving_video(tmp_path, steps=2, missing=[(2, 1)]))
    assert video.train_cameras[2].views[1] is None
    state = go(started(tmp_path), 1)
    error = (state.means[1] - scene_at(1).means[-MOVING:]).norm(dim=1).median()
    assert error < 0.5 * SHIFT.norm()
