"""Rigid parts of dynamic scenes: detection, fitting, and export as animated glTF nodes."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation, Slerp

from sfumato.maths.quaternions import quat_from_rotation, quat_product, rotation_from_quats
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.files import gltf_motion, load
from sfumato.scene.files.dynamic_files import save_dynamic
from sfumato.scene.files.gltf_container import read_document
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.rigid_parts import rigid_parts
from support.moving_scenes import brief_scene, tracked_scene

HALF_TURN = torch.tensor([-1.0, -1.0, 1.0])


def two_bodies(count=60, steps=7, noise=0.0):
    """Two interlocked bodies: one makes a full rotation and drifts, the other moves oppositely."""
    g = torch.Generator().manual_seed(3)
    means = torch.randn(count, 3, generator=g) * 0.5
    quats = torch.nn.functional.normalize(torch.randn(count, 4, generator=g), dim=1)
    body = torch.arange(count) % 2
    shapes = {"logit_opacities": (count,), "sh": (count, 1, 3)}
    others = {name: torch.randn(shape, generator=g) for name, shape in shapes.items()}
    log_scales = torch.full((count, 3), math.log(0.05))
    at, turns = [], []
    for step in range(steps):
        angle = torch.tensor([2 * math.pi / steps * step, -0.2 * step]) / 2
        zero = torch.zeros(2)
        turn = torch.stack([angle.cos(), zero, angle.sin(), zero], dim=1)[body]
        shift = torch.tensor([[0.3 * step, 0.0, 0.0], [0.0, -0.2 * step, 0.1]])[body]
        at.append((rotation_from_quats(turn) @ means[..., None])[..., 0] + shift)
        turns.append(quat_product(turn, quats))
    moved = torch.stack(at) + noise * torch.randn(steps, count, 3, generator=g)
    times = torch.arange(steps, dtype=torch.float64) / 5 + 2
    lifetimes = torch.zeros(count, dtype=torch.int64), torch.full((count,), steps)
    gaussians = Gaussians(means=moved[0], quats=turns[0], log_scales=log_scales, **others)
    return DynamicScene(gaussians, torch.arange(count), times, moved, torch.stack(turns), *lifetimes), body


def carried(parts):
    rotations, shifts = parts.motions.rotations[parts.labels], parts.motions.shifts[parts.labels]
    return torch.einsum("mtab,mb->tma", rotations, parts.means) + shifts.transpose(0, 1)


def test_two_interlocked_bodies_are_two_parts():
    scene, body = two_bodies()
    parts = rigid_parts(scene)
    assert len(parts) == 2 and parts.fit()
    assert len(set(zip(body.tolist(), parts.labels.tolist(), strict=True))) == 2
    torch.testing.assert_close(carried(parts).float(), scene.means, atol=1e-5, rtol=0)
    turns = quat_from_rotation(parts.motions.rotations)[parts.labels].transpose(0, 1)
    dots = (quat_product(turns, parts.quats) * scene.quats).sum(2).abs()
    torch.testing.assert_close(dots, torch.ones_like(dots), atol=1e-5, rtol=0)
    torch.testing.assert_close(parts.motions.rotations[:, 0], torch.eye(3).double().expand(2, 3, 3))


def test_noise_is_reported_and_not_split_into_parts():
    """With noise of three times the tolerance, more parts would not help."""
    scene, _ = two_bodies(count=400, noise=0.075)
    parts = rigid_parts(scene)
    assert len(parts) < 20 and not parts.fit()
    assert float(parts.errors.median()) == pytest.approx(0.075 * math.sqrt(3), rel=0.4)
    assert f"{len(parts)} rigid parts" in str(parts)


def test_a_single_gaussian_has_its_own_rotation():
    scene, _ = two_bodies()
    one = dataclasses.replace(
        scene, ids=scene.ids[:1], means=scene.means[:, :1], quats=scene.quats[:, :1], birth=scene.birth[:1],
        death=scene.death[:1],
    )  # fmt: skip
    parts = rigid_parts(one)
    turns = quat_from_rotation(parts.motions.rotations)[0]
    dots = (quat_product(turns, parts.quats) * one.quats[:, 0]).sum(1).abs()
    torch.testing.assert_close(dots, torch.ones_like(dots), atol=1e-5, rtol=0)
    torch.testing.assert_close(carried(parts).float(), one.means, atol=1e-6, rtol=0)


def test_late_and_early_ones_belong_to_their_body():
    scene, body = two_bodies()
    birth, death = scene.birth.clone(), scene.death.clone()
    birth[10:20], death[30:40] = 4, 3
    steps = torch.arange(scene.num_steps)[:, None]
    gone = (steps < birth) | (steps >= death)
    means, quats = scene.means.clone(), scene.quats.clone()
    means[gone], quats[gone] = torch.nan, torch.nan
    parts = rigid_parts(dataclasses.replace(scene, means=means, quats=quats, birth=birth, death=death))
    assert len(parts) == 2 and len(set(zip(body.tolist(), parts.labels.tolist(), strict=True))) == 2
    torch.testing.assert_close(carried(parts).float()[~gone], scene.means[~gone], atol=1e-5, rtol=0)


class Animation:
    """Evaluates the Gaussians of a file at a time from its nodes and channels."""

    def __init__(self, path):
        self.document = read_document(path)
        self.root = self.document.root
        (self.animation,) = self.root["animations"]

    def at(self, time):
        found = []
        for index, node in enumerate(self.root["nodes"]):
            if "mesh" in node:
                matrix = self.world(index, time)
                (primitive,) = self.root["meshes"][node["mesh"]]["primitives"]
                means = self.document.numbers(primitive["attributes"]["POSITION"], 3)
                if np.linalg.det(matrix[:3, :3]) > 0.5:
                    found.append(means @ matrix[:3, :3].T + matrix[:3, 3])
        return np.concatenate(found)

    def world(self, index, time):
        parent = next((i for i, n in enumerate(self.root["nodes"]) if index in n.get("children", [])), None)
        own = np.eye(4)
        values = {"translation": [0, 0, 0], "rotation": [0, 0, 0, 1], "scale": [1, 1, 1]}
        values |= {key: self.root["nodes"][index][key] for key in values if key in self.root["nodes"][index]}
        for channel in self.animation["channels"]:
            if channel["target"]["node"] == index:
                values[channel["target"]["path"]] = self.sampled(channel, time)
        own[:3, :3] = Rotation.from_quat(values["rotation"]).as_matrix() * values["scale"]
        own[:3, 3] = values["translation"]
        return own if parent is None else self.world(parent, time) @ own

    def sampled(self, channel, time):
        sampler = self.animation["samplers"][channel["sampler"]]
        width = 4 if channel["target"]["path"] == "rotation" else 3
        times = self.document.numbers(sampler["input"], 1)[:, 0]
        output = self.document.numbers(sampler["output"], width)
        if sampler["interpolation"] == "STEP":
            return output[max(np.searchsorted(times, time + 1e-6) - 1, 0)]
        if width == 4:
            return Slerp(times, Rotation.from_quat(output))(np.clip(time, times[0], times[-1])).as_quat()
        return [np.interp(time, times, column) for column in output.T]


def assert_same_points(found, expected, atol):
    """In any order."""
    assert found.shape == expected.shape
    for some, others in ((found, expected), (expected, found)):
        assert cKDTree(some).query(others)[0].max() < atol


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
def test_animated_nodes_show_the_scene_at_each_step(tmp_path, suffix):
    scene = brief_scene()
    remark = save_dynamic(scene, tmp_path / f"a{suffix}")
    assert "rigid parts" in remark
    animation = Animation(tmp_path / f"a{suffix}")
    for time in scene.times.tolist():
        expected = (scene.at(time).means * HALF_TURN).numpy()
        assert_same_points(animation.at(time), expected, 1e-4)


def test_many_lifetimes_are_rounded(tmp_path, monkeypatch):
    scene = brief_scene()
    monkeypatch.setattr(gltf_motion, "_MOST_MESHES", 5)
    remark = save_dynamic(scene, tmp_path / "a.glb")
    assert "they enter and leave up to 7 steps off" in remark
    animation = Animation(tmp_path / "a.glb")
    assert len(animation.root["meshes"]) <= 6
    assert len(animation.at(float(scene.times[0]))) == 9, "a Gaussian appears before its birth"


def test_a_ball_is_one_node_that_turns_between_steps(tmp_path):
    scene = tracked_scene()
    save_dynamic(scene, tmp_path / "a.glb")
    animation = Animation(tmp_path / "a.glb")
    assert len(animation.root["nodes"]) == 4, "a root, the wall, the part and its mesh"
    middle = float(scene.times[1:3].mean())
    expected = (scene.at(middle).means * HALF_TURN).numpy()
    # The curves of the scene between steps are not circles; the error is of fourth order in the angle.
    assert_same_points(animation.at(middle), expected, 2e-3)


def test_a_file_is_read_as_a_static_scene_at_rest(tmp_path):
    scene, _ = two_bodies()
    save_dynamic(scene, tmp_path / "a.glb")
    still = load(tmp_path / "a.glb")
    assert_same_points(still.means.numpy(), scene.gaussians.means.numpy(), 1e-5)
