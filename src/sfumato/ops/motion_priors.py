"""Priors on how neighbouring Gaussians move from one step of a video to the next."""

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ShapeError
from sfumato.ops import reference
from sfumato.ops.backend import implementation, uses_definition
from sfumato.ops.operation import operation


@operation("sfumato::motion_priors")
def _motion_priors(
    means: Tensor,
    quats: Tensor,
    previous_means: Tensor,
    previous_quats: Tensor,
    neighbours: Tensor,
    weights: Tensor,
    rest_distances: Tensor,
) -> Tensor:
    return implementation("motion_priors", means).forward(
        means, quats, previous_means, previous_quats, neighbours, weights, rest_distances
    )


@_motion_priors.register_fake
def _(means, quats, previous_means, previous_quats, neighbours, weights, rest_distances):
    return means.new_empty(3)


@operation("sfumato::motion_priors_backward")
def _motion_priors_backward(
    grad: Tensor,
    means: Tensor,
    quats: Tensor,
    previous_means: Tensor,
    previous_quats: Tensor,
    neighbours: Tensor,
    weights: Tensor,
    rest_distances: Tensor,
) -> tuple[Tensor, Tensor]:
    return implementation("motion_priors", means).backward(
        grad, means, quats, previous_means, previous_quats, neighbours, weights, rest_distances
    )


@_motion_priors_backward.register_fake
def _(grad, means, quats, previous_means, previous_quats, neighbours, weights, rest_distances):
    return torch.empty_like(means), torch.empty_like(quats)


def _setup(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _backward(ctx, grad):
    return *_motion_priors_backward(grad, *ctx.saved_tensors), None, None, None, None, None


_motion_priors.register_autograd(_backward, setup_context=_setup)


def motion_priors(
    means: Tensor,
    quats: Tensor,
    previous_means: Tensor,
    previous_quats: Tensor,
    neighbours: Tensor,
    weights: Tensor,
    rest_distances: Tensor,
) -> Tensor:
    """How far neighbours are from moving as one rigid body: local rigidity, rotation, isometry.

    Each is a mean over the Gaussians of a weighted sum over their neighbours of sqrt(|x|^2 + c^2) - c, with
    c ``constants.MOTION_TOLERANCE`` and x without a unit: lengths are divided by the mean rest distance.

    Args:
        means: [n, 3] in this step, world frame, scene units.
        quats: [n, 4] in this step, world_from_local as (w, x, y, z), any non-zero length.
        previous_means: [n, 3] in the previous step; no gradient.
        previous_quats: [n, 4] in the previous step; no gradient.
        neighbours: [n, k] int32 rows of the neighbours of each Gaussian, -1 for none.
        weights: [n, k] of the neighbours; a row sums to 1, or to less where edges are softened; no gradient.
        rest_distances: [n, k] distances of the neighbours in the first step, scene units; no gradient.

    Returns:
        [3] for three x: the change of a neighbour's position in the Gaussian's local frame since the previous
        step; the difference between the rotations of the two since then, as unit quaternions with the closer
        signs; the change of their distance since the first step. All are 0 without Gaussians or neighbours.

    Raises:
        ShapeError: a tensor has another shape, dtype or device, or a neighbour is not a row of ``means``.

    Gradients: means, quats (through their normalisation).

    Source: Luiten et al. 2024 (Dynamic 3D Gaussians), section 3.3; docs/operations.md names the differences.
    """
    check_shapes(
        like=means,
        means=(means, "n 3"),
        quats=(quats, "n 4"),
        previous_means=(previous_means, "n 3"),
        previous_quats=(previous_quats, "n 4"),
        weights=(weights, "n k"),
        rest_distances=(rest_distances, "n k"),
    )
    n, k = weights.shape
    check_shapes(neighbours=(neighbours, f"{n} {k}"))
    if neighbours.dtype != torch.int32 or neighbours.device != means.device:
        found = f"{neighbours.dtype} on {neighbours.device}"
        raise ShapeError(f"neighbours are {found}, expected torch.int32 on {means.device}")
    if neighbours.numel() and not -1 <= int(neighbours.min()) <= int(neighbours.max()) < n:
        raise ShapeError(f"neighbours name Gaussians outside 0 to {n - 1}, and none is -1")
    inputs = means, quats, previous_means, previous_quats, neighbours, weights, rest_distances
    return reference.motion_priors(*inputs) if uses_definition(means) else _motion_priors(*inputs)
