from dataclasses import replace

import pytest
import torch

from sfumato.errors import ConfigError
from sfumato.maths.rigid import rigid_from_twist
from sfumato.scene.image_points import image_points
from sfumato.scene.lenses import PINHOLE, Lens
from sfumato.scene.rays import camera_rays
from sfumato.scene.shutter import Shutter
from support.lens_cameras import HEIGHT, START, WIDTH, camera, panorama, pixel_centres
from support.lens_examples import EXAMPLES

# Camera shake within a thirtieth of a second: a few degrees and some hundredths of the scene's distance.
LITTLE = rigid_from_twist(torch.tensor([0.03, -0.05, 0.04, 0.05, -0.08, 0.06], dtype=torch.float64)) @ START

BENT = [PINHOLE, EXAMPLES["opencv"][0], EXAMPLES["opencv_fisheye"][0], Lens("ortho")]


def assert_rays_return(one, atol):
    rays = camera_rays(one)
    points = (rays.origins + 3.7 * rays.directions).reshape(-1, 3)
    pixels, z = image_points(one, points)
    expected = torch.from_numpy(pixel_centres(*one.size_px)).reshape(-1, 2)
    torch.testing.assert_close(pixels, expected, rtol=0, atol=atol)
    return points, z


@pytest.mark.parametrize("name", [*EXAMPLES, "ortho"])
def test_a_point_on_a_pixels_ray_lands_in_that_pixel(name):
    lens = Lens("ortho") if name == "ortho" else EXAMPLES[name][0]
    one = panorama() if name == "equirectangular" else camera(lens)
    points, z = assert_rays_return(one, 1e-9)
    torch.testing.assert_close(z, points @ START[2, :3] + START[2, 3])


@pytest.mark.parametrize("direction", ["down", "up", "right", "left"])
@pytest.mark.parametrize(
    "lens", [PINHOLE, EXAMPLES["opencv"][0], EXAMPLES["opencv_fisheye"][0], Lens("ortho")]
)
def test_a_rolling_shutter_images_a_point_on_the_line_read_at_that_time(lens, direction):
    assert_rays_return(camera(lens, shutter=Shutter(LITTLE, direction)), 1e-3)


def test_depth_is_that_of_mid_exposure():
    half = replace(camera(), camera_from_world=rigid_from_twist(torch.tensor([0, 0, 0, 0, 0, -1.0]).double()))
    end = rigid_from_twist(torch.tensor([0, 0, 0, 0, 0, -2.0]).double())
    one = replace(half, camera_from_world=torch.eye(4).double(), shutter=Shutter(end))
    point = torch.tensor([[0.1, 0.2, 5.0]]).double()
    torch.testing.assert_close(image_points(one, point)[1], torch.tensor([4.0]).double())
    assert image_points(half, point)[1] == 4


def test_points_without_an_image_are_nan_and_do_not_affect_others():
    one = replace(camera(), shutter=Shutter(LITTLE))
    behind = camera().centre_world - 2.0 * START[2, :3]
    ahead = camera().centre_world + 2.0 * START[2, :3]
    pixels, _ = image_points(one, torch.stack([behind, ahead]))
    assert pixels[0].isnan().all()
    torch.testing.assert_close(pixels[1:], image_points(one, ahead[None])[0])
    assert image_points(one, behind[None][:0])[0].shape == (0, 2)
    assert image_points(one, ahead[None].float())[0].dtype == torch.float32


def test_points_outside_the_picture_use_the_nearest_line():
    one = camera(shutter=Shutter(LITTLE))
    for pose, row in ((START, -20.0), (LITTLE, HEIGHT + 20.0)):
        still = replace(one, camera_from_world=pose, shutter=None)
        seen = torch.tensor([(WIDTH / 2 - 5.3) / 9.0, (row - 3.8) / 9.5, 1.0]).double() * 3
        point = (seen - pose[:3, 3]) @ pose[:3, :3]
        torch.testing.assert_close(image_points(one, point[None])[0], image_points(still, point[None])[0])


def test_a_shutter_with_a_rotation_of_180_degrees_is_refused():
    turned = rigid_from_twist(torch.tensor([0, torch.pi, 0, 0, 0, 0]).double()) @ START
    with pytest.raises(ConfigError, match="half a turn"):
        image_points(camera(shutter=Shutter(turned)), torch.zeros(1, 3).double())
