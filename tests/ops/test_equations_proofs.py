"""Eq. 63 to 93 of the derivation: the proofs, line by line."""

import torch

from sfumato.maths.quaternions import normalised, rotation_from_quats
from sfumato.ops.reference import trace
from sfumato.ops.reference.blending_gradients import (
    contribution_behind,
    d_image_d_alpha,
    d_image_d_colour,
    transmittance_before,
)
from sfumato.ops.reference.shape_gradients import (
    d_rotation_d_quat,
    d_sigma_d_covariance,
    d_sigma_d_inverse_covariance,
    d_sigma_d_mean,
    grad_factor_of_covariance,
)
from support.equation_scenes import agree, by_hand, differ, differences, equations, exact, traced
from support.op_scenes import gaussians

COUNT = 5


def ray():
    """alpha [1, n] and colours [1, n, 1] of one ray."""
    random = torch.Generator().manual_seed(7)
    alpha = torch.rand(1, COUNT, generator=random, dtype=torch.float64) * 0.8 + 0.1
    return alpha, torch.rand(1, COUNT, 1, generator=random, dtype=torch.float64)


def terms(alpha, colours):
    """[n] c_m alpha_m T_m."""
    return (d_image_d_colour(alpha)[..., None] * colours)[0, :, 0]


def pairs():
    return [(m, n) for m in range(COUNT) for n in range(COUNT)]


@equations(63, 64)
def test_the_sum_before_at_and_behind_a_hit():
    alpha, colours = ray()
    parts = terms(alpha, colours)
    for n in range(COUNT):
        agree(parts[:n].sum() + parts[n] + parts[n + 1 :].sum(), parts.sum(), 1e-12)
    # Rays that all look along z at round Gaussians, so that alpha is the opacity: the tracer's own sum.
    means = torch.zeros(COUNT, 3).double()
    means[:, 2] = torch.arange(COUNT) + 1.0
    axis = exact([[0.0, 0.0, 1.0]])
    image, _, _ = trace(
        means, exact([[1.0, 0, 0, 0]]).expand(COUNT, 4), torch.full((COUNT, 3), 0.1).double(),
        alpha[0], colours[0], torch.zeros(1, 3).double(), axis, torch.zeros(1).double(),
        near=0.0, far=10.0, alpha_min=0.0, transmittance_stop=0.0,
    )  # fmt: skip
    agree(image[0, 0], parts.sum(), 1e-12)


@equations(65, 66, 73)
def test_each_term_by_each_alpha():
    alpha, colours = ray()
    found = differences(lambda a: terms(a, colours), alpha)[:, 0]
    parts, before = terms(alpha, colours), transmittance_before(alpha)[0]
    for m, n in pairs():
        if m < n:
            assert found[m, n] == 0
        elif m == n:
            agree(found[m, n], colours[0, n, 0] * before[n])
        else:
            agree(found[m, n], -parts[m] / (1 - alpha[0, n]))


@equations(65, 66)
def test_counted_from_the_back_it_does_not_hold():
    alpha, colours = ray()
    found = differences(lambda a: terms(a, colours), alpha)[:, 0]
    parts = terms(alpha, colours)
    # n = 0 at the back, as the text before eq. 63 has it: what is printed for m > n would be of nearer hits.
    counted = torch.zeros(COUNT, COUNT).double()
    for m, n in pairs():
        if COUNT - 1 - m > COUNT - 1 - n:
            counted[m, n] = -parts[m] / (1 - alpha[0, n])
    differ(counted[0, 1:], found[1:, 0])
    assert not found[0, 1:].any() and counted[0, 1:].all()


@equations(67, 68, 70, 71)
def test_transmittance_split_at_a_hit():
    alpha = ray()[0]
    before, clear = transmittance_before(alpha)[0], 1 - alpha[0]
    for m, n in pairs():
        agree(before[m], clear[:m].prod(), 1e-12)
        if m > n:
            between = clear[n + 1 : m].prod()
            agree(before[m], before[n] * clear[n] * between, 1e-12)
            agree(between, before[m] / (before[n] * clear[n]), 1e-12)


@equations(69, 72)
def test_transmittance_by_each_alpha():
    alpha = ray()[0]
    found = differences(transmittance_before, alpha)[0, :, 0]
    before, clear = transmittance_before(alpha)[0], 1 - alpha[0]
    for m, n in pairs():
        if m > n:
            agree(found[m, n], -before[n] * clear[n + 1 : m].prod())
            agree(found[m, n], -before[m] / clear[n])
        else:
            assert found[m, n] == 0


@equations(74, 75)
def test_what_is_seen_by_each_alpha():
    alpha, colours = ray()
    parts, before = terms(alpha, colours), transmittance_before(alpha)[0]
    found = differences(lambda a: terms(a, colours).sum(), alpha)[0]
    behind = contribution_behind(parts.sum().reshape(1, 1), colours, d_image_d_colour(alpha))
    for n in range(COUNT):
        shares = sum((parts[m] / (1 - alpha[0, n]) for m in range(n + 1, COUNT)), exact(0.0))
        agree(found[n], colours[0, n, 0] * before[n] - shares)
    agree(d_image_d_alpha(colours, alpha, behind)[0, :, 0], found)


