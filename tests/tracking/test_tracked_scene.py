"""Points followed through a scene with known motion."""

import pytest
import torch

from sfumato.errors import ConfigError
from sfumato.render.rasterize import rasterize
from sfumato.render.visibility import contributions
from support.moving_scenes import MOVING, SETTINGS, cameras, first_scene, scene_at, tracked_scene

STEPS = 4


@pytest.fixture(scope="module")
def scene():
    return tracked_scene(STEPS)


def rigid(points, step):
    """Positions of points of the ball at a step, by the map between four of its centres."""

    def frame(now):
        a, b, c, d = now.means[-4:]
        return torch.stack([b - a, c - a, d - a], 1), a

    (first, origin), (last, moved) = frame(first_scene()), frame(scene_at(step))
    return (points - origin) @ torch.linalg.inv(first).T @ last.T + moved


def test_points_move_and_rotate_with_their_gaussian(scene):
    points = scene.gaussians.means[-3:] + torch.tensor([0.05, -0.02, 0.04])
    tracks = scene.track(points)
    for step in range(STEPS):
        torch.testing.assert_close(tracks[step], rigid(points, step), atol=1e-4, rtol=0)


def test_tracks_run_backwards_from_a_later_step(scene):
    points = scene.gaussians.means[-3:]
    later = scene.track(points)[2]
    torch.testing.assert_close(scene.track(later, t0=2)[0], points, atol=1e-4, rtol=0)


def test_points_of_the_wall_are_static(scene):
    points = scene.gaussians.means[:3]
    assert torch.equal(scene.track(points), points.expand(STEPS, 3, 3))


def test_a_pixel_is_followed(scene):
    camera = cameras()[0]
    centre = scene.gaussians.means[-MOVING:].mean(0)
    tracks = scene.track_pixel(camera, 32.0, 24.0)
    assert (tracks[0] - centre).norm() < 1.0
    torch.testing.assert_close(tracks[3], rigid(tracks[:1], 3)[0], atol=1e-4, rtol=0)


def test_contributions_sum_to_the_alpha_of_the_render(scene):
    camera, now = cameras()[0], scene.gaussians
    alpha = rasterize(now, camera, SETTINGS).alpha
    for column, row in ((32, 24), (5, 9), (60, 40)):
        _, weights = contributions(now, camera, SETTINGS, column + 0.5, row + 0.5)
        # The renderer stops at a transmittance of 1e-4.
        assert float(weights.sum()) == pytest.approx(float(alpha[row, column].detach()), abs=1e-3)


def test_invalid_points_are_refused(scene):
    with pytest.raises(ConfigError, match="t0 is 9"):
        scene.track(torch.zeros(1, 3), t0=9)
    with pytest.raises(ConfigError, match="points"):
        scene.track(torch.full((1, 3), torch.nan))
    with pytest.raises(ConfigError, match="nothing is seen"):
        scene.track_pixel(cameras()[0], -500.0, 3.0)
