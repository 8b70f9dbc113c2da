"""Points followed through a scene with known motion."""

import math
from dataclasses import replace

import pytest
import torch

from sfumato.errors import ConfigError
from sfumato.render.rasterize import rasterize
from sfumato.render.visibility import contributions
from sfumato.scene.cameras import Camera
from sfumato.tracking.tracked_scene import TrackedScene
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


def near_a_foreign_gaussian():
    """Nine Gaussians that move by 1 along x, one at rest nearest to the origin, and one that dies."""
    generator = torch.Generator().manual_seed(0)
    count = 11
    means = 0.3 * torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    means[0] *= 0.1
    means = torch.stack([means, means + torch.tensor([1.0, 0.0, 0.0])])
    means[1, 0] = means[0, 0]
    means[1, -1] = torch.nan
    quats = torch.zeros(2, count, 4)
    quats[..., 0] = 1.0
    quats[1, -1] = torch.nan
    death = torch.full((count,), 2)
    death[-1] = 1
    gaussians = first_scene().select(torch.arange(count))
    scales = torch.full((count, 3), math.log(0.25))
    gaussians = replace(gaussians, means=means[0], log_scales=scales, quats=quats[0])
    times, birth = torch.arange(2.0).double(), torch.zeros(count, dtype=torch.int64)
    return TrackedScene(gaussians, torch.arange(count), times, means, quats, birth, death)


def test_gaussians_near_a_point_vote_on_its_track():
    """The nearest Gaussian is of another object; it alone would keep the point at rest."""
    track = near_a_foreign_gaussian().track(torch.zeros(1, 3))
    torch.testing.assert_close(track[:, 0], torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))


def test_the_voters_of_a_pixel_elect_its_track():
    scene = near_a_foreign_gaussian()
    back = torch.eye(4)
    back[2, 3] = 4.0
    camera = Camera(back, (60.0, 60.0), (32.0, 24.0), (64, 48))
    track = scene.track_pixel(camera, 32.0, 24.0)
    torch.testing.assert_close(track[1] - track[0], torch.tensor([1.0, 0.0, 0.0]))


def test_many_points_are_tracked_as_each_alone(scene):
    points = scene.gaussians.means[-3:].repeat(200, 1) + 0.05 * torch.randn(600, 3)
    together = scene.track(points)
    for number in (0, 255, 256, 599):
        assert torch.equal(scene.track(points[number : number + 1])[:, 0], together[:, number])
