"""Small cameras of any lens in a rotated pose, and the centres of their pixels."""

import math

import numpy as np
import torch

from sfumato.maths.rigid import rigid_from_twist
from sfumato.scene.cameras import Camera
from sfumato.scene.lenses import PINHOLE, Lens

WIDTH, HEIGHT = 11, 7


def pose(*twist):
    return rigid_from_twist(torch.tensor(twist, dtype=torch.float64))


START, END = pose(0.3, -0.2, 0.1, 1.0, 2.0, 3.0), pose(0.5, 0.1, -0.1, 1.5, 1.0, 3.5)


def camera(lens=PINHOLE, focal_px=(9.0, 9.5), shutter=None):
    return Camera(START, focal_px, (5.3, 3.8), (WIDTH, HEIGHT), lens, shutter)


def panorama(width=12, height=6):
    focal_px = (width / (2 * math.pi), height / math.pi)
    return Camera(START, focal_px, (width / 2, height / 2), (width, height), Lens("equirectangular"))


def pixel_centres(width=WIDTH, height=HEIGHT):
    return np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)
