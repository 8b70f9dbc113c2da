"""Eq. 18 to 34 of the derivation: the gradient of each step, against finite differences."""

import torch

from sfumato.maths.quaternions import normalised, rotation_from_quats
from sfumato.ops.reference import response
from sfumato.ops.reference.blending_gradients import (
    contribution_behind,
    d_alpha_d_opacity,
    d_alpha_d_response,
    d_image_d_alpha,
    d_image_d_colour,
    d_response_d_sigma,
)
from sfumato.ops.reference.shape_gradients import (
    d_distance_d_covariance,
    d_distance_d_mean,
    d_rotation_d_quat,
    d_sigma_d_covariance,
    d_sigma_d_mean,
    grad_factor_of_covariance,
    grad_quats_of_rotation,
    grad_rotation_of_factor,
    grad_scales_of_factor,
)
from support.equation_scenes import (
    agree,
    by_hand,
    covariances_of,
    differ,
    differences,
    equations,
    exact,
    traced,
)
from support.op_scenes import gaussians


def hits(rays=3, n=5):
    """alpha [m, n], colours [m, n, 2] and background [2] of rays whose hits are in order."""
    random = torch.Generator().manual_seed(2)
    alpha = torch.rand(rays, n, generator=random, dtype=torch.float64) * 0.8 + 0.1
    return (
        alpha,
        torch.rand(rays, n, 2, generator=random, dtype=torch.float64),
        exact([0.3, 0.8]),
    )


def blended(alpha, colours, background):
    """Colour of each ray, summed hit by hit."""
    image, clear = torch.zeros(len(alpha), 2).double(), torch.ones(len(alpha)).double()
    for n in range(alpha.shape[1]):
        image = image + colours[:, n] * (alpha[:, n] * clear)[:, None]
        clear = clear * (1 - alpha[:, n])
    return image + clear[:, None] * background


def added_up_behind(alpha, colours, background):
    """S_n of eq. 20, with the background as the last contribution."""
    weight = d_image_d_colour(alpha)
    beyond = (1 - alpha).prod(1)[:, None] * background
    sums = [(weight[:, n + 1 :, None] * colours[:, n + 1 :]).sum(1) + beyond for n in range(alpha.shape[1])]
    return torch.stack(sums, 1)


def of_own_ray(jacobian):
    """[m, d, n, ...] of a Jacobian [m, d, m, n, ...]; between two rays it is zero."""
    rays = range(jacobian.shape[0])
    assert not any(jacobian[i, :, j].any() for i in rays for j in rays if i != j)
    return torch.stack([jacobian[i, :, i] for i in rays])


@equations(18)
def test_image_by_colour():
    alpha, colours, background = hits()
    found = of_own_ray(differences(lambda c: blended(alpha, c, background), colours))
    for channel in range(2):
        for other in range(2):
            wanted = d_image_d_colour(alpha) * (channel == other)
            agree(found[:, channel, :, other], wanted)


@equations(19, 20, 21)
def test_image_by_alpha():
    alpha, colours, background = hits()
    image = blended(alpha, colours, background)
    behind = contribution_behind(image, colours, d_image_d_colour(alpha))
    agree(behind, added_up_behind(alpha, colours, background), 1e-12)
    wanted = of_own_ray(differences(lambda a: blended(a, colours, background), alpha)).transpose(1, 2)
    agree(d_image_d_alpha(colours, alpha, behind), wanted)
    # As printed, eq. 20 omits the background, which makes the gradient wrong if there is one.
    without = added_up_behind(alpha, colours, torch.zeros(2).double())
    differ(d_image_d_alpha(colours, alpha, without), wanted)


@equations(22, 23, 24)
def test_alpha_by_opacity_and_response():
    opacities = exact([0.3, 0.9])
    sigma = exact([[0.2, 1.4], [2.0, 0.0]])
    by_opacity = differences(lambda o: o * torch.exp(-sigma), opacities)
    agree(by_opacity.diagonal(dim1=1, dim2=2), d_alpha_d_opacity(sigma))
    by_response = differences(lambda g: opacities * g, torch.exp(-sigma[0]))
    agree(by_response, torch.diag(d_alpha_d_response(opacities)))
    by_sigma = differences(lambda s: torch.exp(-s), sigma[0])
    agree(by_sigma.diagonal(), d_response_d_sigma(sigma[0]))
    agree(d_response_d_sigma(sigma), -d_alpha_d_opacity(sigma), 1e-12)


def sigma_at(points, means, inverse):
    offset = points - means
    return 0.5 * torch.einsum("mni,nij,mnj->mn", offset, inverse, offset)


