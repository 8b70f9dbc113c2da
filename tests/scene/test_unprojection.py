import numpy as np
import pytest

from sfumato.errors import ConfigError
from sfumato.scene.lenses import LENS_COEFFICIENTS, Lens, distort
from sfumato.scene.unprojection import distort_directions, one_to_one_angle, undistort
from support.lens_examples import EXAMPLES


def cone(half_angle_degrees, count=3000):
    """[count, 3] unit directions up to an angle to the optical axis, the axis itself first."""
    rng = np.random.default_rng(0)
    theta = np.radians(half_angle_degrees) * np.sqrt(rng.random(count))
    theta[0] = 0.0
    turn = 2.0 * np.pi * rng.random(count)
    return np.stack([np.sin(theta) * np.cos(turn), np.sin(theta) * np.sin(turn), np.cos(theta)], axis=-1)


def test_there_is_an_example_of_every_lens():
    assert {lens.model for lens, _ in EXAMPLES.values()} == {*LENS_COEFFICIENTS, "equirectangular"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_directions_survive_a_round_trip(name):
    lens, half_angle = EXAMPLES[name]
    directions = cone(half_angle)
    image = distort_directions(lens, 7.5 * directions)
    back = undistort(lens, image)
    np.testing.assert_allclose(back, directions, atol=1e-10)
    np.testing.assert_allclose(distort_directions(lens, back), image, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", EXAMPLES)
def test_both_forward_formulas_agree_ahead(name):
    lens, _ = EXAMPLES[name]
    directions = cone(50.0)
    ideal = directions[:, :2] / directions[:, 2:]
    np.testing.assert_allclose(distort_directions(lens, directions), distort(lens, ideal), atol=1e-12)


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - {"equirectangular"}))
def test_directions_agree_with_colmap(name):
    pycolmap = pytest.importorskip("pycolmap")
    lens, _ = EXAMPLES[name]
    spelt = {"pinhole": "PINHOLE", "division": "DIVISION", "fisheye": "FISHEYE"}
    one_focal = lens.model in ("simple_radial", "radial", "simple_radial_fisheye", "radial_fisheye")
    camera = pycolmap.Camera(
        model=spelt.get(lens.model, lens.model.upper()),
        width=640,
        height=480,
        params=[*([410.0] if one_focal else [410.0, 410.0]), 330.0, 245.0, *lens.coefficients],
    )
    pixels = np.random.default_rng(1).uniform([0, 0], [640, 480], (500, 2))
    theirs = camera.cam_from_img(pixels)
    ours = undistort(lens, (pixels - (330.0, 245.0)) / 410.0)
    np.testing.assert_allclose(ours[:, :2] / ours[:, 2:], theirs, rtol=1e-8, atol=1e-8)


def test_a_polynomial_is_inverted_up_to_its_maximum_only():
    lens = Lens("simple_radial", (-0.3,))
    # r (1 + k r^2) has its maximum 2/3 r at r = 1 / sqrt(-3 k).
    radius = 1.0 / np.sqrt(0.9)
    assert one_to_one_angle(lens) == pytest.approx(np.arctan(radius), abs=1e-9)
    inside, outside = undistort(lens, np.array([[0.999, 0.0], [1.001, 0.0]]) * radius * 2.0 / 3.0)
    assert np.hypot(*inside[:2]) / inside[2] < radius and np.isnan(outside).all()
    beyond = np.array([[1.01 * radius, 0.0, 1.0], [0.0, 0.99 * radius, 1.0], [0.0, 0.1, -1.0]])
    assert np.isnan(distort_directions(lens, beyond)).any(axis=1).tolist() == [True, False, True]


@pytest.mark.parametrize("name", ["opencv_fisheye", "rad_tan_thin_prism_fisheye", "thin_prism_fisheye"])
def test_every_direction_up_to_the_fold_is_found_again(name):
    lens, _ = EXAMPLES[name]
    directions = cone(0.9999 * np.degrees(one_to_one_angle(lens)), 20000)
    image = distort_directions(lens, directions)
    back = undistort(lens, image)
    np.testing.assert_allclose(distort_directions(lens, back), image, atol=1e-10)
    np.testing.assert_allclose(back, directions, atol=1e-8)


def test_fisheyes_see_behind_the_camera():
    across = undistort(Lens("fisheye"), np.array([np.pi / 2, 0.0]))
    np.testing.assert_allclose(across, [1.0, 0.0, 0.0], atol=1e-12)
    behind = undistort(Lens("fisheye"), np.array([[0.0, 3.0], [0.0, 3.2]]))
    np.testing.assert_allclose(behind[0], [0.0, np.sin(3.0), np.cos(3.0)], atol=1e-12)
    assert np.isnan(behind[1]).all(), "directions would repeat beyond pi"


def test_panoramas_are_longitude_and_latitude():
    quarter = np.pi / 2
    image = np.array(
        [[0.0, 0.0], [quarter, 0.0], [-quarter, 0.0], [0.3, quarter - 1e-4], [3.2, 0.0], [0, 1.6]]
    )
    directions = undistort(Lens("equirectangular"), image)
    np.testing.assert_allclose(directions[:4], [[0, 0, 1], [1, 0, 0], [-1, 0, 0], [0, 1, 0]], atol=2e-4)
    assert np.isnan(directions[4:]).all()


def test_ortho_looks_along_z():
    ortho = Lens("ortho")
    np.testing.assert_array_equal(undistort(ortho, np.array([[5.0, -3.0]])), [[0.0, 0.0, 1.0]])
    with pytest.raises(ConfigError, match="parallel"):
        distort_directions(ortho, np.array([0.0, 0.0, 1.0]))


def test_unsolvable_pixels_are_nan():
    odd = np.array([[np.nan, 0.0], [np.inf, 0.0], [1e300, -1e300], [-1e6, 1e6]])
    for lens, _ in EXAMPLES.values():
        directions = undistort(lens, odd)
        assert np.isnan(directions[:2]).all(), lens
        length = np.linalg.norm(directions, axis=-1)
        assert (np.isnan(length) | np.isclose(length, 1.0)).all(), lens
    assert undistort(Lens("opencv", (0.1, 0.0, 0.0, 0.0)), np.empty((0, 4, 2))).shape == (0, 4, 3)


@pytest.mark.parametrize("lens", [Lens("catadioptric"), Lens("radial", (0.1,)), Lens("ortho", (1.0,))])
def test_unknown_lenses_are_refused(lens):
    with pytest.raises(ConfigError, match=lens.model):
        undistort(lens, np.zeros(2))
