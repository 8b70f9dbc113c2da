import math

import pytest
import torch

from sfumato.errors import ConfigError
from sfumato.maths.covariances import pack_symmetric, unpack_symmetric
from sfumato.ops.reference import covariance, project
from support.op_scenes import HEIGHT, MODELS, WIDTH, assert_finite_differences, camera, gaussians

SETTINGS = {"width": WIDTH, "height": HEIGHT, "near": 0.01, "far": 1e10, "blur_px2": 0.3}


def project_one(mean, variances=(0.01, 0.02, 0.03), model="pinhole", focal=20.0, **changes):
    """Project one axis-aligned Gaussian through a camera at the origin with its centre at (12, 9)."""
    covariances = torch.tensor([[variances[0], 0, 0, variances[1], 0, variances[2]]], dtype=torch.float64)
    intrinsics = torch.tensor([[focal, 0, 12.0], [0, focal, 9.0], [0, 0, 1]], dtype=torch.float64)
    means = torch.tensor([mean], dtype=torch.float64)
    pose = torch.eye(4, dtype=torch.float64)
    outputs = project(means, covariances, pose, intrinsics, model=model, **{**SETTINGS, **changes})
    return [output[0] for output in outputs]


@pytest.mark.parametrize("model", ["pinhole", "fisheye"])
def test_known_value_on_the_axis(model):
    mean_px, conic, depth, compensation, radius_px = project_one((0, 0, 2), model=model)
    xx, yy = 0.01 * 100, 0.02 * 100
    assert mean_px.tolist() == [12.0, 9.0]
    assert depth == 2
    torch.testing.assert_close(conic, torch.tensor([1 / (xx + 0.3), 0, 1 / (yy + 0.3)]).double())
    assert compensation.item() == pytest.approx(math.sqrt(xx * yy / ((xx + 0.3) * (yy + 0.3))))
    assert radius_px.tolist() == [math.ceil(3.33 * math.sqrt(v + 0.3)) for v in (xx, yy)]
    assert radius_px.dtype == torch.int32


def test_known_value_of_ortho():
    mean_px, conic, depth, _, _ = project_one((0.2, -0.1, 5), model="ortho")
    torch.testing.assert_close(mean_px, torch.tensor([16.0, 7.0]).double())
    torch.testing.assert_close(conic, torch.tensor([1 / 4.3, 0, 1 / 8.3]).double())
    assert depth == 5


def test_fisheye_is_equidistant():
    mean_px, *_ = project_one((1, 0, 1), model="fisheye", focal=10.0)
    torch.testing.assert_close(mean_px, torch.tensor([12 + 10 * math.pi / 4, 9]).double())


@pytest.mark.parametrize("model", MODELS)
def test_jacobian_is_that_of_the_projected_mean(model):
    """The image covariance of a tiny Gaussian follows the derivative of its mean without clamping."""
    pose, intrinsics = camera(model)
    mean = torch.tensor([[0.3, -0.2, 2.5]], dtype=torch.float64)
    packed = torch.tensor([[1.0, 0, 0, 1, 0, 1]], dtype=torch.float64) * 1e-4

    def mean_px(points):
        return project(points, packed, pose, intrinsics, model=model, **SETTINGS)[0][0]

    jacobian = torch.autograd.functional.jacobian(mean_px, mean)[:, 0]
    expected = torch.linalg.inv(1e-4 * jacobian @ jacobian.T + 0.3 * torch.eye(2))
    conic = project(mean, packed, pose, intrinsics, model=model, **SETTINGS)[1][0]
    torch.testing.assert_close(conic, torch.stack([expected[0, 0], expected[0, 1], expected[1, 1]]))


def test_tangents_are_clamped_at_one_and_three_tenths_half_fields_beyond_the_shifted_centre():
    # Width 24, centre 12, focal 20: the right edge is at tangent 0.6, the limit 0.3 * 0.6 beyond.
    _, inside, *_ = project_one((2 * 0.77, 0, 2), variances=(1, 1, 1))
    _, at_limit, *_ = project_one((2 * 0.78, 0, 2), variances=(1, 1, 1))
    mean_px, beyond, *_ = project_one((2 * 1.4, 0, 2), variances=(1, 1, 1))
    torch.testing.assert_close(beyond, at_limit)
    assert (inside - at_limit).abs().max() > 1e-6
    assert mean_px[0].item() == pytest.approx(12 + 20 * 1.4)
    xx = 100 * (1 + 0.78**2)
    assert 1 / beyond[0].item() == pytest.approx(xx + 0.3)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.slow
