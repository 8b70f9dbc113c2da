import math

import pytest
import torch

from sfumato.errors import ConfigError, ShapeError
from sfumato.maths.rigid import rigid_from_twist
from sfumato.scene.cameras import Camera
from sfumato.scene.shutter import Shutter, pose_between


def pose(*twist):
    return rigid_from_twist(torch.tensor(twist, dtype=torch.float64))


START, END = pose(0.3, -0.2, 0.1, 1.0, 2.0, 3.0), pose(0.5, 0.4, -0.3, 1.5, 1.0, 3.5)


def centre(camera_from_world):
    return -camera_from_world[:3, :3].T @ camera_from_world[:3, 3]


def test_the_path_starts_and_ends_at_the_poses_with_half_the_motion_in_the_middle():
    rotation, centres = pose_between(START, END, torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(rotation[0], START[:3, :3])
    torch.testing.assert_close(rotation[2], END[:3, :3])
    torch.testing.assert_close(centres[1], 0.5 * (centre(START) + centre(END)))
    half = rotation[1] @ START[:3, :3].T
    torch.testing.assert_close(half @ half, END[:3, :3] @ START[:3, :3].T)


def test_the_path_does_not_depend_on_where_the_world_has_its_origin():
    moved = torch.eye(4, dtype=torch.float64)
    moved[:3, 3] = torch.tensor([100.0, -50.0, 20.0])
    times = torch.linspace(0, 1, 5, dtype=torch.float64)
    rotation, centres = pose_between(START, END, times)
    again, shifted = pose_between(START @ moved, END @ moved, times)
    torch.testing.assert_close(again, rotation)
    torch.testing.assert_close(shifted, centres - moved[:3, 3])


@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.1, 0.4, 0.46, 1.5, 3.1])
def test_rotations_of_any_angle_are_exact(angle):
    axis = torch.tensor([2.0, -1.0, 2.0], dtype=torch.float64) / 3.0
    end = pose(*(angle * axis), 0.0, 0.0, 0.0)
    rotation, _ = pose_between(torch.eye(4, dtype=torch.float64), end, torch.tensor([0.25, 1.0]))
    torch.testing.assert_close(rotation[0], pose(*(0.25 * angle * axis), 0, 0, 0)[:3, :3], atol=1e-9, rtol=0)
    torch.testing.assert_close(rotation[1], end[:3, :3], atol=1e-9, rtol=0)


@pytest.mark.parametrize("end", [START, END, pose(2.5, -0.2, 0.1, 1.0, 2.0, 3.0)])
def test_gradients_reach_both_poses(end):
    times = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    poses = (START.clone().requires_grad_(), end.clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: pose_between(a, b, times), poses)


def test_lines_are_read_evenly_in_the_direction():
    shutters = {direction: Shutter(END, direction) for direction in ("down", "up", "right", "left")}
    for direction, shutter in shutters.items():
        first_to_last = [0.0, 0.5, 1.0] if direction in ("down", "right") else [1.0, 0.5, 0.0]
        assert shutter.times(3).tolist() == first_to_last
        assert shutter.reads_rows == (direction in ("down", "up"))
        assert math.isfinite(float(shutter.times(1)[0]))


def test_invalid_shutters_are_refused():
    with pytest.raises(ConfigError, match="sideways"):
        Shutter(END, "sideways")
    with pytest.raises(ConfigError, match="camera_from_world_end"):
        Shutter(END * torch.nan)
    with pytest.raises(ShapeError, match="camera_from_world_end"):
        Shutter(END[:3])
    with pytest.raises(ShapeError, match="camera_from_world_end"):
        Camera(START, (9.0, 9.0), (4.0, 3.0), (8, 6), shutter=Shutter(END.float()))
    with pytest.raises(ConfigError, match="half a turn"):
        pose_between(torch.eye(4), pose(math.pi, 0.0, 0.0, 0.0, 0.0, 0.0).float(), torch.zeros(1))
