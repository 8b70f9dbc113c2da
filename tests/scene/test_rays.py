import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import sfumato
from sfumato.errors import ConfigError, ShapeError
from sfumato.scene import lru_cache
from sfumato.scene.cameras import Camera
from sfumato.scene.lenses import Lens
from sfumato.scene.pixel_directions import pixel_directions, pixels_with_rays
from sfumato.scene.rays import Rays, camera_rays
from sfumato.scene.shutter import Shutter
from sfumato.scene.unprojection import distort_directions
from support.lens_cameras import END, HEIGHT, START, WIDTH, camera, panorama, pixel_centres
from support.lens_examples import EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_point_on_a_pixels_ray_is_seen_in_that_pixel(name):
    one = panorama() if name == "equirectangular" else camera(EXAMPLES[name][0])
    rays = camera_rays(one)
    torch.testing.assert_close(rays.directions.norm(dim=-1), torch.ones(rays.shape, dtype=torch.float64))
    points = rays.origins + 3.7 * rays.directions
    in_camera = points @ START[:3, :3].T + START[:3, 3]
    image = distort_directions(one.lens, in_camera.numpy())
    pixels = image * one.focal_px + one.centre_px
    np.testing.assert_allclose(pixels, pixel_centres(*one.size_px), atol=1e-9)
    torch.testing.assert_close(rays.origins, one.centre_world)
    torch.testing.assert_close(rays.viewpoint, one.centre_world)


def test_orthographic_rays_are_parallel_and_start_on_a_plane():
    one = camera(Lens("ortho"), focal_px=(4.0, 5.0))
    rays = camera_rays(one)
    torch.testing.assert_close(rays.directions, START[2, :3].expand(HEIGHT, WIDTH, 3))
    in_camera = (rays.origins @ START[:3, :3].T + START[:3, 3]).numpy()
    np.testing.assert_allclose(in_camera[..., 2], 0.0, atol=1e-12)
    np.testing.assert_allclose(in_camera[..., :2] * (4.0, 5.0) + (5.3, 3.8), pixel_centres(), atol=1e-9)
    torch.testing.assert_close(rays.viewpoint, one.centre_world)


def test_a_panorama_covers_the_sphere_once():
    one = replace(panorama(16, 8), camera_from_world=torch.eye(4, dtype=torch.float64))
    directions = camera_rays(one).directions
    assert directions[4, 8, 2] > 0.9 and directions[4, 0, 2] < -0.9, "ahead in the middle, behind at the seam"
    assert directions[4, 12, 0] > 0.9 and directions[0, 8, 1] < -0.9, "right of it is right, the top is up"
    row_area = torch.cos((torch.arange(8, dtype=torch.float64) + 0.5) / 8 * math.pi - math.pi / 2)
    torch.testing.assert_close((directions * row_area[:, None, None]).sum((0, 1)), torch.zeros(3).double())


def test_pixels_outside_the_lens_have_no_ray():
    one = Camera(START, (2.0, 2.0), (16.0, 1.5), (32, 3), Lens("fisheye"))
    rays = camera_rays(one)
    radius = np.hypot(*np.moveaxis((pixel_centres(32, 3) - (16.0, 1.5)) / 2.0, -1, 0))
    np.testing.assert_array_equal(pixels_with_rays(one).numpy(), radius <= math.pi)
    np.testing.assert_array_equal((rays.directions != 0).any(-1).numpy(), radius <= math.pi)
    assert 0 < (radius <= math.pi).sum() < radius.size


