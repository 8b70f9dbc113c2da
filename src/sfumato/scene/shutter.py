"""Rolling shutters: a camera that moves while its picture is read out line by line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sfumato.checks import check_finite, check_shapes
from sfumato.errors import ConfigError
from sfumato.maths.rigid import rigid_from_twist

ReadOut = Literal["down", "up", "right", "left"]
# Beyond this 1 - cos(angle) the closed form of angle / sin(angle) loses nothing; below, its series is exact.
_SMALL_TURN = 0.1
_TERMS = 14
# 1 + cos(angle) of a turn whose axis can still be told.
_LEAST_FROM_HALF_TURN = 1e-6


@dataclass(frozen=True)
class Shutter:
    """How a picture is read out while the camera moves on.

    The camera's own pose is that of the line read first, and lines follow each other evenly: line i of
    n has the pose at the time i / (n - 1).

    Attributes:
        camera_from_world_end: [4, 4] rigid transform of the line read last, of the camera's dtype.
        direction: where the read-out goes: "down" reads the top row first, "up" the bottom row, "right"
            the left column, "left" the right column.
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
        """Whether a line is a row of the picture, not a column."""
        return self.direction in ("down", "up")

    def times(self, lines: int) -> Tensor:
        """[lines] float64 in [0, 1], when each row from the top or column from the left is read."""
        times = torch.arange(lines, dtype=torch.float64) / max(lines - 1, 1)
        return times if self.direction in ("down", "right") else times.flip(0)


def pose_between(start: Tensor, end: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """Poses of a camera on its way: its place moves on a line, its rotation turns about one axis.

    Both go at constant speed (the rotation as slerp). It is the camera's place in the world that moves
    on a line, and not the translation of camera_from_world, whose path would depend on where the
    world's origin is.

    Args:
        start: [4, 4] camera_from_world at time 0.
        end: [4, 4] camera_from_world at time 1.
        times: [m] when.

    Returns:
        (rotation [m, 3, 3] of camera_from_world, centre [m, 3] in the world frame).

    Raises:
        ConfigError: the poses are half a turn apart, so that the axis is unknown.

    Gradients: start and end.
    """
    times = times.to(start)
    first, last = start[:3, :3], end[:3, :3]
    turn = _rotation_vector(last @ first.T)
    twists = torch.cat([times[:, None] * turn, times.new_zeros(len(times), 3)], dim=1)
    rotation = rigid_from_twist(twists)[:, :3, :3] @ first
    centre = torch.lerp(-first.T @ start[:3, 3], -last.T @ end[:3, 3], times[:, None])
    return rotation, centre


def _rotation_vector(rotation: Tensor) -> Tensor:
    """[3] axis times angle of a rotation [3, 3]; exact at the identity too, in value and gradient."""
    less = 0.5 * (3.0 - rotation.diagonal().sum())
    # Poses of another device would have to be waited for.
    if less.device.type == "cpu" and float(less.detach()) > 2.0 - _LEAST_FROM_HALF_TURN:
        raise ConfigError("the poses at the start and the end of the shutter are half a turn apart")
    skew = 0.5 * (rotation - rotation.T)
    sine_axis = torch.stack([skew[2, 1], skew[0, 2], skew[1, 0]])
    is_large = less > _SMALL_TURN
    # Each form sees a turn it can take: an infinite derivative times zero would be NaN.
    sine = torch.where(is_large, sine_axis, 1.0).norm()
    closed = torch.atan2(sine, 1.0 - torch.where(is_large, less, 1.0)) / sine
    small = torch.where(is_large, 0.0, less)
    # angle / sin(angle) = sum of k! / (2k + 1)!! (1 - cos(angle))^k.
    series = torch.ones_like(less)
    for k in reversed(range(1, _TERMS)):
        series = 1.0 + series * small * (k / (2 * k + 1))
    return sine_axis * torch.where(is_large, closed, series)
