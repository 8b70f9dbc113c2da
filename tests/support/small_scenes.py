"""A scene of some dozens of Gaussians with surrounding cameras, fast to render in software."""

import numpy as np
import torch

from sfumato.render.png import to_uint8
from sfumato.render.rasterize import rasterize
from sfumato.render.settings import RasterSettings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.viewer.subject import Photograph, Subject

SIZE_PX = (96, 72)
BACKGROUND = (0.1, 0.15, 0.3)


def small_scene(count=80, seed=1):
    """Gaussians around the origin, with view-dependent colours."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=random)

    return Gaussians(
        means=0.7 * normal(count, 3),
        log_scales=-1.9 + 0.4 * normal(count, 3),
        quats=normal(count, 4),
        logit_opacities=1.5 + normal(count),
        sh=torch.cat([normal(count, 1, 3), 0.2 * normal(count, 3, 3)], dim=1),
    )


def camera_at(angle, *, roll=0.0, height=-1.2, distance=4.0):
    """A camera that looks at the origin; down is +y."""
    centre = np.array([distance * np.sin(angle), height, -distance * np.cos(angle)])
    forward = -centre / np.linalg.norm(centre)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    turn = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3] = turn @ rotation
    pose[:3, 3] = -pose[:3, :3] @ centre
    # An off-centre principal point and non-square pixels, which the page must reproduce.
    return Camera(torch.from_numpy(pose), (88.0, 94.0), (53.0, 33.0), SIZE_PX)


def drawn(gaussians, camera, background=BACKGROUND):
    """The image of our renderer, uint8 [h, w, 3]."""
    return to_uint8(rasterize(gaussians, camera, RasterSettings(background=background, depth=False)).image)


def small_subject(cameras=4):
    gaussians = small_scene()
    photographs = []
    for index in range(cameras):
        camera = camera_at(2 * np.pi * index / cameras, roll=0.2 * index)
        pixels = drawn(gaussians, camera)
        scores = {"psnr": 23.4, "ssim": 0.812} if index == 1 else {}
        photographs.append(
            Photograph(f"shots/{index}.jpg", camera, index == 1, lambda pixels=pixels: pixels, **scores)
        )
    settings = RasterSettings(background=BACKGROUND)
    return Subject("blobs", gaussians, photographs, ("20.00 dB held out",), settings)


def psnr(first, second):
    error = np.mean((first.astype(np.float64) - second) ** 2) / 255**2
    return -10 * np.log10(max(error, 1e-12))
