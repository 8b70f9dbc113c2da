"""Eq. 1 to 10, 35 and 36 of the derivation: colour along a ray, and the shape of a Gaussian."""

import torch

from sfumato.maths.covariances import covariance_matrices, unpack_symmetric
from sfumato.maths.quaternions import rotation_from_quats
from sfumato.maths.sh import sh_basis
from sfumato.ops.reference import colour, covariance, response, trace
from sfumato.ops.reference.blending_gradients import transmittance_before
from sfumato.ops.reference.parameter_gradients import grad_sh
from sfumato.ops.reference.trace import local_from_world
from support.equation_scenes import WHOLE, agree, by_hand, differ, differences, equations, exact, traced
from support.op_scenes import gaussians

CENTRE = exact([0.2, -0.4, -1.0])


def of_pairs(scene):
    """The response of each Gaussian along each ray, with the rays' unit directions."""
    unit = scene["directions"] / scene["directions"].norm(dim=1, keepdim=True)
    shapes = (scene[name] for name in ("means", "quats", "scales", "origins"))
    return response(*shapes, unit), unit


@equations(1, 36)
def test_what_a_ray_sees():
    scene = traced(own_colours=True)
    image, alpha, _ = trace(**scene, **WHOLE)
    agree(image, by_hand(scene).image, 1e-12)
    agree(alpha, by_hand(scene, colours=torch.ones(7, 1), background=exact([0.0])).image[:, 0], 1e-12)


@equations(2)
def test_colour_is_the_sigmoid_of_spherical_harmonics():
    scene = gaussians(5)
    unit = scene["means"] - CENTRE
    unit = unit / unit.norm(dim=1, keepdim=True)
    basis = sh_basis(unit, 3)

    def seen(sh):
        return colour(sh, scene["means"], CENTRE, 3, form="sh-sigmoid")

    for n in range(5):
        total = sum(scene["sh"][n, k] * basis[n, k] for k in range(16))
        agree(seen(scene["sh"])[n], 1 / (1 + torch.exp(-total)))
    upstream = torch.linspace(-1, 1, 15, dtype=torch.float64).reshape(5, 3)
    found = grad_sh(upstream, seen(scene["sh"]), basis, "sh-sigmoid")
    agree(found, differences(lambda sh: (seen(sh) * upstream).sum(), scene["sh"]))


def through_the_centre(opacity, sideways):
    """Alpha of an isotropic Gaussian for a ray that passes at the given distance in standard deviations."""
    eye = torch.eye(3, dtype=torch.float64)
    found = trace(
        eye[2:] * 3, exact([[1.0, 0, 0, 0]]), torch.ones(1, 3).double() * 0.5,
        exact([opacity]), eye[:1], eye[:1] * 0.5 * sideways, eye[2:], eye[0] * 0, **WHOLE,
    )  # fmt: skip
    return found[1].item()


@equations(3)
def test_alpha_is_not_what_is_printed():
    def printed(opacity, sigma):
        return opacity * (1 - torch.exp(-sigma))

    opacity, sigma = exact(0.7), exact(0.4)
    # Its own derivatives are not those of eq. 22 and 23.
    differ(differences(lambda o: printed(o, sigma), opacity), torch.exp(-sigma))
    by_response = differences(lambda g: printed(opacity, -torch.log(g)), torch.exp(-sigma))
    agree(by_response, -opacity)
    # With it, a Gaussian would be transparent at its centre and opaque far away.
    for sideways in (0.0, 1.0, 3.0):
        wanted = 0.7 * torch.exp(exact(-0.5 * sideways**2))
        agree(exact(through_the_centre(0.7, sideways)), wanted)
    assert printed(opacity, exact(0.0)) == 0
    # The bound at 0.999 acts on alpha.
    assert through_the_centre(1.0, 0.0) == 0.999


