import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import ConfigError, ShapeError
from sfumato.maths.covariances import covariance_matrices
from sfumato.maths.quaternions import rotation_from_quats
from sfumato.paths.look import looking_at, pinhole
from sfumato.render.rasterize import rasterize
from sfumato.scene import changes
from support.editable import assert_same, crowd

CAMERA = pinhole(looking_at((1.0, -2.0, -5.0), (0.0, 0.0, 0.0)), (48, 36), 50.0)


def moved_along(camera, matrix):
    """``camera`` transformed with the scene, so that it shows the same picture; lengths are scaled, too."""
    scale = float(torch.linalg.det(matrix[:3, :3])) ** (1 / 3)
    pose = camera.camera_from_world.double() @ torch.linalg.inv(matrix)
    pose[:3] *= scale
    return replace(camera, camera_from_world=pose)


def psnr(one, other):
    return -10 * math.log10(max(float((one - other).square().mean()), 1e-30))


QUARTER = changes.translation((3, -1, 2)) @ changes.rotation((90, 0, 0))
ODD = changes.translation((0, 5, 1)) @ changes.rotation((33, 71, -128)) @ changes.scaling(1.7)


@pytest.mark.parametrize("matrix", [QUARTER, ODD])
def test_a_changed_scene_looks_the_same_from_a_camera_moved_along(matrix):
    scene = crowd(dtype=torch.float64)
    before = rasterize(scene, CAMERA)
    after = rasterize(changes.transformed(scene, matrix), moved_along(CAMERA, matrix))
    assert float(before.alpha.mean()) > 0.2
    assert psnr(after.image, before.image) > 90
    wrong = replace(changes.transformed(scene, matrix), sh=scene.sh)
    assert psnr(rasterize(wrong, moved_along(CAMERA, matrix)).image, before.image) < 50


def test_in_single_precision_it_looks_the_same_too():
    scene = crowd()
    after = rasterize(changes.transformed(scene, QUARTER), moved_along(CAMERA, QUARTER))
    assert psnr(after.image, rasterize(scene, CAMERA).image) > 60


@settings(max_examples=25)
@given(
    degrees=st.tuples(*[st.floats(-400, 400)] * 3),
    factor=st.floats(0.01, 100),
    by=st.tuples(*[st.floats(-10, 10)] * 3),
)
def test_the_inverse_undoes_a_transform(degrees, factor, by):
    scene = crowd(10, dtype=torch.float64)
    matrix = changes.translation(by) @ changes.rotation(degrees) @ changes.scaling(factor)
    there = changes.transformed(scene, matrix)
    back = changes.transformed(there, torch.linalg.inv(matrix))
    sign = torch.sign((back.quats * scene.quats).sum(1, keepdim=True))
    assert_same(replace(back, quats=sign * back.quats), scene, rtol=0, atol=1e-9)


def test_quarter_turns_are_exact_and_right_handed():
    x, y, z = torch.eye(3, dtype=torch.float64)
    for degrees, start, end in (((90, 0, 0), y, z), ((0, 90, 0), z, x), ((0, 0, 90), x, y)):
        assert torch.equal(changes.rotation(degrees)[:3, :3] @ start, end)
    assert torch.equal(changes.rotation((90, 0, 90))[:3, :3] @ y, z), "first about x, then about z"


def test_half_turns_have_quaternions():
    for degrees in ((180, 0, 0), (0, 180, 0), (0, 0, 180), (180, 0, 90), (0, 0, 0)):
        scene = crowd(5, degree=0, dtype=torch.float64)
        matrix = changes.rotation(degrees)
        turned = changes.transformed(scene, matrix)
        expected = matrix[:3, :3] @ _covariances(scene) @ matrix[:3, :3].T
        torch.testing.assert_close(_covariances(turned), expected)


def _covariances(scene):
    return covariance_matrices(rotation_from_quats(scene.quats), scene.scales)


@pytest.mark.parametrize(
    "matrix",
    [
        torch.diag(torch.tensor([1.0, 1.0, -1.0, 1.0])),
        torch.diag(torch.tensor([1.0, 2.0, 1.0, 1.0])),
        torch.zeros(4, 4),
        torch.full((4, 4), math.nan),
        torch.eye(4) + torch.tensor([[0.0] * 4] * 3 + [[0.1, 0, 0, 0]]),
    ],
)
def test_other_matrices_are_refused(matrix):
    with pytest.raises(ConfigError, match="not a similarity"):
        changes.transformed(crowd(3), matrix)


def test_a_matrix_of_another_shape_is_refused():
    with pytest.raises(ShapeError):
        changes.transformed(crowd(3), torch.eye(3))


def test_degrees_are_cut_and_filled():
    scene = crowd(4, degree=2)
    assert torch.equal(changes.with_degree(scene, 1).sh, scene.sh[:, :4])
    raised = changes.with_degree(scene, 3)
    assert torch.equal(raised.sh[:, :9], scene.sh) and not raised.sh[:, 9:].any()


def test_merging_keeps_order_and_the_highest_degree():
    one, other = crowd(3, degree=1), crowd(2, degree=2, seed=9)
    whole = changes.merged(one, other)
    assert len(whole) == 5 and whole.sh_degree == 2
    assert_same(changes.with_degree(whole.select(torch.arange(3)), 1), one)
    assert_same(whole.select(torch.arange(3, 5)), other)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda g: changes.scaling(0.0), "above 0"),
        (lambda g: changes.scaling(-1.0), "above 0"),
        (lambda g: changes.with_degree(g, 4), "0, 1, 2 or 3"),
        (lambda g: changes.merged(), "no scene"),
    ],
)
def test_numbers_out_of_range_are_refused(call, words):
    with pytest.raises(ConfigError, match=words):
        call(crowd(3))
