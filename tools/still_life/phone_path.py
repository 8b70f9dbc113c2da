"""Where the phone is at any time of the film, and when it takes its frames.

A person walks round the front of the table holding a phone: from the left to the right with the phone low,
up at the right end, back with the phone high, and down towards where they started. On top of that come
sway, the shake of a hand, and a few jerks. Everything is a function of time, so that the motion during an
exposure is known too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from cameras import FOCAL_PX, SIZE_PX, look_at
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtr

from render import View
from scene import CENTRE

WAY = np.array(  # share of the way, azimuth (degrees), height, radius (metres)
    [
        (0.00, -75.0, 0.40, 1.27),
        (0.12, -45.0, 0.34, 1.28),
        (0.26, -6.0, 0.30, 1.31),
        (0.40, 40.0, 0.34, 1.30),
        (0.49, 71.0, 0.42, 1.27),
        (0.53, 77.0, 0.57, 1.21),
        (0.57, 71.0, 0.73, 1.16),
        (0.66, 42.0, 0.83, 1.11),
        (0.78, 2.0, 0.88, 1.07),
        (0.89, -40.0, 0.79, 1.12),
        (0.96, -63.0, 0.62, 1.20),
        (1.00, -72.0, 0.53, 1.23),
    ]
)
PAUSE_S, PAUSE_LENGTH_S = 9.6, 1.1
JERK_WIDTH_S = 0.025
STEP_S = 0.0005


@dataclass(frozen=True)
class Jerk:
    """The phone is knocked aside and comes back.

    Attributes:
        frame: the frame taken while it goes; the next one is taken while it comes back.
        turn_deg: (to the right, upwards).
        shift_m: (to the right, upwards).
    """

    frame: int
    turn_deg: tuple[float, float]
    shift_m: tuple[float, float]


JERKS = (
    Jerk(47, (8.0, 1.5), (0.01, 0.0)),
    Jerk(103, (-3.0, -7.5), (0.0, -0.015)),
    Jerk(166, (-7.0, 4.5), (-0.01, 0.005)),
)


class Wander:
    """Smooth noise: sines of random phase whose frequencies lie in a band; its mean square is one."""

    def __init__(self, rng: np.random.Generator, low_hz: float, high_hz: float, count: int = 12):
        self.frequency_hz = rng.uniform(low_hz, high_hz, count)
        self.phase = rng.uniform(0, 2 * np.pi, count)

    def __call__(self, times: np.ndarray) -> np.ndarray:
        """[n] values at ``times`` [n] (seconds)."""
        angles = 2 * np.pi * np.multiply.outer(times, self.frequency_hz) + self.phase
        return np.sin(angles).sum(axis=-1) * np.sqrt(2 / len(self.phase))


def frame_times(count: int, length_s: float, seed: int) -> np.ndarray:
    """[count] middle of each exposure in whole milliseconds: not quite even, the first at 0."""
    noise = Wander(np.random.default_rng([seed, 1]), 0.5, 6.0)(np.arange(count) * length_s / count)
    intervals = np.clip(1 + 0.07 * noise, 0.85, 1.15)
    intervals[count // 3] *= 1.9  # the phone was busy and dropped a frame
    times = np.concatenate([[0.0], np.cumsum(intervals)])
    return np.round(1000 * length_s * times[:count] / times[count]) / 1000


class PhonePath:
    """The pose of the phone as a function of time."""

    def __init__(self, times: np.ndarray, seed: int):
        """``times`` [n] of the frames; they say when the path ends and when the jerks happen."""
        rng = np.random.default_rng([seed, 2])
        self.times = times
        self.place = [PchipInterpolator(WAY[:, 0], column) for column in WAY[:, 1:].T]
        self.clock = np.arange(-0.5, times[-1] + 0.5, STEP_S)
        speed = 1 + 0.16 * np.clip(Wander(rng, 0.08, 0.4)(self.clock), -2, 2)
        still = (self.clock - PAUSE_S) / (PAUSE_LENGTH_S / 2)
        speed *= 1 - np.exp(-(still**6)) * 0.985
        speed *= ndtr((self.clock - 0.35) / 0.2) * ndtr((times[-1] - 0.35 - self.clock) / 0.2)
        self.progress = np.cumsum(speed) / speed.sum()
        self.sway = [Wander(rng, 0.15, 0.7) for _ in range(7)]
        self.steps = [Wander(rng, 1.4, 2.1, 5) for _ in range(2)]
        self.shake = [Wander(rng, 4.0, 9.0) for _ in range(3)]

    def eyes(self, times: np.ndarray) -> np.ndarray:
        """[n, 3] positions without jerks, metres."""
        share = np.interp(times, self.clock, self.progress)
        azimuth, height, radius = (part(share) for part in self.place)
        azimuth = np.radians(azimuth + 0.5 * self.sway[0](times))
        height = height + 0.012 * self.sway[1](times) + 0.004 * self.steps[0](times)
        radius = radius + 0.015 * self.sway[2](times) + 0.003 * self.steps[1](times)
        return np.stack([radius * np.sin(azimuth), -radius * np.cos(azimuth), height], -1)

    def poses(self, times: np.ndarray) -> np.ndarray:
        """[n, 4, 4] world_from_camera (x right, y up, looking along -z) at ``times`` [n] (seconds)."""
        times = np.asarray(times, float)
        targets = CENTRE + np.stack([0.022 * self.sway[3 + k](times) for k in range(3)], -1)
        rolls = np.radians(0.9 * self.sway[6](times) + 0.06 * self.shake[2](times))
        turns = np.radians([0.05 * self.shake[0](times), 0.05 * self.shake[1](times)]).T
        poses = np.stack(
            [look_at(*both, roll) for *both, roll in zip(self.eyes(times), targets, rolls, strict=True)]
        )
        shifts = np.zeros((len(times), 2))
        for jerk in JERKS:
            out_s, back_s = self.times[jerk.frame : jerk.frame + 2]
            away = ndtr((times - out_s) / JERK_WIDTH_S) - ndtr((times - back_s) / JERK_WIDTH_S)
            turns += np.radians(jerk.turn_deg) * away[:, None]
            shifts += np.array(jerk.shift_m) * away[:, None]
        poses[:, :3, 3] += (poses[:, :3, :2] @ shifts[:, :, None])[:, :, 0]
        poses[:, :3, :3] = poses[:, :3, :3] @ small_turns(turns)
        return poses

    def views(self) -> list[View]:
        """The view of every frame, in the middle of its exposure."""
        return [View(pose, FOCAL_PX, SIZE_PX) for pose in self.poses(self.times)]


def small_turns(turns: np.ndarray) -> np.ndarray:
    """[n, 3, 3] rotations of a camera by ``turns`` [n, 2]: radians to the right, then upwards."""
    (sin_y, sin_x), (cos_y, cos_x) = np.sin(-turns.T) * [[1], [-1]], np.cos(turns.T)
    zero, one = np.zeros_like(sin_x), np.ones_like(sin_x)
    about_y = np.stack([cos_y, zero, sin_y, zero, one, zero, -sin_y, zero, cos_y], -1)
    about_x = np.stack([one, zero, zero, zero, cos_x, -sin_x, zero, sin_x, cos_x], -1)
    return about_y.reshape(-1, 3, 3) @ about_x.reshape(-1, 3, 3)
