"""Orbits limited to where a scene can be trusted."""

import numpy as np
import pytest
import torch

from sfumato.envelope.coverage import trust_by_coverage
from sfumato.paths.inside import kept_inside
from sfumato.paths.look import looking_at, pinhole
from sfumato.paths.orbit import orbit_of_cameras
from sfumato.scene.gaussians import Gaussians

SIZE = (48, 36)


def ball():
    random = torch.Generator().manual_seed(0)
    means = torch.nn.functional.normalize(torch.randn(400, 3, generator=random), dim=1)
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(400, 1)
    opacities, sh = torch.full((400,), 4.0), torch.zeros(400, 1, 3)
    return Gaussians(means, torch.full((400, 3), 0.1).log(), quats, opacities, sh)


def ring(angles, height=0.5):
    places = [np.array([4 * np.sin(a), -height, -4 * np.cos(a)]) for a in angles]
    return [pinhole(looking_at(place, (0, 0, 0)), SIZE, 40.0) for place in places]


def angle_of(camera):
    x, _, z = camera.centre_world.tolist()
    return np.degrees(np.arctan2(x, -z))


def test_photographs_all_around_give_a_full_orbit():
    cameras = ring(np.linspace(0, 2 * np.pi, 24, endpoint=False))
    inside = kept_inside(orbit_of_cameras(cameras), cameras, trust_by_coverage(ball(), cameras))
    assert inside.is_covered


@pytest.mark.slow
def test_orbits_stay_near_the_photographs():
    cameras = ring(np.radians([*range(-50, 51, 5)]))
    orbit = orbit_of_cameras(cameras)
    inside = kept_inside(orbit, cameras, trust_by_coverage(ball(), cameras))
    assert not inside.is_covered
    angles = [angle_of(camera) for camera in inside.swing(40, SIZE)]
    assert min(angles) > -51 and max(angles) < 51 and max(angles) - min(angles) > 60
    far = ring(np.radians([0.0, 70.0, 140.0, 210.0, 280.0]))
    # With photographs so far apart, nothing between them can be trusted.
    apart = kept_inside(orbit_of_cameras(far), far, trust_by_coverage(ball(), far))
    assert apart is None or not apart.is_covered


@pytest.mark.slow
def test_an_orbit_at_another_height_is_chosen_if_more_of_it_is_covered():
    """Few cameras all around at one height, and more of them in a sector high above."""
    low = ring(np.linspace(0, 2 * np.pi, 20, endpoint=False))
    cameras = low + ring(np.radians(np.linspace(-20, 20, 22)), height=4.0)
    orbit = orbit_of_cameras(cameras, up=(0, -1, 0))
    inside = kept_inside(orbit, cameras, trust_by_coverage(ball(), cameras))
    heights = [float((one.start - one.target) @ one.up) for one in (orbit, inside)]
    assert heights[0] - heights[1] > 3.0 and inside.is_covered


def test_only_visible_gaussians_are_covered():
    scene, (camera,) = ball(), ring([0.0])
    trust = trust_by_coverage(scene, [camera])
    seen = trust.evidence.seen[:, 0]
    front = scene.means[:, 2]
    # Some are visible through gaps.
    assert bool(seen[front < -0.5].all()) and float(seen[front > 0.5].float().mean()) < 0.2
    back = ring([np.pi])[0]
    middle = np.s_[14:22, 20:28]
    assert float(trust.render(camera)[middle].mean()) < 0.8 * float(trust.render(back)[middle].mean())
