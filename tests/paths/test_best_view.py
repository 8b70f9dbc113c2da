"""The best view of a scene without known cameras."""

import numpy as np
import pytest
import torch

from sfumato.errors import ConfigError
from sfumato.paths.best_view import longest_range, orbit_of_best_view
from sfumato.paths.look import looking_at, pinhole
from sfumato.paths.view_quality import ViewQuality
from sfumato.scene.gaussians import Gaussians

RANDOM = torch.Generator().manual_seed(0)


def dots(means, size, grey):
    n = len(means)
    sh = torch.zeros(n, 1, 3) + (grey[:, None, None] if torch.is_tensor(grey) else grey)
    return means, torch.full((n, 3), size).log(), torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1), sh


def scene_of(*parts):
    means, log_scales, quats, sh = (torch.cat(column) for column in zip(*parts, strict=True))
    return Gaussians(means, log_scales, quats, torch.full((len(means),), 4.0), sh)


@pytest.fixture(scope="module")
def corner():
    """A detailed ball in front of a wall of large Gaussians, with a good view only from -z."""
    ball = torch.nn.functional.normalize(torch.randn(600, 3, generator=RANDOM), dim=1)
    grid = torch.linspace(-3, 3, 7)
    wall = torch.stack([*torch.meshgrid(grid, grid, indexing="ij"), torch.full((7, 7), 1.4)], 2).reshape(
        -1, 3
    )
    return scene_of(dots(ball, 0.05, torch.randn(600, generator=RANDOM)), dots(wall, 0.9, 0.0))


def test_the_best_view_is_not_occluded(corner):
    orbit = orbit_of_best_view(corner)
    assert orbit.start[2] < -1 and np.linalg.norm(orbit.target) < 2
    first, last = orbit.covered_rad
    assert first < 0 < last and not orbit.is_covered
    for camera in orbit.swing(8, (96, 64)):
        assert camera.centre_world[2] < 0.8, "no frame is behind the wall"


def test_large_gaussians_and_occlusion_lower_the_quality(corner):
    views = ViewQuality(corner)

    def quality(position):
        return views.of(
            pinhole(looking_at(position, (0, 0, 0)), (96, 64), 50.0), float(np.linalg.norm(position))
        )

    assert quality((0, 0, -4)) > 2 * quality((0, 0, 4))
    assert quality((0, 0, -4)) > 2 * quality((0, 0, 1.5))
    assert quality((0, 0, -4)) > 2 * quality((0, 0, -40))
    assert views.of(pinhole(looking_at((0, 0, -4), (0, 0, -8)), (96, 64), 50.0), 4.0) == 0


def test_symmetric_scenes_get_a_full_orbit():
    ball = torch.nn.functional.normalize(torch.randn(800, 3, generator=RANDOM), dim=1)
    orbit = orbit_of_best_view(scene_of(dots(ball + 5, 0.05, torch.randn(800, generator=RANDOM))), (0, 0, 1))
    assert orbit.is_covered
    np.testing.assert_allclose(orbit.target, (5, 5, 5), atol=0.3)
    np.testing.assert_allclose(orbit.up, (0, 0, 1))


def test_empty_scenes_and_single_gaussians():
    one = scene_of(dots(torch.ones(1, 3), 2.0, 0.5))
    orbit = orbit_of_best_view(one)
    # The view is from outside the Gaussian, although its centre is the whole extent of the scene.
    assert np.linalg.norm(orbit.start - 1) > 4
    # Too small to be visible, and below the resolution of float32.
    assert np.linalg.norm(orbit_of_best_view(scene_of(dots(torch.ones(1, 3), 1e-20, 0.5))).start - 1) > 0.1
    with pytest.raises(ConfigError, match="empty"):
        orbit_of_best_view(one.select(torch.zeros(1, dtype=torch.bool)))


def test_the_longest_range_may_wrap_around():
    turn = 2 * np.pi / 6
    assert longest_range(np.array([1, 1, 0, 1, 0, 1], bool)) == pytest.approx((5 * turn, 7 * turn))
    assert longest_range(np.ones(6, bool)) == (0.0, 2 * np.pi)
    assert longest_range(np.zeros(6, bool)) is None