def of_own_gaussian(jacobian):
    """[m, n, ...] of a Jacobian [m, n, n, ...]; between two Gaussians it is zero."""
    each = range(jacobian.shape[1])
    assert not any(jacobian[:, n, k].any() for n in each for k in each if n != k)
    return torch.stack([jacobian[:, n, n] for n in each], 1)


@equations(25)
def test_sigma_by_mean_with_the_point_fixed_and_with_it_moving():
    scene = traced(4, 3)
    here = by_hand(scene)
    found = d_sigma_d_mean(here.inverse, here.offset)
    points = here.offset + scene["means"]
    fixed = differences(lambda means: sigma_at(points, means, here.inverse), scene["means"])
    agree(found, of_own_gaussian(fixed))

    def moving(means):
        unit = normalised(scene["directions"])
        return response(means, scene["quats"], scene["scales"], scene["origins"], unit).sigma

    agree(found, of_own_gaussian(differences(moving, scene["means"])))
    # The distance itself does move.
    slope = of_own_gaussian(differences(lambda means: by_hand(scene, means=means).tau, scene["means"]))
    agree(d_distance_d_mean(here.inverse, normalised(scene["directions"])), slope)


@equations(26)
def test_sigma_by_covariance_with_the_point_fixed_and_with_it_moving():
    scene = traced(4, 3)
    here, covariances = by_hand(scene), covariances_of(scene)
    found = d_sigma_d_covariance(here.inverse, here.offset)
    points = here.offset + scene["means"]

    def fixed(moved):
        return sigma_at(points, scene["means"], torch.linalg.inv(moved))

    small = {"step": 1e-4 * covariances.abs().max().item()}
    agree(found, of_own_gaussian(differences(fixed, covariances, **small)), 1e-6)
    moving = differences(lambda moved: by_hand(scene, moved).sigma, covariances, **small)
    agree(found, of_own_gaussian(moving), 1e-6)
    slope = of_own_gaussian(differences(lambda moved: by_hand(scene, moved).tau, covariances, **small))
    agree(d_distance_d_covariance(here.inverse, here.offset, normalised(scene["directions"])), slope, 1e-6)


@equations(27)
def test_factor_of_the_covariance():
    random = torch.Generator().manual_seed(4)
    upstream, factor = torch.randn(2, 4, 3, 3, generator=random, dtype=torch.float64)
    # F need not be symmetric: both terms count.
    wanted = differences(lambda m: (upstream * (m @ m.transpose(1, 2))).sum(), factor)
    agree(grad_factor_of_covariance(upstream, factor), wanted)
    differ(2 * upstream @ factor, wanted)


def rotation_as_printed(quat):
    """Eq. 10, whatever the length."""
    w, x, y, z = quat
    return torch.stack(
        [
            torch.stack([1 - 2 * (y**2 + z**2), 2 * (x * y - w * z), 2 * (x * z + w * y)]),
            torch.stack([2 * (x * y + w * z), 1 - 2 * (x**2 + z**2), 2 * (y * z - w * x)]),
            torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x**2 + y**2)]),
        ]
    )


@equations(28, 29, 30, 31)
def test_rotation_by_each_number_of_the_quaternion():
    quats = normalised(gaussians(4)["quats"])
    found = d_rotation_d_quat(quats)
    for quat, changes in zip(quats, found, strict=True):
        agree(changes.permute(1, 2, 0), differences(rotation_as_printed, quat))
    # These are gradients of the polynomials: with normalisation, only the component orthogonal to q remains.
    upstream = torch.randn(4, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for length in (1.0, 0.4):
        wanted = differences(lambda q: (upstream * rotation_from_quats(q)).sum(), quats * length)
        agree(grad_quats_of_rotation(upstream, quats * length), wanted)
        differ(torch.einsum("nij,nqij->nq", upstream, found), wanted)


@equations(32, 33, 34)
def test_scale_matrix_by_each_scale():
    scales = gaussians(4)["scales"]
    found = differences(torch.diag, scales[0])
    kronecker = exact([[1.0 if i == j else 0.0 for j in range(3)] for i in range(3)])
    for axis in range(3):
        # One entry, not the whole identity, which is the sum of the three.
        agree(found[..., axis], torch.outer(kronecker[axis], kronecker[axis]))
        differ(found[..., axis], kronecker)
    agree(found.sum(-1), kronecker)

    rotations = rotation_from_quats(gaussians(4)["quats"])
    upstream = torch.randn(4, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = differences(lambda s: (upstream * (rotations * s[:, None, :])).sum(), scales)
    agree(grad_scales_of_factor(upstream, rotations), wanted)
    traces = torch.einsum("nij,nij->n", rotations, upstream)
    differ(traces[:, None].expand(-1, 3), wanted)
    by_rotation = differences(lambda r: (upstream * (r @ torch.diag_embed(scales))).sum(), rotations)
    agree(grad_rotation_of_factor(upstream, scales), by_rotation)