@pytest.mark.parametrize("direction", ["down", "up", "right", "left"])
def test_a_rolling_shutter_moves_from_its_first_line_to_its_last(direction):
    rays = camera_rays(camera(Lens("opencv", (-0.1, 0.02, 0.0, 0.001)), shutter=Shutter(END, direction)))
    still = camera(Lens("opencv", (-0.1, 0.02, 0.0, 0.001)))
    moved = replace(still, camera_from_world=END)
    first, last = {"down": (0, -1), "up": (-1, 0), "right": (0, -1), "left": (-1, 0)}[direction]
    at = (lambda i: (i,)) if direction in ("down", "up") else (lambda i: (slice(None), i))
    for line, source in ((first, still), (last, moved)):
        expected = camera_rays(source)
        torch.testing.assert_close(rays.directions[at(line)], expected.directions[at(line)])
        torch.testing.assert_close(rays.origins[at(line)], expected.origins.expand_as(rays.origins[at(line)]))
    middle = 0.5 * (still.centre_world + moved.centre_world)
    count = HEIGHT if direction in ("down", "up") else WIDTH
    torch.testing.assert_close(rays.origins[at(count // 2)][0], middle)
    torch.testing.assert_close(rays.viewpoint, middle)


def test_a_shutter_of_equal_poses_is_a_global_one():
    rolling, still = camera_rays(camera(shutter=Shutter(START))), camera_rays(camera())
    torch.testing.assert_close(rolling.directions, still.directions)
    torch.testing.assert_close(rolling.origins, still.origins.expand_as(rolling.origins))


@pytest.mark.parametrize("lens", [Lens("opencv_fisheye", (0.05, -0.02, 0.01, -0.002)), Lens("ortho")])
@pytest.mark.parametrize("direction", [None, "down", "left"])
@pytest.mark.slow
def test_gradients_reach_the_poses(lens, direction):
    def traced(*poses):
        shutter = None if direction is None else Shutter(poses[1], direction)
        rays = camera_rays(Camera(poses[0], (9.0, 9.5), (2.3, 1.8), (4, 3), lens, shutter))
        return rays.directions, rays.origins, rays.viewpoint

    poses = [START.clone().requires_grad_(), END.clone().requires_grad_()][: 1 if direction is None else 2]
    assert torch.autograd.gradcheck(traced, poses)


def test_rays_have_the_requested_dtype():
    like = torch.empty(0, dtype=torch.float32)
    for shutter in (None, Shutter(END)):
        rays = camera_rays(camera(shutter=shutter), like=like)
        assert {rays.origins.dtype, rays.directions.dtype, rays.viewpoint.dtype} == {torch.float32}
        exact = camera_rays(camera(shutter=shutter))
        torch.testing.assert_close(rays.directions.double(), exact.directions, atol=1e-6, rtol=0)
        torch.testing.assert_close(rays.origins.double(), exact.origins, atol=1e-6, rtol=0)


def test_rays_are_converted_and_checked_again_only_if_they_differ():
    zeros, ones = torch.zeros(3).double(), torch.ones(4, 3).double()
    rays = Rays(zeros, 1e300 * ones, zeros)
    assert rays.to(torch.empty(0, dtype=torch.float64)) is rays
    with pytest.raises(ConfigError, match=r"directions .*infinity"):
        rays.to(torch.empty(0))
    single = replace(rays, directions=ones).to(torch.empty(0))
    assert {single.origins.dtype, single.directions.dtype, single.viewpoint.dtype} == {torch.float32}


def test_a_camera_resized_to_its_own_size_is_itself():
    given = camera()
    assert given.resized(*given.size_px) is given


def test_a_resized_camera_keeps_its_shutter():
    small = camera(shutter=Shutter(END, "up")).resized(5, 3)
    assert small.shutter.direction == "up" and camera_rays(small).shape == (3, 5)


def test_directions_are_cached_per_camera_model_within_a_limit(monkeypatch):
    assert pixel_directions(camera()) is pixel_directions(replace(camera(), camera_from_world=END))
    assert pixel_directions(camera()) is not pixel_directions(camera(focal_px=(9.0, 9.0)))
    few = lru_cache.LruCache()
    monkeypatch.setattr(lru_cache, "MAX_BYTES", 2000)
    for i, count in enumerate((100, 100, 100, 1000)):
        few.keep(i, torch.zeros(count), 8 * count)
    assert [few.find(i) is not None for i in range(4)] == [False, True, True, False]


def test_rays_of_a_static_camera_are_cached():
    still = camera()
    assert camera_rays(still) is camera_rays(replace(still))
    others = [replace(still, camera_from_world=END), camera(lens=Lens("ortho")), camera(focal_px=(9.0, 9.0))]
    others += [camera(shutter=Shutter(END, way)) for way in ("up", "down")]
    others += [camera(shutter=Shutter(START, "up"))]
    seen = [camera_rays(each) for each in (still, *others)]
    assert len({id(rays) for rays in seen}) == len(seen)
    assert camera_rays(still, like=torch.zeros(0)).directions.dtype == torch.float32
    for moved in (
        replace(still, camera_from_world=START.clone().requires_grad_()),
        camera(shutter=Shutter(END.clone().requires_grad_(), "up")),
    ):
        assert camera_rays(moved) is not camera_rays(moved) and camera_rays(moved).directions.requires_grad


def test_rays_cached_in_inference_mode_can_be_used_for_training():
    seen = camera(lens=Lens("opencv", (0.011, 0.0, 0.0, 0.0)))
    with torch.inference_mode():
        camera_rays(seen)
    weights = torch.ones(3, dtype=torch.float64, requires_grad=True)
    (camera_rays(seen).directions * pixel_directions(seen) * weights).sum().backward()
    assert weights.grad.isfinite().all()


def test_free_rays_are_checked():
    lines = torch.ones(4, 3)
    assert sfumato.Rays is Rays and Rays(torch.zeros(3), lines).shape == (4,)
    assert Rays(torch.zeros(2, 5, 3), torch.ones(2, 5, 3), torch.zeros(3)).shape == (2, 5)
    wrong_shapes = [
        ("origins", (torch.zeros(3, 3), lines)),
        ("origins", (torch.zeros(4, 3).double(), lines)),
        ("origins", (torch.zeros(2, 2, 3), lines)),
        ("directions", (lines, torch.ones(4, 2))),
        ("directions", (torch.zeros(3), torch.ones(3))),
        ("directions", (lines.int(), lines.int())),
        ("directions", (lines, None)),
        ("origins", (None, lines)),
        ("viewpoint", (lines, lines, torch.zeros(1, 3))),
    ]
    for name, tensors in wrong_shapes:
        with pytest.raises(ShapeError, match=name):
            Rays(*tensors)
    for position, name in enumerate(("origins", "directions", "viewpoint")):
        tensors = [lines.clone(), lines.clone(), torch.zeros(3)]
        tensors[position].view(-1)[1] = math.nan
        with pytest.raises(ConfigError, match=f"{name} .*NaN"):
            Rays(*tensors)


def test_invalid_cameras_are_refused():
    with pytest.raises(ConfigError, match="catadioptric"):
        camera(Lens("catadioptric"))
    with pytest.raises(ConfigError, match="k1"):
        camera(Lens("radial", (0.1,)))
    with pytest.raises(ConfigError, match="NaN"):
        camera(Lens("simple_radial", (math.nan,)))
    with pytest.raises(ConfigError, match="focal_px"):
        camera(focal_px=(math.nan, 9.0))
