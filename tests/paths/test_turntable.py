import numpy as np
import pytest
import torch

from sfumato import ConfigError, Gaussians, orbit


def blob(centre):
    generator = torch.Generator().manual_seed(0)
    means = torch.tensor(centre) + 0.1 * torch.randn(50, 3, generator=generator)
    return Gaussians(
        means, torch.full((50, 3), -3.0), torch.ones(50, 4), torch.ones(50), torch.ones(50, 1, 3)
    )


def centres(cameras):
    poses = np.stack([camera.camera_from_world.double().numpy() for camera in cameras])
    return -np.einsum("nji,nj->ni", poses[:, :3, :3], poses[:, :3, 3])


def test_cameras_go_round_a_point_at_its_distance_and_look_at_it():
    cameras = orbit((1.0, 2.0, 3.0), 8, radius=2.0, elevation_deg=30.0, size_px=(64, 48))
    arms = centres(cameras) - (1.0, 2.0, 3.0)
    np.testing.assert_allclose(np.linalg.norm(arms, axis=1), 2.0, rtol=1e-6)
    # Up is -y: the cameras are above the point by the sine of the elevation.
    np.testing.assert_allclose(arms[:, 1], -1.0, rtol=1e-6)
    forward = np.stack([camera.camera_from_world.double().numpy()[2, :3] for camera in cameras])
    np.testing.assert_allclose(forward, -arms / 2.0, atol=1e-6)
    np.testing.assert_allclose(arms[4] * (1, -1, 1), -arms[0], atol=1e-6)
    # Counter-clockwise seen from above, which is from -y.
    assert np.cross(arms[0], arms[1]) @ (0.0, -1.0, 0.0) > 0


def test_a_scene_is_seen_from_everywhere():
    scene = blob([0.0, 0.0, 5.0])
    for cameras in (orbit(scene, 6, size_px=(48, 32)), orbit(scene, 6, radius=1.0, size_px=(48, 32))):
        for camera in cameras:
            x, y, z = camera.camera_from_world.double().numpy()[:3] @ (0.0, 0.0, 5.0, 1.0)
            assert z > 0 and abs(x) < 0.2 * z and abs(y) < 0.2 * z


@pytest.mark.parametrize(
    ("around", "given", "words"),
    [
        ((0, 0, 0), {}, "needs a radius"),
        ((0, 0), {"radius": 1.0}, r"not \(0, 0\)"),
        ((0, 0, float("nan")), {"radius": 1.0}, "a scene or a point"),
        ((0, 0, 0), {"radius": -1.0}, "positive radius"),
        ((0, 0, 0), {"radius": 1.0, "elevation_deg": 90.0}, "within 90"),
        ((0, 0, 0), {"radius": 1.0, "count": 0}, "count is 0"),
        ((0, 0, 0), {"radius": 1.0, "up": (0, 0, 0)}, "up"),
    ],
)
def test_what_is_no_orbit_is_refused(around, given, words):
    with pytest.raises(ConfigError, match=words):
        orbit(around, **given)
