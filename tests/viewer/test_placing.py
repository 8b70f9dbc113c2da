"""Up direction, centre and size of a scene for the page."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sfumato.maths.quaternions import rotation_from_quats
from sfumato.render.settings import RasterSettings
from sfumato.scene.scene import Metadata, with_metadata
from sfumato.viewer.extent import place
from sfumato.viewer.subject import Subject
from support.small_scenes import camera_at, small_scene

AROUND = [camera_at(angle, roll=0.1 * (-1) ** i) for i, angle in enumerate(np.linspace(0, 6, 12))]


def turned(camera, rotation):
    """The camera in a world rotated by [3, 3]."""
    pose = camera.camera_from_world.clone()
    pose[:3, :3] = pose[:3, :3] @ torch.from_numpy(rotation).T
    return replace(camera, camera_from_world=pose)


def test_reconstructions_have_y_down():
    found = place(small_scene(), AROUND)
    assert found.up == (0.0, -1.0, 0.0)
    assert np.allclose(found.middle, 0, atol=0.6)
    assert found.radius == pytest.approx(np.hypot(4, 1.2), rel=0.15)
    assert (np.array(found.low) < -0.8).all() and (np.array(found.high) > 0.8).all()


@pytest.mark.parametrize("axis, sign", [(0, 1), (1, 1), (2, 1), (2, -1)])
def test_other_up_axes_are_found(axis, sign):
    up = np.zeros(3)
    up[axis] = sign
    other = np.roll(up, 1)
    # Columns: images of the x, y and z axes of a world with y down.
    rotation = np.stack([other, -up, np.cross(other, -up)], axis=1)
    found = place(small_scene(), [turned(camera, rotation) for camera in AROUND])
    assert np.allclose(found.up, up)


def test_tilted_worlds_are_levelled():
    rotation = rotation_from_quats(torch.tensor([[0.9, 0.3, -0.2, 0.25]], dtype=torch.float64))[0].numpy()
    found = place(small_scene(), [turned(camera, rotation) for camera in AROUND])
    expected = rotation @ [0.0, -1.0, 0.0]
    assert np.dot(found.up, expected) > 0.995


def test_cameras_that_look_straight_down_have_up_behind_them():
    cameras = [camera_at(angle, height=-6.0, distance=0.5) for angle in np.linspace(0, 6, 9)]
    assert place(small_scene(), cameras).up == (0.0, -1.0, 0.0)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_gaussians_without_cameras_are_accepted(count):
    found = place(small_scene(count), [])
    assert found.radius > 0 and np.isfinite([*found.middle, *found.low, *found.high, found.frustum]).all()
    assert np.isfinite(place(small_scene(count), AROUND[:1]).middle).all()


def test_without_cameras_up_comes_from_the_metadata():
    scene = with_metadata(small_scene(), Metadata(antialiased=True, up=(0.0, 0.0, 1.0)))
    assert place(scene, []).up == pytest.approx((0, 0, 1))
    assert place(small_scene(), []).up == pytest.approx((0, -1, 0))
    assert Subject("a scene", scene).is_antialiased and not Subject("a scene", small_scene()).is_antialiased
    assert not Subject("a scene", scene, settings=RasterSettings(antialiased=False)).is_antialiased
