"""What a phone's camera does to sharp pictures: motion blur, exposure, white balance, lamps that flicker.

All of it happens in linear light; ``film_frames`` develops the result. Geometry is that of a global shutter
(one pose per frame, in the middle of the exposure); only the light differs from row to row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from phone_path import JERKS, PhonePath, Wander
from scipy.ndimage import map_coordinates, spline_filter

from render import View, camera_rays, develop

SHUTTER_S = 1 / 60
READOUT_S = 0.018
LAMP_HZ, LAMP_DEPTH = 99.7, 0.15
MOST_GAIN = 0.11  # of the automatic exposure, as a logarithm either way
GAIN_LAG_S = 0.6
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
DARK = {0: 0.003, 1: 0.006}
COVERED = {134: (0.60, 0.58), 135: (0.55, 0.52)}
FINGER = np.array([0.045, 0.009, 0.006])
USELESS_BLUR_PX = 6.0


@dataclass(frozen=True)
class Shot:
    """One frame of the film.

    Attributes:
        view: the camera in the middle of the exposure.
        time_s: that moment.
        picture: [h, w, 3] uint8 sRGB.
        sharp: [h, w, 3] uint8 sRGB, the same exposure without motion blur.
        blur_px: median over the pixels of how far the picture moves during the exposure.
        gain_rgb: [3] what the light is multiplied by, without the flicker.
        flaw: why the frame is useless ("dark", "covered", "blur"), or None.
    """

    view: View
    time_s: float
    picture: np.ndarray
    sharp: np.ndarray
    blur_px: float
    gain_rgb: np.ndarray
    flaw: str | None


def displacement(view: View, depth: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """[h, w, 2] by how many pixels (x, y) each pixel's surface moves when the camera goes to ``pose``.

    Args:
        view: where the camera is.
        depth: [h, w] camera z, metres.
        pose: [4, 4] world_from_camera of where it goes.
    """
    height, width = depth.shape
    y, x = np.mgrid[0:height, 0:width] + 0.5
    pixels = np.stack([x.ravel(), y.ravel()], -1)
    origin, directions = camera_rays(view, pixels)
    points = origin + directions * depth.reshape(-1, 1)
    right, up, back = ((points - pose[:3, 3]) @ pose[:3, :3]).T
    moved = view.focal_px * np.stack([right, -up], -1) / -back[:, None] + np.asarray(view.size_px) / 2
    return (moved - pixels).reshape(height, width, 2)


def motion_blurred(picture: np.ndarray, depth: np.ndarray, view: View, poses: np.ndarray):
    """Mean of ``picture`` as seen from the poses that the camera passes while the shutter is open.

    Each of them is warped from the sharp picture: a pixel fetches its colour from where its surface was.

    Args:
        picture: [h, w, 3] linear radiance from ``view``.
        depth: [h, w] camera z, metres.
        view: the camera in the middle of the exposure.
        poses: [m, 4, 4] world_from_camera, from the first moment to the last.

    Returns:
        The blurred picture [h, w, 3], and the median motion from the first to the last pose, in pixels.
    """
    flows = [displacement(view, depth, pose) for pose in poses]
    path_px = float(np.median(np.linalg.norm(flows[-1] - flows[0], axis=-1)))
    channels = [spline_filter(picture[..., k], order=3, mode="mirror") for k in range(3)]
    rows, columns = np.mgrid[0 : depth.shape[0], 0 : depth.shape[1]].astype(float)
    total = np.zeros_like(picture, dtype=float)
    for flow in flows:
        source = (rows - flow[..., 1], columns - flow[..., 0])
        there = [map_coordinates(flow[..., k], source, order=1, mode="nearest") for k in range(2)]
        source = (rows - there[1], columns - there[0])
        for k, channel in enumerate(channels):
            total[..., k] += map_coordinates(channel, source, order=3, mode="mirror", prefilter=False)
    return np.maximum(total / len(flows), 0), path_px


def automatic_gains(pictures: list[np.ndarray], times: np.ndarray, seed: int) -> np.ndarray:
    """[n, 3] gains of the colour channels: exposure follows the brightness late, the white wanders."""
    rng = np.random.default_rng([seed, 3])
    brightness = np.array([np.log(picture @ LUMINANCE + 1e-3).mean() for picture in pictures])
    seen = np.empty_like(brightness)
    seen[0] = brightness[0]
    for k in range(1, len(seen)):
        keep = np.exp(-(times[k] - times[k - 1]) / GAIN_LAG_S)
        seen[k] = keep * seen[k - 1] + (1 - keep) * brightness[k]
    wish = -0.8 * (seen - seen.mean()) + 0.03 * Wander(rng, 0.05, 0.25)(times)
    exposure = MOST_GAIN * np.tanh(wish / MOST_GAIN)
    warmth = Wander(rng, 0.03, 0.15)(times)
    return np.exp(exposure[:, None] + np.multiply.outer(warmth, [0.012, 0.0, -0.020]))


def lamp_light(height: int, time_s: float) -> np.ndarray:
    """[height, 1, 1] light of lamps on the mains, averaged over each row's own exposure."""
    times = time_s + ((np.arange(height) + 0.5) / height - 0.5) * READOUT_S
    depth = LAMP_DEPTH * np.sinc(LAMP_HZ * SHUTTER_S)
    return (1 + depth * np.cos(2 * np.pi * LAMP_HZ * times))[:, None, None]


def behind_finger(picture: np.ndarray, centre: tuple[float, float]) -> np.ndarray:
    """``picture`` [h, w, 3] with a finger before the lens, its middle at ``centre`` (shares of w and h)."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    distance = np.hypot(x / width - centre[0], (y / height - centre[1]) * 0.8) / 0.56
    cover = 1 / (1 + np.exp((distance - 1) / 0.06))[..., None]
    glow = (0.5 + 1.5 * np.clip(distance, 0, 1.2) ** 3)[..., None]
    return picture * (1 - cover) + FINGER * glow * cover


def film_frames(pictures: list[np.ndarray], depths: list[np.ndarray], path: PhonePath, seed: int):
    """Turn sharp linear pictures into the frames of a phone's video.

    Args:
        pictures: [h, w, 3] linear radiance of each frame's view.
        depths: [h, w] camera z of each, metres.
        path: where the phone is.
        seed: of the wandering of exposure and white balance.

    Yields:
        A ``Shot`` for every frame.
    """
    gains = automatic_gains(pictures, path.times, seed)
    jerked = {number for jerk in JERKS for number in (jerk.frame, jerk.frame + 1)}
    for number, (picture, depth, view) in enumerate(zip(pictures, depths, path.views(), strict=True)):
        time_s = float(path.times[number])
        moments = (np.arange(16 if number in jerked else 6) + 0.5) / (16 if number in jerked else 6) - 0.5
        poses = path.poses(time_s + SHUTTER_S * moments)
        blurred, blur_px = motion_blurred(picture, depth, view, poses)
        blur_px *= len(moments) / (len(moments) - 1)
        flaw = "blur" if blur_px > USELESS_BLUR_PX else None
        gain = gains[number] * DARK.get(number, 1.0)
        light = lamp_light(len(picture), time_s) * gain
        blurred, sharp = blurred * light, picture * light
        if number in COVERED:
            blurred, flaw = behind_finger(blurred, COVERED[number]), "covered"
        elif number in DARK:
            flaw = "dark"
        yield Shot(view, time_s, develop(blurred), develop(sharp), blur_px, gain, flaw)
