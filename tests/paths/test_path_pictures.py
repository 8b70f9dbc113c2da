import numpy as np
import torch

from sfumato.maths.sh import SH_C0
from sfumato.paths.frame_renderer import Look, frame_renderer
from sfumato.paths.look import looking_at, pinhole
from sfumato.render.settings import RasterSettings
from sfumato.scene.gaussians import Gaussians

SIZE = (40, 30)
ON_WHITE = Look(RasterSettings(background=(1, 1, 1)))
FRONT = pinhole(looking_at((0, 0, -4), (0, 0, 0)), SIZE, 40.0)


def disc(grey=0.25):
    """A flat red disc orthogonal to z that fills the picture."""
    colour = torch.tensor([[[1.0, grey, grey]]])
    return Gaussians(
        torch.zeros(1, 3),
        torch.tensor([[3.0, 3.0, 1e-3]]).log(),
        torch.tensor([[1.0, 0, 0, 0]]),
        torch.tensor([8.0]),
        (colour - 0.5) / SH_C0,
    )


def still(number):
    return disc()


def middle(pixels):
    return pixels[SIZE[1] // 2, SIZE[0] // 2].tolist()


def test_colours_are_those_of_the_renderer():
    np.testing.assert_allclose(
        middle(frame_renderer("colour", still, [FRONT], Look())(0)), [255, 64, 64], atol=1
    )


def test_normals_point_to_the_camera():
    """Blue is towards the camera, also for a disc seen from behind."""
    behind = pinhole(looking_at((0, 0, 4), (0, 0, 0)), SIZE, 40.0)
    for camera in (FRONT, behind):
        pixel = middle(frame_renderer("normals", still, [camera], ON_WHITE)(0))
        np.testing.assert_allclose(pixel, [128, 128, 255], atol=1)


def test_normals_turn_with_the_camera():
    """From the upper right, the disc's normal points to the picture's left and down."""
    camera = pinhole(looking_at((2, -2, -3), (0, 0, 0)), SIZE, 40.0)
    red, green, blue = middle(frame_renderer("normals", still, [camera], Look())(0))
    assert red < 110 and green < 110 and blue > 200


def test_depth_is_lighter_where_it_is_nearer():
    near, away = (pinhole(looking_at((0, 0, z), (0, 0, 0)), SIZE, 40.0) for z in (-4.0, -9.0))
    paint = frame_renderer("depth", still, [near, away], Look())
    assert sum(middle(paint(0))) > sum(middle(paint(1))) + 100


def test_empty_pixels_are_black():
    nowhere = pinhole(looking_at((0, 0, -4), (0, 0, -9)), SIZE, 40.0)
    for kind in ("depth", "normals"):
        assert not frame_renderer(kind, still, [nowhere], ON_WHITE)(0).any()
    assert (frame_renderer("colour", still, [nowhere], ON_WHITE)(0) == 255).all()
