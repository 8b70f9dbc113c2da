"""Rolling shutters: a camera that moves while its image is read out line by line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sfumato.checks import check_finite, check_shapes
from sfumato.errors import ConfigError
from sfumato.maths.device_copies import moved_like
from sfumato.maths.rigid import centre_of, rigid_from_twist

ReadOut = Literal["down", "up", "right", "left"]
# Above this 1 - cos(angle) the closed form of angle / sin(angle) is accurate; below, its series is.
_SMALL_TURN = 0.1
_TERMS = 14
# Least 1 + cos(angle) for which the rotation axis is determined.
_LEAST_FROM_180_DEGREES = 1e-6


@dataclass(frozen=True)
class Shutter:
    """Read-out of an image while the camera moves.

    The camera's own pose is that of the line read first, and lines are read at even intervals: line i of
    n has the pose at the time i / (n - 1).

    Attributes:
        camera_from_world_end: [4, 4] rigid transform of the line read last, of the camera's dtype.
        direction: of the read-out: "down" reads the top row first, "up" the bottom row, "right" the left
            column, "left" the right column.
    """

    camera_from_world_end: Tensor
    direction: ReadOut = "down"

    def __post_init__(self) -> None:
        check_shapes(camera_from_world_end=(self.camera_from_world_end, "4 4"))
        check_finite("camera_from_world_end", self.camera_from_world_end)
        if self.direction not in ("down", "up", "right", "left"):
            raise ConfigError(
                f"shutter direction {self.direction!r} is unknown: give down, up, right or left"
            )

    @property
    def reads_rows(self) -> bool:
        """Whether a line is a row of the image, not a column."""
        return self.direction in ("down", "up")

    def times(self, lines: int) -> Tensor:
        """[lines] float64 in [0, 1], when each row from the top or column from the left is read."""
        times = torch.arange(lines, dtype=torch.float64) / max(lines - 1, 1)
        return times if self.direction in ("down", "right") else times.flip(0)


def pose_between(start: Tensor, end: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """Interpolate poses: the position on a straight line, the rotation about one axis (slerp).

    Both at constant speed. The camera's position in the world is interpolated, not the translation of
    camera_from_world, whose path would depend on the origin of the world frame.

    Args:
        start: [4, 4] camera_from_world at time 0.
        end: [4, 4] camera_from_world at time 1.
        times: [m] from 0 to 1.

    Returns:
        (rotation [m, 3, 3] of camera_from_world, centre [m, 3] in the world frame).

    Raises:
        ConfigError: the poses are 180 degrees apart, so that the axis is undetermined.

    Gradients: start and end.
    """
    times = moved_like(times, start)
    first, last = start[:3, :3], end[:3, :3]
    turn = _rotation_vector(last @ first.T)
    twists = torch.cat([times[:, None] * turn, times.new_zeros(len(times), 3)], dim=1)
    rotation = rigid_from_twist(twists)[:, :3, :3] @ first
    centre = torch.lerp(centre_of(start), centre_of(end), times[:, None])
    return rotation, centre


def _rotation_vector(rotation: Tensor) -> Tensor:
    """[3] axis times angle of a rotation [3, 3]; exact at the identity too, in value and gradient."""
    less = 0.5 * (3.0 - rotation.diagonal().sum())
    # Reading a value on another device would wait for that device.
    if less.device.type == "cpu" and float(less.detach()) > 2.0 - _LEAST_FROM_180_DEGREES:
        raise ConfigError("the poses at the start and the end of the shutter are half a turn apart")
    skew = 0.5 * (rotation - rotation.T)
    sine_axis = torch.stack([skew[2, 1], skew[0, 2], skew[1, 0]])
    is_large = less > _SMALL_TURN
    # Each form gets arguments in its domain: an infinite derivative times zero would be NaN.
    sine = torch.where(is_large, sine_axis, 1.0).norm()
    closed = torch.atan2(sine, 1.0 - torch.where(is_large, less, 1.0)) / sine
    small = torch.where(is_large, 0.0, less)
    # angle / sin(angle) = sum of k! / (2k + 1)!! (1 - cos(angle))^k.
    series = torch.ones_like(less)
    for k in reversed(range(1, _TERMS)):
        series = 1.0 + series * small * (k / (2 * k + 1))
    return sine_axis * torch.where(is_large, closed, series)
