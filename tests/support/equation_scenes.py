"""Annotation of tests with equations, finite differences, and a scene of a few Gaussians and rays."""

import torch

from sfumato.maths.quaternions import rotation_from_quats
from support.op_scenes import gaussians

WHOLE = {"near": 0.0, "far": 1e10, "alpha_min": 0.0, "transmittance_stop": 0.0}


def equations(*numbers):
    """Mark a test with the equations of docs/equations.md that it checks, for test_equation_table."""

    def unchanged(test):
        return test

    assert all(1 <= number <= 93 for number in numbers)
    return unchanged


def exact(values):
    """A float64 tensor."""
    return torch.tensor(values, dtype=torch.float64)


def differences(function, x, step=1e-3):
    """Jacobian [*function(x).shape, *x.shape] by fourth-order central differences."""
    columns = []
    for index in range(x.numel()):
        column = 0.0
        for shift, factor in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            moved = x.clone(memory_format=torch.contiguous_format)
            moved.view(-1)[index] += shift * step
            column = column + factor * function(moved) / (12 * step)
        columns.append(column)
    return torch.stack(columns, -1).reshape((*columns[0].shape, *x.shape))


def agree(found, wanted, tolerance=1e-8):
    """Equal up to ``tolerance`` of the largest wanted value."""
    assert found.shape == wanted.shape
    error = (found - wanted).abs().max().item()
    assert error <= tolerance * wanted.abs().max().clamp_min(1e-3).item(), f"off by {error:.2e}"


def differ(found, wanted, least=1e-2):
    """Check that values differ by at least ``least`` of the largest wanted value: a printed form is wrong."""
    assert (found - wanted).abs().max() > least * wanted.abs().max()


def traced(n=7, m=5, seed=3, own_colours=False):
    """Inputs of ``trace`` by name: overlapping Gaussians, rays through them in several directions."""
    scene = gaussians(n, seed=seed)
    random = torch.Generator().manual_seed(seed)
    aims = scene["means"][torch.arange(m) % n]
    origins = torch.randn(m, 3, generator=random, dtype=torch.float64) * 0.3
    aims = aims + torch.randn(m, 3, generator=random, dtype=torch.float64) * 0.15
    colours = torch.rand(*((m,) if own_colours else ()), n, 3, generator=random, dtype=torch.float64)
    return {
        **{name: scene[name] for name in ("means", "quats", "opacities")},
        "scales": scene["scales"] * 2,
        "colours": colours,
        "origins": origins,
        "directions": (aims - origins) * 1.7,
        "background": exact([0.2, 0.5, 0.9]),
    }


class ByHand:
    """Eq. 1 and 3 to 7 written out in full for every ray and Gaussian, from covariances.

    Attributes:
        inverse: [n, 3, 3] inverse covariances.
        tau, sigma, response, alpha: [m, n] as the equations have them, alpha without a bound.
        offset: [m, n, 3] from the mean to the point of maximum.
        before: [m, n] transmittance in front of each Gaussian.
        behind: [m, n, d] contribution of everything behind each Gaussian, including the background.
        image: [m, d].
    """

    def __init__(self, covariances, means, opacities, colours, origins, directions, background):
        unit = directions / directions.norm(dim=1, keepdim=True)
        self.inverse = torch.linalg.inv(covariances)
        to_mean = means - origins[:, None]
        pulled = torch.einsum("nij,mj->mni", self.inverse, unit)
        self.tau = (to_mean * pulled).sum(-1) / (unit[:, None] * pulled).sum(-1)
        self.offset = self.tau[..., None] * unit[:, None] - to_mean
        self.sigma = 0.5 * torch.einsum("mni,nij,mnj->mn", self.offset, self.inverse, self.offset)
        self.response = torch.exp(-self.sigma)
        self.alpha = opacities * self.response
        nearer = self.tau[:, None, :] < self.tau[:, :, None]
        self.before = torch.where(nearer, 1 - self.alpha[:, None, :], 1.0).prod(-1)
        contributions = (self.alpha * self.before)[..., None] * colours
        beyond = (1 - self.alpha).prod(1)[:, None] * background
        self.image = contributions.sum(1) + beyond
        self.behind = torch.einsum("mna,mad->mnd", nearer.transpose(1, 2).double(), contributions)
        self.behind = self.behind + beyond[:, None]


def covariances_of(scene):
    """[n, 3, 3] R S S^T R^T with S a matrix."""
    factors = rotation_from_quats(scene["quats"]) @ torch.diag_embed(scene["scales"])
    return factors @ factors.transpose(1, 2)


def by_hand(scene, covariances=None, **changed):
    """:class:`ByHand` of the inputs of ``trace``, some of them changed."""
    scene = {**scene, **changed}
    names = ("means", "opacities", "colours", "origins", "directions", "background")
    given = covariances_of(scene) if covariances is None else covariances
    return ByHand(given, *(scene[name] for name in names))


def image_weights(scene):
    """dL/dC [m, 3] of a loss that is linear in the image."""
    random = torch.Generator().manual_seed(11)
    return torch.randn(len(scene["origins"]), 3, generator=random, dtype=torch.float64)