@equations(4)
def test_transmittance_is_the_product_of_what_is_in_front():
    alpha = torch.rand(3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = transmittance_before(alpha)
    for n in range(6):
        wanted = torch.ones(3).double()
        for j in range(n):
            wanted = wanted * (1 - alpha[:, j])
        agree(found[:, n], wanted, 1e-12)
    passed = by_hand(traced(), background=torch.ones(3).double(), colours=torch.zeros(7, 3))
    agree(trace(**traced(), **WHOLE)[1], 1 - passed.image[:, 0], 1e-12)


@equations(5, 35)
def test_response_at_a_point():
    scene = traced()
    found, unit = of_pairs(scene)
    inverse = torch.linalg.inv(unpack_symmetric(covariance(scene["quats"], scene["scales"])))
    for i in range(5):
        for n in range(7):
            offset = scene["origins"][i] + found.distance[i, n] * unit[i] - scene["means"][n]
            agree(torch.exp(-found.sigma[i, n]), torch.exp(-0.5 * offset @ inverse[n] @ offset), 1e-12)


@equations(6)
def test_the_point_on_the_ray_is_where_the_response_is_greatest():
    scene = traced()
    found, unit = of_pairs(scene)
    wanted = by_hand(scene)

    def sigma_at(tau):
        offset = scene["origins"][:, None] + tau[..., None] * unit[:, None] - scene["means"]
        return 0.5 * torch.einsum("mni,nij,mnj->mn", offset, wanted.inverse, offset)

    agree(found.sigma, sigma_at(found.distance), 1e-12)
    for step in (-0.3, -1e-3, 1e-3, 0.3):
        assert (sigma_at(found.distance + step) > found.sigma).all()


@equations(7)
def test_both_forms_of_the_distance():
    scene = traced()
    found, unit = of_pairs(scene)
    agree(found.distance, by_hand(scene).tau, 1e-12)
    to_local = local_from_world(scene["quats"], scene["scales"])
    for i in range(5):
        for n in range(7):
            rotation = rotation_from_quats(scene["quats"][n : n + 1])[0]
            shrink = torch.diag(1 / scene["scales"][n]) @ rotation.T
            agree(to_local[n], shrink, 1e-12)
            origin, along = shrink @ (scene["origins"][i] - scene["means"][n]), shrink @ unit[i]
            # A scalar, not a position as the caption says.
            agree(found.distance[i, n], -(origin @ along) / (along @ along), 1e-12)


@equations(8, 9)
def test_covariance_from_rotation_and_scales():
    scene = gaussians(5)
    found = unpack_symmetric(covariance(scene["quats"], scene["scales"]))
    rotations = rotation_from_quats(scene["quats"])
    agree(covariance_matrices(rotations, scene["scales"]), found, 1e-12)
    for n in range(5):
        scales = torch.zeros(3, 3).double()
        for axis in range(3):
            scales[axis, axis] = scene["scales"][n, axis]
        factor = rotations[n] @ scales
        agree(found[n], rotations[n] @ scales @ scales.T @ rotations[n].T, 1e-12)
        agree(found[n], rotations[n] @ scales @ scales @ rotations[n].T, 1e-12)
        agree(found[n], factor @ factor.T, 1e-12)


def product(a, b):
    """Hamilton's product of two quaternions."""
    scalar = a[0] * b[0] - a[1:] @ b[1:]
    return torch.cat([scalar[None], a[0] * b[1:] + b[0] * a[1:] + torch.linalg.cross(a[1:], b[1:])])


@equations(10)
def test_rotation_of_a_quaternion():
    for quat in gaussians(5)["quats"]:
        found = rotation_from_quats(quat[None])[0]
        unit = quat / quat.norm()
        back = unit * torch.tensor([1, -1, -1, -1])
        for axis in torch.eye(3, dtype=torch.float64):
            turned = product(product(unit, torch.cat([torch.zeros(1).double(), axis])), back)
            agree(found @ axis, turned[1:], 1e-12)