def test_gradients(model):
    scene = gaussians(5, seed=1)
    pose, intrinsics = camera(model)
    inputs = {
        "means": scene["means"],
        "covariances": covariance(scene["quats"], scene["scales"]),
        "camera_from_world": pose,
        "intrinsics": intrinsics,
    }
    # One tangent beyond each limit of the pinhole.
    inputs["means"][0] = torch.tensor([2.9, 0.1, 2.5])
    inputs["means"][1] = torch.tensor([0.1, -2.4, 2.5])
    inputs["covariances"][:2] += torch.tensor([0.4, 0, 0, 0.4, 0, 0.4])

    def projected(**inputs):
        return project(**inputs, model=model, **SETTINGS)

    radius_px = projected(**inputs)[4]
    assert (radius_px > 0).all(), "a culled Gaussian would test nothing"
    assert_finite_differences(projected, inputs)


def test_fisheye_is_smooth_across_the_switch_to_the_series():
    tangents = torch.tensor([0.0, 1e-9, 0.0099999, 0.0100001], dtype=torch.float64)
    results = []
    for tangent in tangents:
        mean = torch.tensor([[2 * tangent, 0, 2]], dtype=torch.float64, requires_grad=True)
        packed = torch.tensor([[0.01, 0, 0, 0.02, 0.001, 0.03]], dtype=torch.float64)
        intrinsics = torch.tensor([[20.0, 0, 12], [0, 20.0, 9], [0, 0, 1]], dtype=torch.float64)
        outputs = project(mean, packed, torch.eye(4).double(), intrinsics, model="fisheye", **SETTINGS)
        (gradient,) = torch.autograd.grad(outputs[1].sum() + outputs[0].sum(), mean)
        results.append(torch.cat([outputs[0][0], outputs[1][0], gradient[0]]))
    assert torch.isfinite(torch.stack(results)).all()
    torch.testing.assert_close(results[0], results[1], atol=1e-7, rtol=0)
    torch.testing.assert_close(results[2], results[3], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("mean", "changes"),
    [
        ((0, 0, -2), {}),
        ((0, 0, 0.005), {}),
        ((0, 0, 2), {"near": 2.1}),
        ((0, 0, 2), {"far": 1.9}),
        ((9, 0, 2), {}),
        ((0, -9, 2), {}),
        ((0, 0, 2), {"radius_clip": 10.0}),
        ((0, 0, 2), {"variances": (0.0, 0.0, 0.0), "blur_px2": 0.0}),
        ((0, 0, 2), {"variances": (1e300, 1e300, 1e300)}),
        ((0, 0, 2), {"variances": (math.nan, 1, 1)}),
        ((math.nan, 0, 2), {}),
        ((0, 0, math.inf), {"far": math.inf}),
        ((0, 0, 2), {"opacities": torch.tensor([0.9 / 255], dtype=torch.float64)}),
        ((0, 0, 2), {"opacities": torch.tensor([math.nan], dtype=torch.float64)}),
        ((0, 0, 2), {"opacities": torch.tensor([0.0], dtype=torch.float64)}),
    ],
)
@pytest.mark.parametrize("model", MODELS)
def test_culled_gaussians_are_all_zeros(mean, changes, model):
    assert not any(output.any() for output in project_one(mean, model=model, **changes))


def test_edges_of_culling_are_inclusive():
    assert project_one((0, 0, 2), near=2.0, far=2.0)[4].all()
    assert project_one((0, 0, 2), radius_clip=5.0)[4].all(), "radii are (4, 6): one is above the clip"


