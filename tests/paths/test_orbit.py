import numpy as np
import pytest

from sfumato.errors import ConfigError
from sfumato.paths.look import field_of_view_deg, looking_at, pinhole, refitted
from sfumato.paths.orbit import orbit_of_cameras

TARGET = np.array([1.0, 2.0, 3.0])
SIZE = (64, 48)


def ring(angles, *, radius=4.0, height=2.0, fov_deg=40.0):
    """Level cameras around TARGET in a world whose y points down."""
    arms = [np.array([radius * np.cos(a), -height, radius * np.sin(a)]) for a in angles]
    return [pinhole(looking_at(TARGET + arm, TARGET), SIZE, fov_deg) for arm in arms]


def centres(cameras):
    return np.stack([camera.centre_world.numpy() for camera in cameras])


def test_a_camera_looks_where_it_should():
    pose = looking_at((0, 0, -5), (0, 0, 0))
    np.testing.assert_allclose(pose, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 5], [0, 0, 0, 1]], atol=1e-12)
    for position in ((3, -1, 2), (0, -7, 0), (0, 7, 0)):
        pose = looking_at(position, (0, 0, 0))
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(pose[:3, :3]) > 0
        np.testing.assert_allclose(pose @ (0, 0, 0, 1), (0, 0, np.linalg.norm(position), 1), atol=1e-12)
    assert (looking_at((3, -1, 2), (0, 0, 0)) @ (0, -1, 0, 1))[1] < 0, "up in the world is up in the picture"
    with pytest.raises(ConfigError, match="where it stands"):
        looking_at((1, 1, 1), (1, 1, 1))


def test_another_size_keeps_the_vertical_field_of_view():
    camera = pinhole(looking_at((0, 0, -5), (0, 0, 0)), (64, 48), 40.0)
    wide = refitted(camera, (200, 100))
    assert wide.size_px == (200, 100) and wide.centre_px == (100, 50)
    assert field_of_view_deg(wide) == pytest.approx(40.0)
    assert wide.focal_px[0] == wide.focal_px[1]


@pytest.mark.parametrize("part", [2 * np.pi, 1.5])
def test_an_orbit_is_the_circle_of_the_cameras(part):
    known = ring(np.linspace(0, part, 20, endpoint=False))
    orbit = orbit_of_cameras(known)
    np.testing.assert_allclose(orbit.target, TARGET, atol=1e-9)
    np.testing.assert_allclose(orbit.up, (0, -1, 0), atol=1e-9)
    cameras = orbit.cameras(12, SIZE)
    arms = centres(cameras) - TARGET
    np.testing.assert_allclose(np.hypot(arms[:, 0], arms[:, 2]), 4.0, rtol=1e-6)
    np.testing.assert_allclose(arms[:, 1], -2.0, rtol=1e-6)
    steps = np.linalg.norm(np.diff(centres([*cameras, cameras[0]]), axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0])
    np.testing.assert_allclose(centres(cameras)[0], centres(known)[0], atol=1e-6)
    assert field_of_view_deg(cameras[5]) == pytest.approx(40.0)
    for camera in cameras:
        seen = camera.camera_from_world.numpy() @ (*TARGET, 1)
        np.testing.assert_allclose(seen[:2], 0, atol=1e-9)


def test_a_swing_stays_near_the_photographs():
    known = ring(np.linspace(2.0, 4.0, 30))
    arms = centres(orbit_of_cameras(known).swing(40, SIZE)) - TARGET
    angles = np.arctan2(arms[:, 2], arms[:, 0]) % (2 * np.pi)
    assert angles.min() == pytest.approx(2.0, abs=0.02) and angles.max() == pytest.approx(4.0, abs=0.02)


@pytest.mark.parametrize(("gap_deg", "is_covered"), [(10, True), (55, True), (65, False), (210, False)])
def test_an_orbit_is_covered_where_photographs_were_taken_all_around(gap_deg, is_covered):
    known = ring(np.radians(np.linspace(0, 360 - gap_deg, 60)))
    assert orbit_of_cameras(known).is_covered is is_covered


def test_cameras_in_a_row_have_an_orbit_ahead_of_them():
    row = [pinhole(looking_at((x, 0, 0), (x, 0, 1)), SIZE, 50.0) for x in np.linspace(-1, 1, 5)]
    orbit = orbit_of_cameras(row)
    assert orbit.target[2] > 0.5 and np.isfinite(orbit.start).all()
    assert len(orbit.cameras(3, SIZE)) == 3
    assert orbit_of_cameras(row[:1]).target[2] > 0.5


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_an_orbit_ahead_of_a_row_does_not_depend_on_the_unit(unit):
    row = [pinhole(looking_at((x * unit, 0, 0), (x * unit, 0, unit)), SIZE, 50.0) for x in (-1, 0, 1)]
    assert orbit_of_cameras(row).target[2] == pytest.approx(2 * unit)


@pytest.mark.parametrize("place", [(0, 0, 0), (3, 4, 5)])
def test_a_tripod_has_an_orbit_at_a_distance(place):
    turned = [np.add(place, (np.cos(a), 0, np.sin(a))) for a in np.linspace(0, 1.5, 9)]
    orbit = orbit_of_cameras([pinhole(looking_at(place, target), SIZE, 50.0) for target in turned])
    assert np.linalg.norm(orbit.target - place) == pytest.approx(2.0)


def test_cameras_that_look_outwards_have_an_orbit_too():
    places = [(np.cos(a), 0, np.sin(a)) for a in np.linspace(0, 6, 9)]
    outwards = [pinhole(looking_at(p, np.multiply(p, 2)), SIZE, 50.0) for p in places]
    for camera in orbit_of_cameras(outwards).cameras(4, SIZE):
        assert camera.camera_from_world.isfinite().all()


def test_the_up_direction_can_be_given():
    orbit = orbit_of_cameras(ring(np.linspace(0, 6, 9)), (0, 0, 2))
    np.testing.assert_allclose(orbit.up, (0, 0, 1))
    assert np.ptp(centres(orbit.cameras(8, SIZE))[:, 2]) < 1e-9
    with pytest.raises(ConfigError, match="direction"):
        orbit_of_cameras(ring([0.0]), (0, 0, 0))


def test_without_cameras_there_is_no_orbit():
    with pytest.raises(ConfigError, match="none"):
        orbit_of_cameras([])


def test_a_partial_orbit_is_not_closed():
    orbit = orbit_of_cameras(ring(np.linspace(0, 2 * np.pi, 20, endpoint=False)))
    assert orbit.part(-np.pi, np.pi).is_covered
    part = orbit.part(-0.2, 3.1)
    assert part.covered_rad == (-0.2, 3.1) and not part.is_covered
    nearly = orbit.part(-3.0, 3.0)
    assert not nearly.is_covered and nearly.covered_rad[1] == pytest.approx(-nearly.covered_rad[0])
    assert orbit.part(-1.0, 1.0).covers(np.array([0.0, 1.5, 2 * np.pi - 0.5])).tolist() == [True, False, True]
