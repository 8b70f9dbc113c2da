"""Eq. 37 to 49 of the derivation: each gradient of the loss, by formula and by finite differences."""

import pytest
import torch

from sfumato.maths.quaternions import rotation_from_quats
from sfumato.ops.reference import trace
from sfumato.ops.reference.ray_gradients import trace_backward
from sfumato.ops.reference.shape_gradients import (
    d_sigma_d_covariance,
    grad_factor_of_covariance,
    grad_quats_of_rotation,
    grad_scales_of_factor,
)
from support.equation_scenes import (
    WHOLE,
    agree,
    by_hand,
    covariances_of,
    differ,
    differences,
    equations,
    image_weights,
    traced,
)


def loss(scene, **changed):
    return (trace(**{**scene, **changed}, **WHOLE)[0] * image_weights(scene)).sum()


def gradients(scene):
    """All gradients of ``loss`` by formula."""
    none = torch.zeros(len(scene["origins"]), dtype=torch.float64)
    return trace_backward(image_weights(scene), none, none, **scene, **WHOLE)


def grad_alpha(scene):
    """[m, n] sum over channels of dL/dC (c_n T_n - S_n / (1 - alpha_n)), the common factor."""
    here = by_hand(scene)
    change = scene["colours"] * here.before[..., None] - here.behind / (1 - here.alpha)[..., None]
    return (image_weights(scene)[:, None] * change).sum(-1)


def grad_covariances(scene):
    """[m, n, 3, 3] eq. 47 of each ray, not yet summed."""
    here = by_hand(scene)
    pulled = torch.einsum("nij,mnj->mni", here.inverse, here.offset)
    outer = -0.5 * pulled[..., :, None] * pulled[..., None, :]
    factor = grad_alpha(scene) * scene["opacities"] * -here.response
    return factor[..., None, None] * outer


def factors(scene):
    return rotation_from_quats(scene["quats"]) @ torch.diag_embed(scene["scales"])


def loss_of_covariances(scene, covariances):
    return (by_hand(scene, covariances).image * image_weights(scene)).sum()


@equations(37, 38)
def test_gradient_of_quaternions():
    scene = traced()
    found = gradients(scene).quats
    agree(found, differences(lambda moved: loss(scene, quats=moved), scene["quats"]))
    # The inner product of dL/dR with dR/dq_j; the printed form is a matrix product.
    grad_covariance = grad_covariances(scene).sum(0)
    grad_factor = (grad_covariance + grad_covariance.transpose(1, 2)) @ factors(scene)
    grad_rotation = grad_factor @ torch.diag_embed(scene["scales"])
    agree(grad_quats_of_rotation(grad_rotation, scene["quats"]), found)
    for n, quat in enumerate(scene["quats"]):
        turns = differences(lambda q: rotation_from_quats(q[None])[0], quat)
        agree(found[n], torch.einsum("ij,ijq->q", grad_rotation[n], turns))
    # The length has no effect, so the gradient has no component along it.
    assert (found * scene["quats"]).sum(1).abs().max() < 1e-12


@equations(39, 40)
def test_gradient_of_scales():
    scene = traced()
    found = gradients(scene).scales
    agree(found, differences(lambda moved: loss(scene, scales=moved), scene["scales"]))
    grad_covariance = grad_covariances(scene).sum(0)
    grad_factor = (grad_covariance + grad_covariance.transpose(1, 2)) @ factors(scene)
    turned_back = rotation_from_quats(scene["quats"]).transpose(1, 2) @ grad_factor
    agree(found, torch.stack([turned_back[:, j, j] for j in range(3)], 1))
    agree(grad_scales_of_factor(grad_factor, rotation_from_quats(scene["quats"])), found)
    # With the printed identity for dS/ds_j every axis would have the same gradient.
    differ(turned_back.diagonal(dim1=1, dim2=2).sum(1, keepdim=True).expand(-1, 3), found)


@equations(41, 42)
def test_gradient_of_means():
    scene = traced()
    found, here = gradients(scene), by_hand(scene)
    agree(found.means, differences(lambda moved: loss(scene, means=moved), scene["means"]))
    pulled = torch.einsum("nij,mnj->mni", here.inverse, here.offset)
    terms = (grad_alpha(scene) * scene["opacities"] * here.response)[..., None] * pulled
    agree(found.means, terms.sum(0))
    # The printed form is for one ray, not for a picture.
    differ(terms[0], found.means)
    # The same terms, summed over Gaussians, are the gradient of the rays' origins.
    agree(found.origins, -terms.sum(1))
    agree(found.origins, differences(lambda moved: loss(scene, origins=moved), scene["origins"]))


@equations(43, 44)
def test_gradient_of_opacities():
    scene = traced()
    found, here = gradients(scene).opacities, by_hand(scene)
    agree(found, differences(lambda moved: loss(scene, opacities=moved), scene["opacities"]))
    agree(found, (grad_alpha(scene) * torch.exp(-here.sigma)).sum(0))
    # As printed.
    differ((grad_alpha(scene) * (1 - torch.exp(-here.sigma))).sum(0), found)


@equations(45, 46)
@pytest.mark.slow
def test_gradient_of_colours():
    weights = image_weights(traced())
    for own_colours in (False, True):
        scene = traced(own_colours=own_colours)
        found, here = gradients(scene).colours, by_hand(scene)
        agree(found, differences(lambda moved: loss(scene, colours=moved), scene["colours"]))  # noqa: B023
        # Summed over rays where they share the colour; never over channels.
        terms = weights[:, None] * (here.alpha * here.before)[..., None]
        agree(found, terms if own_colours else terms.sum(0))
        if not own_colours:
            differ(terms[0], found)


@equations(47)
def test_gradient_of_covariances():
    scene = traced()
    covariances, here = covariances_of(scene), by_hand(scene)
    small = {"step": 1e-4 * covariances.abs().max().item()}
    found = differences(lambda moved: loss_of_covariances(scene, moved), covariances, **small)
    agree(grad_covariances(scene).sum(0), found, 1e-6)
    of_sigma = d_sigma_d_covariance(here.inverse, here.offset)
    grad_sigma = grad_alpha(scene) * scene["opacities"] * -here.response
    agree(torch.einsum("mn,mnij->nij", grad_sigma, of_sigma), found, 1e-6)


@equations(48, 49)
def test_gradient_of_the_factor():
    scene = traced()

    def of_factor(factor):
        return loss_of_covariances(scene, factor @ factor.transpose(1, 2))

    small = {"step": 1e-4 * scene["scales"].max().item()}
    wanted = differences(of_factor, factors(scene), **small)
    grad_covariance = grad_covariances(scene).sum(0)
    agree(grad_factor_of_covariance(grad_covariance, factors(scene)), wanted, 1e-6)
    # Spelt out, with both minus signs cancelled.
    here = by_hand(scene)
    pulled = torch.einsum("nij,mnj->mni", here.inverse, here.offset)
    halves = 0.5 * pulled[..., :, None] * pulled[..., None, :]
    shared = (grad_alpha(scene) * scene["opacities"] * here.response)[..., None, None]
    bracket = (shared * halves).sum(0)
    agree(bracket @ factors(scene) + bracket.transpose(1, 2) @ factors(scene), wanted, 1e-6)
