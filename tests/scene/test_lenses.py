import numpy as np
import pytest

from sfumato.capture.readers.colmap_models import MODEL_NAMES, num_params, split_params
from sfumato.scene.lenses import LENS_COEFFICIENTS, PINHOLE, Lens, distort, unfolded_radius

IDEAL = np.array([[0.0, 0.0], [0.3, -0.2], [-0.45, 0.35], [0.02, 0.6], [-0.7, -0.5]])

# Pixels of IDEAL as pycolmap 4.2.1's Camera.img_from_cam gives them, for each of COLMAP's models.
# fmt: off
ORACLE = {
    "SIMPLE_PINHOLE": ((410.0, 330.0, 245.0),
     [(330.0, 245.0), (453.0, 163.0), (145.5, 388.5), (338.2, 491.0), (43.0, 40.0)]),
    "PINHOLE": ((410.0, 395.0, 330.0, 245.0),
     [(330.0, 245.0), (453.0, 166.0), (145.5, 383.25), (338.2, 482.0), (43.0, 47.5)]),
    "SIMPLE_RADIAL": ((410.0, 330.0, 245.0, -0.12),
     [(330.0, 245.0), (451.0812, 164.2792), (152.6955, 382.9035), (337.8454, 480.361), (68.4856, 58.204)]),
    "RADIAL": ((410.0, 330.0, 245.0, -0.12, 0.03),
     [(330.0, 245.0), (451.1436, 164.2376), (152.1109, 383.3582), (337.8773, 481.3196), (63.7708, 54.8363)]),
    "OPENCV": ((410.0, 395.0, 330.0, 245.0, -0.11, 0.04, 0.003, -0.002),
     [(330.0, 245.0), (450.9224, 167.4199), (150.3303, 379.816), (337.6509, 475.097), (59.526, 60.1669)]),
    "OPENCV_FISHEYE": ((410.0, 395.0, 330.0, 245.0, 0.05, -0.02, 0.01, -0.004),
     [(330.0, 245.0), (448.7256, 168.7454), (160.2756, 372.1783), (337.4819, 461.2459), (87.9706, 78.4467)]),
    "FULL_OPENCV": ((410.0, 395.0, 330.0, 245.0, 0.1, -0.05, 0.003, -0.002, 0.02, 0.15, -0.03, 0.01),
     [(330.0, 245.0), (451.7755, 166.8721), (147.6925, 381.7925), (337.7761, 478.716), (53.9188, 56.3083)]),
    "FOV": ((410.0, 395.0, 330.0, 245.0, 0.9),
     [(330.0, 245.0), (457.0527, 163.397), (148.9689, 380.6507), (337.9765, 475.5409), (72.9536, 68.1127)]),
    "SIMPLE_RADIAL_FISHEYE": ((410.0, 330.0, 245.0, -0.04),
     [(330.0, 245.0), (447.4852, 166.6765), (164.1145, 374.0221), (337.2986, 463.9589), (97.7718, 79.1227)]),
    "RADIAL_FISHEYE": ((410.0, 330.0, 245.0, -0.04, 0.02),
     [(330.0, 245.0), (447.5191, 166.654), (163.8728, 374.2101), (337.3112, 464.3375), (96.5644, 78.2603)]),
    "THIN_PRISM_FISHEYE": ((410.0, 395.0, 330.0, 245.0, 0.04, -0.03,
      0.002, -0.001, 0.01, -0.004, 0.003, -0.002),
     [(330.0, 245.0), (448.5068, 168.9489), (160.7163, 372.0131), (337.7094, 460.8932), (90.3017, 79.7661)]),
    "RAD_TAN_THIN_PRISM_FISHEYE": ((410.0, 395.0, 330.0, 245.0, 0.04, -0.03, 0.02, -0.01,
      0.004, -0.001, 0.002, -0.001, 0.003, -0.002, 0.001, -0.0005),
     [(330.0, 245.0), (448.9877, 168.7255), (161.7054, 371.4661), (337.986, 460.2483), (90.7373, 79.7167)]),
    "SIMPLE_DIVISION": ((410.0, 330.0, 245.0, -0.15),
     [(330.0, 245.0), (450.6907, 164.5395), (153.7116, 382.1132), (337.799, 478.9701), (69.2883, 58.7773)]),
    "DIVISION": ((410.0, 395.0, 330.0, 245.0, -0.15),
     [(330.0, 245.0), (450.6907, 167.4832), (153.7116, 377.0969), (337.799, 470.4102), (69.2883, 65.5904)]),
    "SIMPLE_FISHEYE": ((410.0, 330.0, 245.0),
     [(330.0, 245.0), (448.0507, 166.2996), (162.3138, 375.4226), (337.385, 466.5494), (92.9872, 75.7051)]),
    "FISHEYE": ((410.0, 395.0, 330.0, 245.0),
     [(330.0, 245.0), (448.0507, 169.1788), (162.3138, 370.6511), (337.385, 458.4439), (92.9872, 81.8988)]),
    "EUCM": ((410.0, 395.0, 330.0, 245.0, 0.55, 1.1),
     [(330.0, 245.0), (448.4958, 168.8929), (160.8604, 371.7401), (337.4549, 460.4661), (88.9788, 79.1404)]),
}
# fmt: on


