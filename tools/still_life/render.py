"""Pictures and depth of any Mitsuba scene from a pinhole camera.

Cameras are ``View`` records: nerfstudio's axes (camera-to-world, x right, y up, looking along -z)
and intrinsics in pixels, with the centre of pixel (0, 0) at (0.5, 0.5).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import mitsuba as mi
import numpy as np

DEBIAN_LLVM = Path("/usr/lib/x86_64-linux-gnu/libLLVM.so.19.1")
MITSUBA_FROM_OPENGL = np.diag([-1.0, 1.0, -1.0, 1.0])


@dataclass(frozen=True)
class View:
    """A pinhole camera with square pixels and its principal point in the middle.

    Attributes:
        world_from_camera: [4, 4] rigid; x right, y up, looking along -z; metres.
        focal_px: focal length.
        size_px: (width, height).
    """

    world_from_camera: np.ndarray
    focal_px: float
    size_px: tuple[int, int]

    def resized(self, factor: float) -> View:
        """The same view with its picture scaled by ``factor``."""
        width, height = (round(side * factor) for side in self.size_px)
        return View(self.world_from_camera, self.focal_px * factor, (width, height))


def set_variant(threads: int = 2) -> None:
    """Choose the LLVM variant of Mitsuba, or the scalar one where LLVM is missing."""
    if "DRJIT_LIBLLVM_PATH" not in os.environ and DEBIAN_LLVM.exists():
        os.environ["DRJIT_LIBLLVM_PATH"] = str(DEBIAN_LLVM)
    import drjit

    try:
        mi.set_variant("llvm_ad_rgb")
        drjit.set_thread_count(threads)
        drjit.eval(mi.Float([1.0]) + 1)
    except (ImportError, RuntimeError):
        mi.set_variant("scalar_rgb")


def sensor_of(view: View, spp: int = 64):
    """The Mitsuba sensor of ``view``; pixels average over their square (box filter)."""
    width, height = view.size_px
    to_world = mi.ScalarTransform4f(view.world_from_camera @ MITSUBA_FROM_OPENGL)
    film = {
        "type": "hdrfilm",
        "width": width,
        "height": height,
        "rfilter": {"type": "box"},
        "pixel_format": "rgb",
    }
    return mi.load_dict(
        {
            "type": "perspective",
            "fov_axis": "x",
            "fov": float(np.degrees(2 * np.arctan(width / 2 / view.focal_px))),
            "near_clip": 0.01,
            "far_clip": 100.0,
            "to_world": to_world,
            "film": film,
            "sampler": {"type": "multijitter", "sample_count": spp},
        }
    )


def render_passes(scene, view: View, spp: int, seed: int = 0, max_depth: int = 5) -> np.ndarray:
    """Path-trace one view three times over, independently.

    Args:
        scene: a Mitsuba scene.
        view: the camera.
        spp: paths per pixel in all; rounded up so that each pass has a square number.
        seed: of the random numbers.
        max_depth: longest path.

    Returns:
        [3, h, w, 3] float32 linear radiance of the passes.
    """
    per_pass = int(np.ceil(np.sqrt(spp / 3))) ** 2
    sensor, integrator = sensor_of(view, per_pass), mi.load_dict({"type": "path", "max_depth": max_depth})
    passes = []
    for number in range(3):
        picture = mi.render(scene, sensor=sensor, integrator=integrator, spp=per_pass, seed=3 * seed + number)
        passes.append(np.array(picture, np.float32)[..., :3])
    return np.stack(passes)


def without_fireflies(passes: np.ndarray) -> np.ndarray:
    """[3, h, w, 3] passes; where one is far above the middle one it met a firefly and is lowered."""
    return np.minimum(passes, 1.3 * np.median(passes, axis=0) + 0.02)


def render_view(scene, view: View, spp: int, seed: int = 0) -> np.ndarray:
    """[h, w, 3] linear radiance of one view; see ``render_passes`` for the arguments."""
    return without_fireflies(render_passes(scene, view, spp, seed)).mean(axis=0)


def camera_rays(view: View, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Origin [3] and directions [n, 3] (camera z = 1) through ``pixels`` [n, 2] (x, y), world frame."""
    width, height = view.size_px
    x, y = (pixels - (width / 2, height / 2)).T / view.focal_px
    local = np.stack([x, -y, -np.ones_like(x)], -1)
    return view.world_from_camera[:3, 3], local @ view.world_from_camera[:3, :3].T


def first_hits(scene, view: View, pixels: np.ndarray) -> np.ndarray:
    """[n] camera z of the first surface through ``pixels`` [n, 2]; infinity where there is none."""
    origin, directions = camera_rays(view, pixels)
    length = np.linalg.norm(directions, axis=1)
    unit = (directions / length[:, None]).astype(np.float32)
    rays = mi.Ray3f(mi.Point3f(*origin.tolist()), mi.Vector3f(*unit.T))
    return np.asarray(scene.ray_intersect_preliminary(rays).t, float) / length


def depth_map(scene, view: View) -> np.ndarray:
    """[h, w] camera z at the centre of every pixel, metres."""
    width, height = view.size_px
    y, x = np.mgrid[0:height, 0:width] + 0.5
    return first_hits(scene, view, np.stack([x.ravel(), y.ravel()], -1)).reshape(height, width)


def develop(radiance: np.ndarray, exposure: float = 2.4, white: float = 6.0) -> np.ndarray:
    """[h, w, 3] uint8 sRGB: a fixed exposure, highlights rolled off towards ``white``."""
    x = np.maximum(radiance * exposure, 0)
    x = np.clip(x * (1 + x / white**2) / (1 + x), 0, 1)
    encoded = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return np.round(255 * encoded).astype(np.uint8)
