"""Small worlds of textured faces, and pictures of them from exactly known cameras."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

_TEXELS = 384


@dataclass(frozen=True)
class Face:
    """A parallelogram: ``corner + s * right + t * down`` for s, t in [0, 1], with a texture."""

    corner: np.ndarray
    right: np.ndarray
    down: np.ndarray
    texture: np.ndarray


@dataclass(frozen=True)
class Lens:
    """COLMAP's OPENCV camera: fx, fy, cx, cy in pixels, and k1, k2, p1, p2."""

    width: int
    height: int
    focal_px: float
    centre_px: tuple[float, float]
    distortion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def project(self, ideal):
        """Pixels [n, 2] of x / z, y / z [n, 2]."""
        return _bent(ideal, self.distortion) * self.focal_px + self.centre_px

    def rays(self):
        """[h, w, 2] x / z, y / z of every pixel's centre."""
        x, y = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        seen = (np.stack([x, y], axis=-1) - self.centre_px) / self.focal_px
        ideal = seen
        for _ in range(10 if any(self.distortion) else 0):
            ideal = ideal + seen - _bent(ideal, self.distortion)
        return ideal


PINHOLE = Lens(400, 304, 380.0, (200.0, 152.0))
BENT = Lens(404, 300, 370.0, (202.0, 150.0), (-0.12, 0.03, 0.001, -0.0015))


def _bent(xy, distortion):
    k1, k2, p1, p2 = distortion
    x, y = xy[..., 0], xy[..., 1]
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2 * r2
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + 2 * p2 * x * y + p1 * (r2 + 2 * y * y),
        ],
        axis=-1,
    )


def noise(seed, texels=_TEXELS):
    """float32 [texels, texels, 3] in [0, 255]: two-coloured noise with detail at all coarser scales."""
    rng = np.random.default_rng(seed)
    u, v = np.fft.fftfreq(texels)[:, None], np.fft.rfftfreq(texels)[None]
    frequency = np.maximum(np.hypot(u, v), 1.0 / texels)
    shape = (frequency**-0.75) * np.exp(-((frequency / 0.22) ** 4))
    luma = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(texels, texels))) * shape, (texels, texels))
    luma /= luma.std()
    low, high = rng.uniform(0, 90, 3), rng.uniform(160, 255, 3)
    mixed = low + (high - low) * np.clip(0.5 + 0.25 * luma, 0, 1)[..., None]
    return mixed.astype(np.float32)


@cache
def room(seed=0):
    """A corner of a room with boxes on its floor, about 4 wide; y points down, the floor is y = 0."""
    x, y, z = 2.0 * np.eye(3)
    faces = [(-x - z, 2 * x, 2 * z), (-x + z - 1.2 * y, 2 * x, 1.2 * y), (-x - z - 1.2 * y, 2 * z, 1.2 * y)]
    rng = np.random.default_rng(1000 + seed)
    for place in ((-0.7, 0.5), (0.6, 0.7), (0.1, -0.5)):
        middle = np.array([place[0], 0.0, place[1]]) + rng.uniform(-0.15, 0.15, 3) * [1, 0, 1]
        turn, (wide, tall) = rng.uniform(0, 0.8), rng.uniform(0.5, 0.9, 2)
        a = 0.5 * wide * np.array([np.cos(turn), 0.0, np.sin(turn)])
        b = 0.5 * wide * np.array([-np.sin(turn), 0.0, np.cos(turn)])
        up = np.array([0.0, -tall, 0.0])
        for start, right in ((-a - b, 2 * a), (a - b, 2 * b), (a + b, -2 * a), (-a + b, -2 * b)):
            faces.append((middle + start + up, right, -up))
        faces.append((middle - a - b + up, 2 * a, 2 * b))
    return tuple(Face(*face, noise(100 * seed + number)) for number, face in enumerate(faces))


def looking(eye, target, down=(0.0, 1.0, 0.0)):
    """camera_from_world [4, 4] of a level camera at ``eye`` that looks at ``target``."""
    eye, forward = np.asarray(eye, float), np.asarray(target, float) - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(down, forward)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = -pose[:3, :3] @ eye
    return pose


def arc(count=12, degrees=100.0, radius=4.5):
    """camera_from_world [count, 4, 4] on an arc in front of the room's corner, at varying heights."""
    poses = []
    for number in range(count):
        angle = np.radians(degrees) * (number / (count - 1) - 0.5) - np.pi / 4
        height = 1.9 + 0.5 * np.sin(1.9 * number)
        eye = [-radius * np.sin(angle), -height, -radius * np.cos(angle)]
        target = [0.2 * np.sin(2.3 * number), -0.4, 0.2 * np.cos(1.7 * number)]
        poses.append(looking(eye, target))
    return np.array(poses)


def render(faces, pose, lens):
    """uint8 [h, w, 3] of faces seen from camera_from_world ``pose``; grey where there are none."""
    ideal = lens.rays()
    directions = np.concatenate([ideal, np.ones_like(ideal[..., :1])], axis=-1) @ pose[:3, :3]
    eye = -pose[:3, :3].T @ pose[:3, 3]
    nearest = np.full(ideal.shape[:2], np.inf)
    picture = np.full((*ideal.shape[:2], 3), 110.0, np.float32)
    for face in faces:
        # eye + depth * direction = corner + s * right + t * down
        inverse = np.linalg.inv(np.stack([face.right, face.down, np.cross(face.right, face.down)], axis=1))
        start, step = inverse @ (eye - face.corner), directions @ inverse.T
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = -start[2] / step[..., 2]
            s, t = (start[axis] + depth * step[..., axis] for axis in (0, 1))
            hit = (depth > 0.01) & (depth < nearest) & (s >= 0) & (s <= 1) & (t >= 0) & (t <= 1)
        nearest[hit] = depth[hit]
        sides = [np.linalg.norm(side) for side in (face.down, face.right)]
        rows, columns = (_bilinear_grid(c[hit], side) for c, side in zip((t, s), sides, strict=True))
        picture[hit] = _bilinear(face.texture, rows, columns)
    return np.round(picture).astype(np.uint8)


def _bilinear_grid(share, side):
    return share * (_TEXELS - 1.001) * min(1.0, side / 4.0)


def _bilinear(texture, rows, columns):
    top, left = rows.astype(int), columns.astype(int)
    y, x = (rows - top)[:, None].astype(np.float32), (columns - left)[:, None].astype(np.float32)
    upper = texture[top, left] * (1 - x) + texture[top, left + 1] * x
    lower = texture[top + 1, left] * (1 - x) + texture[top + 1, left + 1] * x
    return upper * (1 - y) + lower * y


def photographs(folder, faces, poses, lens, name="{:02d}.png"):
    """Write a picture of every pose, and return the poses by name of file."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {}
    for number, pose in enumerate(poses):
        named[name.format(number)] = pose
        Image.fromarray(render(faces, pose, lens)).save(folder / name.format(number))
    return named


def any_rotation(seed):
    """A random rotation [3, 3], uniformly distributed."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)
