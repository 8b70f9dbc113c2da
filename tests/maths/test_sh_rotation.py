import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import ConfigError, ShapeError
from sfumato.maths.quaternions import rotation_from_quats
from sfumato.maths.sh import sh_basis
from sfumato.maths.sh_rotation import rotated_sh, sh_rotation

QUARTER_ABOUT_Z = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
MIRROR = torch.diag(torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64))
SEEDS = st.integers(0, 2**32)
quick = settings(max_examples=20)


def doubles(seed, *shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def turns(seed, count):
    return rotation_from_quats(doubles(seed, count, 4))


def colours(sh, directions, degree):
    """[m, n, 3] of n rows of coefficients in m directions."""
    return torch.einsum("mk,nkc->mnc", sh_basis(directions, degree), sh)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@quick
@given(seed=SEEDS)
def test_colours_rotate_with_the_direction(degree, seed):
    (turn,) = turns(seed, 1)
    sh = doubles(seed + 1, 5, (degree + 1) ** 2, 3)
    directions = torch.nn.functional.normalize(doubles(seed + 2, 40, 3), dim=1)
    before = colours(sh, directions, degree)
    for matrix in (turn, MIRROR @ turn):
        after = colours(rotated_sh(sh, matrix), directions @ matrix.T, degree)
        torch.testing.assert_close(after, before, rtol=0, atol=1e-12)


@quick
@given(seed=SEEDS)
def test_rotations_compose_and_the_inverse_undoes_them(seed):
    first, second = turns(seed, 2)
    product = sh_rotation(second, 3) @ sh_rotation(first, 3)
    torch.testing.assert_close(sh_rotation(second @ first, 3), product, rtol=0, atol=1e-12)
    torch.testing.assert_close(sh_rotation(first.T, 3), sh_rotation(first, 3).T, rtol=0, atol=1e-12)
    sh = doubles(seed, 3, 16, 3)
    torch.testing.assert_close(rotated_sh(rotated_sh(sh, first), first.T), sh, rtol=0, atol=1e-12)


def test_a_rotation_by_90_degrees_maps_x_to_y():
    """Degree 1 is (-y, z, -x): a function increasing along x increases along y afterwards."""
    expected = torch.zeros(4, 4, dtype=torch.float64)
    expected[0, 0] = expected[2, 2] = expected[1, 3] = 1.0
    expected[3, 1] = -1.0
    torch.testing.assert_close(sh_rotation(QUARTER_ABOUT_Z, 1), expected, rtol=0, atol=1e-12)


def test_degrees_do_not_mix_and_the_constant_stays_bit_for_bit():
    matrix = sh_rotation(turns(7, 1)[0], 3)
    degree = torch.tensor([0] + [1] * 3 + [2] * 5 + [3] * 7)
    assert not matrix[degree[:, None] != degree[None, :]].any()
    sh = doubles(8, 4, 16, 3).float()
    turned = rotated_sh(sh, turns(9, 1)[0])
    assert turned.dtype == torch.float32
    assert torch.equal(turned[:, 0], sh[:, 0])


def test_gradients_reach_the_coefficients():
    sh = doubles(1, 2, 9, 3).requires_grad_()
    (turn,) = turns(2, 1)
    assert torch.autograd.gradcheck(lambda values: rotated_sh(values, turn), sh)


@pytest.mark.parametrize("wrong", [2 * torch.eye(3), torch.full((3, 3), torch.nan), torch.ones(3, 3)])
def test_other_matrices_are_refused(wrong):
    with pytest.raises(ConfigError, match="not a rotation"):
        rotated_sh(torch.zeros(1, 4, 3), wrong)


def test_other_shapes_are_refused():
    with pytest.raises(ShapeError, match="new_from_old"):
        sh_rotation(torch.eye(4), 1)
    with pytest.raises(ConfigError, match="5 coefficients"):
        rotated_sh(torch.zeros(1, 5, 3), torch.eye(3))
