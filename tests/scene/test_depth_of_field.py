import pytest
import torch

from sfumato.errors import ConfigError
from sfumato.maths.rigid import rigid_from_twist
from sfumato.scene.cameras import Camera
from sfumato.scene.depth_of_field import thin_lens
from sfumato.scene.lenses import PINHOLE, Lens
from sfumato.scene.rays import Rays, camera_rays
from sfumato.scene.shutter import Shutter

POSE = rigid_from_twist(torch.tensor([0.3, -0.2, 0.1, 1.0, 2.0, 3.0], dtype=torch.float64))
END = rigid_from_twist(torch.tensor([0.4, -0.1, 0.1, 1.2, 2.0, 3.0], dtype=torch.float64))
BROWN = Lens("opencv", (-0.1, 0.02, 0.001, 0.002))
RADIUS, FOCUS = 0.2, 4.0


def camera(lens=PINHOLE, shutter=None):
    return Camera(POSE, (9.0, 9.5), (5.3, 3.8), (11, 7), lens, shutter)


def in_camera(points):
    return points @ POSE[:3, :3].T + POSE[:3, 3]


def through_lens(what, seed):
    return thin_lens(what, aperture_radius=RADIUS, focus_distance=FOCUS, seed=seed)


@pytest.mark.parametrize("lens", [Lens(), BROWN, Lens("ortho")])
def test_rays_of_all_seeds_meet_in_the_plane_of_focus(lens):
    sharp = camera_rays(camera(lens))
    reach = FOCUS / (sharp.directions @ POSE[2, :3])
    wanted = sharp.origins + sharp.directions * reach[..., None]
    for seed in range(4):
        rays = through_lens(camera(lens), seed)
        starts = in_camera(rays.origins) - in_camera(sharp.origins)
        assert float(starts[..., 2].abs().max()) < 1e-12 and 0.1 < float(starts.norm(dim=-1).max()) <= RADIUS
        torch.testing.assert_close(rays.directions.norm(dim=-1), torch.ones(7, 11).double())
        reach = (FOCUS - in_camera(rays.origins)[..., 2]) / (rays.directions @ POSE[2, :3])
        torch.testing.assert_close(rays.origins + rays.directions * reach[..., None], wanted)
        torch.testing.assert_close(rays.viewpoint, camera().centre_world)


@pytest.mark.parametrize("free", [False, True])
def test_wide_lenses_and_free_rays_focus_at_a_distance(free):
    wide = Camera(POSE, (2.0, 2.0), (5.3, 3.8), (11, 7), Lens("fisheye"))
    sharp = camera_rays(wide)
    what = Rays(sharp.origins, 2.5 * sharp.directions) if free else wide
    for seed in range(3):
        rays = through_lens(what, seed)
        shift = rays.origins - sharp.origins
        assert float((shift * sharp.directions).sum(-1).abs().max()) < 1e-12
        to_focus = sharp.origins + FOCUS * sharp.directions - rays.origins
        torch.testing.assert_close(
            torch.linalg.cross(to_focus, rays.directions), torch.zeros(7, 11, 3).double()
        )
        assert bool(((to_focus * rays.directions).sum(-1) > 0).all())


def test_seeds_cover_the_lens_evenly():
    count = 256
    rays = [through_lens(camera(), seed) for seed in range(count)]
    starts = torch.stack([in_camera(one.origins)[..., :2] for one in rays]) / RADIUS
    # Random points would be off by 0.5 / sqrt(256) = 0.03.
    assert float(starts.mean(0).abs().max()) < 0.012
    assert float(((starts**2).sum(-1).mean(0) - 0.5).abs().max()) < 0.012
    assert float(starts[0].std(dim=(0, 1)).min()) > 0.3, "neighbouring pixels look through other points"
    again = through_lens(camera(), 7)
    assert torch.equal(again.origins, rays[7].origins) and not torch.equal(again.origins, rays[8].origins)


def test_a_lens_without_width_is_a_pinhole():
    for lens in (BROWN, Lens("fisheye")):
        rays = thin_lens(camera(lens), aperture_radius=0.0, focus_distance=1.0, seed=0)
        sharp = camera_rays(camera(lens))
        torch.testing.assert_close(rays.directions, sharp.directions)
        torch.testing.assert_close(rays.origins, sharp.origins.expand_as(rays.origins))


def test_pixels_without_a_ray_stay_without():
    wide = Camera(POSE, (2.0, 2.0), (16.0, 1.5), (32, 3), Lens("fisheye"))
    seen = (camera_rays(wide).directions != 0).any(-1)
    assert torch.equal((through_lens(wide, 0).directions != 0).any(-1), seen) and not bool(seen.all())
    free = through_lens(Rays(torch.zeros(2, 3), torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, -1.0]])), 0)
    assert free.directions[0].abs().sum() == 0 and torch.isfinite(free.origins).all()


@pytest.mark.slow
def test_gradients_pass_through_the_lens():
    def of_camera(start, end):
        moving = Camera(start, (9.0, 9.5), (2.3, 1.8), (4, 3), BROWN, Shutter(end))
        rays = through_lens(moving, 3)
        return rays.origins, rays.directions

    def of_rays(origins, directions):
        rays = through_lens(Rays(origins, directions), 3)
        return rays.origins, rays.directions

    assert torch.autograd.gradcheck(of_camera, [POSE.clone().requires_grad_(), END.clone().requires_grad_()])
    free = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(of_rays, [rows.clone().requires_grad_() for rows in free])


def test_the_viewpoint_stays_in_the_middle_of_the_lens():
    alone = Rays(torch.tensor([1.0, 2.0, 3.0]), torch.ones(4, 3))
    torch.testing.assert_close(through_lens(alone, 0).viewpoint, alone.origins)
    many = Rays(torch.ones(4, 3), torch.ones(4, 3))
    assert through_lens(many, 0).viewpoint is None


@pytest.mark.parametrize(
    "wrong",
    [{"aperture_radius": -1.0}, {"focus_distance": 0.0}, {"focus_distance": float("nan")}, {"seed": -1}],
)
def test_options_out_of_range_are_named(wrong):
    options = {"aperture_radius": RADIUS, "focus_distance": FOCUS, "seed": 0, **wrong}
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        thin_lens(camera(), **options)
