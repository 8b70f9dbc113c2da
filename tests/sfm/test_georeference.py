"""Cameras are aligned with GPS positions, unless these are unreliable."""

import numpy as np
import pytest

from sfumato.sfm.geodesy import axes_at, earth_from_geodetic, geodetic_from_earth, middle_of
from sfumato.sfm.georeference import aligned_to_gps, moved
from sfumato.sfm.upright import Gravity
from support.worlds import any_rotation

TURN, SCALE = any_rotation(11), 0.07
DOWN = TURN.T @ [0.0, 1.0, 0.0]
KNOWN = Gravity(DOWN, "level pictures", True)
GUESSED = Gravity(any_rotation(3) @ DOWN, "mean of the pictures' downward axes")
UNKNOWN = Gravity(None, "pictures held every way")
BERLIN = (52.5, 13.4)


def flight(count=30, size_m=80.0, seed=0):
    """[count, 3] metres east, down and north of cameras flying at varying heights."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 0.5, (count, 3)) * [size_m, 0.3 * size_m, 0.7 * size_m]


def recorded(local, *, at=BERLIN, noise_m=0.0, height_m=100.0, seed=0):
    """Positions (latitude, longitude, height) of points, computed on the ellipsoid."""
    noisy = local + noise_m * np.random.default_rng(seed).normal(size=local.shape)
    start = earth_from_geodetic(np.array([at]), np.array([height_m]))[0]
    return [geodetic_from_earth(start + axes_at(*at).T @ place) for place in noisy]


def mapped(local):
    """The same cameras in a reconstruction frame of another unit, rotated and translated."""
    return SCALE * local @ TURN + [1.0, -2.0, 3.0]


def errors(ground, local):
    """Largest error of camera positions, metres, relative to the origin."""
    found = ground.similarity.scale * mapped(local) @ ground.similarity.rotation.T
    off = found - local
    return np.linalg.norm(off - off.mean(axis=0), axis=1).max()


def tilt_deg(ground):
    return np.degrees(np.arccos(np.clip(ground.gravity @ DOWN, -1.0, 1.0)))


def test_geodetic_positions_survive_a_round_trip():
    places = np.array(
        [[0.0, 0.0], [52.5, 13.4], [-33.9, 151.2], [89.9999, 10.0], [-90.0, 0.0], [10.0, -179.999]]
    )
    heights = np.array([0.0, 100.0, -400.0, 8000.0, 0.0, 3.0])
    for place, height, xyz in zip(places, heights, earth_from_geodetic(places, heights), strict=True):
        latitude, longitude, found = geodetic_from_earth(xyz)
        assert latitude == pytest.approx(place[0], abs=1e-9) and found == pytest.approx(height, abs=1e-3)
        assert abs(place[0]) == 90 or longitude == pytest.approx(place[1], abs=1e-9)
    # A degree of longitude at the equator, and of latitude at the pole (WGS 84).
    one, two = earth_from_geodetic(np.array([[0.0, 0.0], [0.0, 1e-3]]), np.zeros(2))
    assert np.linalg.norm(one - two) == pytest.approx(111.3195, abs=1e-3)
    one, two = earth_from_geodetic(np.array([[89.9990, 0.0], [90.0, 0.0]]), np.zeros(2))
    assert np.linalg.norm(one - two) == pytest.approx(111.694, abs=1e-3)


def test_axes_are_east_down_north_and_right_handed():
    axes = axes_at(*BERLIN)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1.0)
    here, north, east = earth_from_geodetic(
        np.array([BERLIN, (BERLIN[0] + 1e-5, BERLIN[1]), (BERLIN[0], BERLIN[1] + 1e-5)]), np.zeros(3)
    )
    assert (axes @ (north - here))[2] > 1.0 and (axes @ (east - here))[0] > 0.5


def test_the_centre_of_positions_near_the_date_line():
    latitude, longitude = middle_of(np.array([[1.0, 179.999], [2.0, -179.999], [3.0, -179.998]]))
    assert (latitude, longitude) == (2.0, pytest.approx(-179.999))


@pytest.mark.parametrize("gravity", [KNOWN, GUESSED, UNKNOWN], ids=["known", "guessed", "unknown"])
@pytest.mark.parametrize("at", [BERLIN, (-16.5, 179.9999), (-16.5, -180.0), (78.2, 15.6), (0.00001, 0.00001)])
def test_exact_positions_give_metres_north_and_up_anywhere(gravity, at):
    local = flight()
    ground = aligned_to_gps(mapped(local), recorded(local, at=at), gravity, seed=0)
    assert errors(ground, local) < 0.01 and tilt_deg(ground) < 0.01
    assert ground.similarity.scale == pytest.approx(1 / SCALE, rel=1e-4)
    assert (ground.places, ground.agreeing) == (30, 30) and ground.off_m < 0.01
    assert ground.gravity_by == ("level pictures" if gravity is KNOWN else "GPS")


@pytest.mark.parametrize("gravity", [KNOWN, GUESSED], ids=["known", "guessed"])
def test_noise_and_outliers_have_little_effect(gravity):
    local = flight(40)
    places = recorded(local, noise_m=0.6)
    for i in (3, 9, 10, 22, 31, 36):
        places[i] = (places[i][0] + 0.01 * (i - 15), places[i][1] - 0.003, 5000.0)
    for i in (5, 17):
        places[i] = None
    ground = aligned_to_gps(mapped(local), places, gravity, seed=0)
    assert ground.places == 38 and 28 <= ground.agreeing <= 32
    assert ground.similarity.scale == pytest.approx(1 / SCALE, rel=0.03) and tilt_deg(ground) < 2.0
    assert ground.off_m < 1.5 and errors(ground, local) < 4.0
    again = aligned_to_gps(mapped(local), places, gravity, seed=0)
    np.testing.assert_array_equal(again.similarity.matrix, ground.similarity.matrix)


@pytest.mark.parametrize("heights", ["none", "wrong", "zero"])
def test_wrong_heights_have_no_effect_if_up_is_known(heights):
    local, rng = flight(), np.random.default_rng(1)
    told = {"none": lambda: None, "wrong": lambda: float(rng.uniform(0, 300)), "zero": lambda: 0.0}[heights]
    places = [(*place[:2], told()) for place in recorded(local)]
    ground = aligned_to_gps(mapped(local), places, KNOWN, seed=0)
    assert errors(ground, local) < 0.01 and tilt_deg(ground) < 1e-6
    assert (ground.origin[2] is None) == (heights == "none")
    assert aligned_to_gps(mapped(local), places, UNKNOWN, seed=0) is None


def test_on_a_straight_line_up_comes_from_the_pictures():
    local = np.outer(np.linspace(-40, 40, 20), [0.8, 0.0, 0.6])
    places = recorded(local, noise_m=0.3)
    ground = aligned_to_gps(mapped(local), places, KNOWN, seed=0)
    assert tilt_deg(ground) < 1e-6 and ground.similarity.scale == pytest.approx(1 / SCALE, rel=0.02)
    guessed = aligned_to_gps(mapped(local), places, Gravity(DOWN, "guess"), seed=0)
    assert guessed.gravity_by == "guess" and tilt_deg(guessed) < 1e-6
    assert aligned_to_gps(mapped(local), places, UNKNOWN, seed=0) is None


def test_a_level_flight_determines_up():
    local = flight(40) * [1.0, 0.0, 1.0]
    ground = aligned_to_gps(mapped(local), recorded(local, noise_m=0.5), GUESSED, seed=0)
    assert ground.gravity_by == "GPS" and tilt_deg(ground) < 1.0


@pytest.mark.parametrize(
    "places",
    [
        [None] * 30,
        [(*BERLIN, 30.0)] * 30,
        [(90.0, 0.0, 0.0)] * 30,
        recorded(flight(seed=5)),
        recorded(flight(), noise_m=60.0),
        recorded(flight())[:14] + [None] * 16,
    ],
    ids=["none", "one place", "the pole", "other places", "noise", "too few"],
)
@pytest.mark.parametrize("gravity", [KNOWN, UNKNOWN], ids=["known", "unknown"])
def test_uninformative_positions_are_not_used(places, gravity):
    assert aligned_to_gps(mapped(flight()), places, gravity, seed=0) is None


@pytest.mark.parametrize("gravity", [KNOWN, UNKNOWN], ids=["known", "unknown"])
def test_coincident_cameras_are_not_aligned(gravity):
    assert aligned_to_gps(np.ones((30, 3)), recorded(flight()), gravity, seed=0) is None


@pytest.mark.slow
def test_random_positions_are_rejected():
    believed = 0
    for seed in range(40):
        places = recorded(flight(6 + seed % 5, seed=seed))
        cameras = mapped(flight(6 + seed % 5, seed=1000 + seed))
        believed += aligned_to_gps(cameras, places, (KNOWN, UNKNOWN)[seed % 2], seed=0) is not None
    assert believed <= 1


def test_the_moved_origin_keeps_its_geodetic_position():
    local = flight()
    middle = np.array([12.0, -5.0, 30.0])
    ground = aligned_to_gps(mapped(local), recorded(local, at=BERLIN, height_m=100.0), KNOWN, seed=0)
    there = moved(ground, mapped(middle[None])[0])
    np.testing.assert_allclose(
        there.similarity.matrix @ [*mapped(middle[None])[0], 1.0], [0, 0, 0, 1], atol=1e-6
    )
    wanted = recorded(middle[None], at=BERLIN, height_m=100.0)[0]
    assert there.origin[2] == pytest.approx(wanted[2], abs=0.02)
    assert there.origin[:2] == pytest.approx(wanted[:2], abs=2e-7)
    assert moved(ground, np.zeros(3)).to_plain()["gps"]["agreeing"] == 30