def test_the_bounding_rectangle_must_overlap_the_image():
    radius = project_one((0, 0, 2))[4][0].item()
    offset = (12 + radius) / 10
    assert not project_one((offset + 1e-6, 0, 2), model="ortho", focal=10.0, variances=(0.01, 0.02, 0))[
        4
    ].any()
    assert project_one((-0.1 * 12, 0, 2), model="ortho", focal=10.0)[4].all()


def test_opacity_tightens_the_radius():
    opacities = torch.tensor([0.05], dtype=torch.float64)
    sigma = [math.sqrt(1.3), math.sqrt(2.3)]
    extent = math.sqrt(2 * math.log(0.05 * 255))
    assert project_one((0, 0, 2), opacities=opacities)[4].tolist() == [math.ceil(extent * s) for s in sigma]
    opaque = torch.tensor([1.0], dtype=torch.float64)
    assert project_one((0, 0, 2), opacities=opaque)[4].tolist() == project_one((0, 0, 2))[4].tolist()


def test_antialiased_radii_include_the_compensation():
    opacities = torch.tensor([0.05], dtype=torch.float64)
    variances = (1e-4, 1e-4, 1e-4)
    compensation = project_one((0, 0, 2), variances)[3].item()
    plain = project_one((0, 0, 2), variances, opacities=opacities)[4]
    as_faded = project_one((0, 0, 2), variances, opacities=opacities, antialiased=True)[4]
    faded = project_one((0, 0, 2), variances, opacities=opacities * compensation)[4]
    assert plain.all()
    assert torch.equal(as_faded, faded)


def test_flat_ellipse_has_no_compensation_and_a_finite_gradient():
    scales = torch.tensor([[0.2, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    quats = torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64)
    pose, intrinsics = camera()
    means = torch.tensor([[0.0, 0, 2]], dtype=torch.float64)
    outputs = project(means, covariance(quats, scales), pose, intrinsics, model="pinhole", **SETTINGS)
    sum(output.sum() for output in outputs[:4]).backward()
    assert outputs[3].abs() < 1e-6
    assert torch.isfinite(scales.grad).all()


def test_culled_rows_have_no_gradient_and_do_not_affect_others():
    pose, intrinsics = camera()
    scene = gaussians(6)
    means = scene["means"].clone()
    means[2] = math.nan
    means[4, 2] = -3
    leaves = [means, covariance(scene["quats"], scene["scales"]), pose, intrinsics]
    leaves = [leaf.detach().requires_grad_() for leaf in leaves]
    outputs = project(*leaves, model="pinhole", **SETTINGS)
    sum(output.sum() for output in outputs[:4]).backward()
    assert all(torch.isfinite(leaf.grad).all() for leaf in leaves)
    assert not leaves[0].grad[[2, 4]].any()
    assert leaves[0].grad[[0, 1, 3, 5]].any(dim=1).all()


def test_moving_the_world_and_the_camera_together_changes_nothing():
    scene = gaussians(8)
    pose, intrinsics = camera()
    moved_from_world, _ = camera("fisheye")
    moved_from_world[:3, 3] += 5
    rotation = moved_from_world[:3, :3]
    packed = covariance(scene["quats"], scene["scales"])
    before = project(scene["means"], packed, pose, intrinsics, model="pinhole", **SETTINGS)
    packed = pack_symmetric(rotation @ unpack_symmetric(packed) @ rotation.T)
    means = scene["means"] @ rotation.T + moved_from_world[:3, 3]
    camera_from_moved = pose @ torch.linalg.inv(moved_from_world)
    after = project(means, packed, camera_from_moved, intrinsics, model="pinhole", **SETTINGS)
    for first, second in zip(before, after, strict=True):
        torch.testing.assert_close(first, second)


def test_no_gaussians():
    pose, intrinsics = camera()
    outputs = project(
        torch.zeros(0, 3).double(), torch.zeros(0, 6).double(), pose, intrinsics, model="pinhole", **SETTINGS
    )
    assert [list(output.shape) for output in outputs] == [[0, 2], [0, 3], [0], [0], [0, 2]]


def test_unknown_model_is_named():
    with pytest.raises(ConfigError, match="ftheta"):
        project_one((0, 0, 2), model="ftheta")
