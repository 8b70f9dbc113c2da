"""The printed form of scenes and cameras: one useful line."""

import torch

from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.lenses import Lens
from sfumato.scene.scene import Metadata, with_metadata
from sfumato.scene.shutter import Shutter


def gaussians(count, coefficients):
    shapes = ((count, 3), (count, 3), (count, 4), (count,), (count, coefficients, 3))
    return Gaussians(*(torch.zeros(shape, dtype=torch.float64) for shape in shapes))


def test_gaussians_print_their_number_and_type():
    assert repr(gaussians(1200, 9)) == "Gaussians(1200, SH degree 2, float64 on cpu)"
    assert repr(gaussians(0, 1).to("meta", torch.float32)) == "Gaussians(0, SH degree 0, float32 on meta)"


def test_a_scene_prints_its_metadata_too():
    scene = with_metadata(gaussians(3, 16), Metadata(antialiased=True))
    start = "Scene(3, SH degree 3, float64 on cpu, Metadata(antialiased=True, "
    assert repr(scene).startswith(start) and "\n" not in repr(scene)


def test_a_camera_prints_size_focal_length_lens_and_shutter():
    pose = torch.eye(4)
    camera = Camera(pose, (60.25, 1234.5), (32.0, 24.0), (64, 48))
    assert repr(camera) == "Camera(64x48 px, focal 60.25, 1234.5 px, pinhole)"
    rolling = Camera(pose, (60.0, 60.0), (32.0, 24.0), (64, 48), Lens("fisheye"), Shutter(pose, "up"))
    assert repr(rolling) == "Camera(64x48 px, focal 60, 60 px, fisheye, rolling shutter up)"