def one_pair():
    here = by_hand(traced(1, 1))
    return here.inverse[0], here.offset[0, 0]


@equations(76, 77, 78)
def test_sigma_by_the_inverse_covariance():
    inverse, offset = one_pair()
    random = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 3, generator=random, dtype=torch.float64)
    agree(differences(lambda x: a @ x @ b, inverse), torch.outer(a, b))
    # The left side has the covariance and the right side the mean; the inverse covariance is meant.
    wanted = differences(lambda x: 0.5 * offset @ x @ offset, inverse)
    agree(d_sigma_d_inverse_covariance(offset), wanted)
    differ(d_sigma_d_covariance(inverse[None], offset[None, None])[0, 0], wanted)


@equations(79, 80, 81, 82)
def test_sigma_by_the_mean():
    inverse, offset = one_pair()
    wanted = differences(lambda mean: 0.5 * (offset - mean) @ inverse @ (offset - mean), offset * 0)
    agree(d_sigma_d_mean(inverse[None], offset[None, None])[0, 0], wanted)
    column, row = -(inverse @ offset[:, None]), -(offset[None] @ inverse)
    agree(0.5 * (column + row.T), wanted[:, None])
    # As printed, a column is added to a row, which gives a matrix.
    assert (0.5 * (column + row)).shape == (3, 3)
    # Without symmetry the two are not one another's transposes.
    skewed = inverse + torch.triu(inverse.abs() + 1)
    general = differences(lambda mean: 0.5 * (offset - mean) @ skewed @ (offset - mean), offset * 0)
    agree(-0.5 * (skewed @ offset + skewed.T @ offset), general)
    differ(-skewed @ offset, general)


@equations(83, 84, 85)
def test_sigma_by_the_covariance():
    inverse, offset = one_pair()
    covariance = torch.linalg.inv(inverse)
    change = torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 1e-2

    def of_time(function):
        return differences(lambda t: function(torch.linalg.inv(covariance + t * change)), exact(0.0))

    agree(of_time(lambda x: x), -inverse @ change @ inverse)
    slope = of_time(lambda x: 0.5 * offset @ x @ offset)
    half = d_sigma_d_inverse_covariance(offset)
    agree((half * (-inverse @ change @ inverse)).sum(), slope)
    agree((-inverse.T @ half * (change @ inverse)).sum(), slope)
    agree((-inverse.T @ half @ inverse.T * change).sum(), slope)
    found = d_sigma_d_covariance(inverse[None], offset[None, None])[0, 0]
    agree(found, -inverse.T @ half @ inverse.T, 1e-12)
    agree((found * change).sum(), slope)


@equations(86, 87)
def test_the_differential_of_the_factor():
    random = torch.Generator().manual_seed(1)
    upstream, factor, change = torch.randn(3, 3, 3, generator=random, dtype=torch.float64)

    def of_time(t):
        moved = factor + t * change
        return (upstream * (moved @ moved.T)).sum()

    slope = differences(of_time, exact(0.0))
    agree((upstream * (change @ factor.T)).sum() + (upstream * (factor @ change.T)).sum(), slope)
    agree((upstream * (change @ factor.T)).sum() + (upstream.T * (change @ factor.T)).sum(), slope)
    agree(((upstream @ factor + upstream.T @ factor) * change).sum(), slope)
    agree((grad_factor_of_covariance(upstream[None], factor[None])[0] * change).sum(), slope)


@equations(88)
def test_rotation_matrix_once_more():
    for quat in gaussians(4)["quats"]:
        found = rotation_from_quats(quat[None])[0]
        agree(found @ found.T, torch.eye(3).double(), 1e-12)
        agree(torch.linalg.det(found), exact(1.0), 1e-12)
        w, x, y, z = quat / quat.norm()
        agree(found[0, 1], 2 * (x * y - w * z), 1e-12)
        agree(found[2], torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]))


def printed_matrices(w, x, y, z):
    """Eq. 89, 91, 92 and 93, without their factor 2."""
    return {
        "w": [[0, -z, y], [z, 0, -x], [-y, x, 0]],
        "x": [[0, y, z], [y, -2 * x, -w], [z, w, -2 * x]],
        "y": [[-2 * y, x, w], [x, 0, z], [-w, z, -2 * y]],
        "z": [[-2 * z, -w, x], [w, -2 * z, y], [x, y, 0]],
    }


@equations(89, 90, 91, 92, 93)
def test_the_four_matrices():
    for quat in normalised(gaussians(4)["quats"]):
        found = d_rotation_d_quat(quat[None])[0]
        printed = printed_matrices(*quat.tolist())
        for matrix, entries in zip(found, printed.values(), strict=True):
            agree(matrix, 2 * exact(entries), 1e-12)
        agree(found[0, 0, 1], -2 * quat[3], 1e-12)
        # Along the unit sphere they are the derivative of the rotation itself.
        turns = differences(lambda q: rotation_from_quats(q[None])[0], quat)
        across = torch.eye(4).double() - torch.outer(quat, quat)
        agree(torch.einsum("qij,qp->ijp", found, across), turns)