@pytest.mark.parametrize("model", ORACLE)
def test_pixels_are_those_of_colmap(model):
    params, pixels = ORACLE[model]
    focal_px, centre_px, lens = split_params(model, params, "camera 1")
    np.testing.assert_allclose(distort(lens, IDEAL) * focal_px + centre_px, pixels, atol=1e-4)
    assert num_params(model) == len(params)


def test_every_model_of_colmap_is_supported():
    assert (*ORACLE, "EQUIRECTANGULAR") == MODEL_NAMES
    assert {split_params(m, p, "")[2].model for m, (p, _) in ORACLE.items()} == set(LENS_COEFFICIENTS)


def test_a_panorama_is_a_separate_lens_model():
    focal_px, centre_px, lens = split_params("EQUIRECTANGULAR", (100.0, 50.0), "camera 1")
    assert lens.model == "equirectangular" and centre_px == (50.0, 25.0)
    np.testing.assert_allclose(focal_px, (100 / (2 * np.pi), 50 / np.pi))


@pytest.mark.parametrize("model", LENS_COEFFICIENTS)
def test_small_angles_are_not_distorted(model):
    lens = Lens(model, (0.01,) * len(LENS_COEFFICIENTS[model]))
    tiny = np.array([[1e-12, -2e-12], [0.0, 0.0]])
    result = distort(lens, tiny)
    assert np.isfinite(result).all()
    np.testing.assert_allclose(result, tiny, rtol=0.05, atol=1e-14)


def test_unknown_models_and_wrong_counts_raise():
    with pytest.raises(ValueError, match="catadioptric"):
        distort(Lens("catadioptric"), IDEAL)
    with pytest.raises(ValueError, match="k1"):
        distort(Lens("radial", (0.1,)), IDEAL)


def test_a_lens_without_distortion_is_a_pinhole():
    assert PINHOLE.is_pinhole and Lens("opencv", (0.0,) * 4).is_pinhole
    assert not Lens("fisheye").is_pinhole and not Lens("opencv", (0.0, 0.0, 0.0, 1e-3)).is_pinhole


def test_a_polynomial_is_valid_up_to_its_maximum():
    # r (1 + k r^2) has its maximum at r = 1 / sqrt(-3 k).
    assert unfolded_radius(Lens("simple_radial", (-0.3,)), limit=3.0) == pytest.approx(1.054, abs=0.03)
    assert unfolded_radius(Lens("simple_radial", (0.3,)), limit=3.0) == 3.0
    assert unfolded_radius(Lens("division", (0.25,)), limit=3.0) == pytest.approx(1.0, abs=0.03)
    assert unfolded_radius(Lens("fisheye"), limit=3.0) == 3.0
