"""Ray tracing along free rays: any origins and directions, in any order."""

# No future annotations: before torch 2.7, a signature given as text may name torch's own types only.
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ShapeError
from sfumato.ops.backend import Tensors, implementation, uses_definition
from sfumato.ops.colour import check_degree
from sfumato.ops.limits import limits_like
from sfumato.ops.operation import operation
from sfumato.ops.reference.trace_rays import trace_rays as definition


@operation("sfumato::hierarchy")
def _hierarchy(means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor) -> Tensors:
    return implementation("trace_rays", means).build(means, quats, scales, opacities)


@_hierarchy.register_fake
def _(means, quats, scales, opacities):
    return implementation("trace_rays", means).empty_tree(means)


@operation("sfumato::hierarchy_refit", mutates_args=("tree",))
def _refit(tree: Tensors, means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor) -> None:
    implementation("trace_rays", means).refit(tree, means, quats, scales, opacities)


@_refit.register_fake
def _(tree, means, quats, scales, opacities):
    return None


@dataclass(frozen=True)
class Hierarchy:
    """A bounding volume hierarchy over n Gaussians.

    Calls of :func:`trace_rays` can share one, which saves building it each time; it must be refitted
    whenever the Gaussians change. A rebuilt tree may be faster to trace than a refitted one; the image is
    the same.

    Attributes:
        arrays: opaque tensors of the backend; empty for float64, whose definition needs no tree.
        count: n.
    """

    arrays: list[Tensor]
    count: int

    @staticmethod
    def build(means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor) -> "Hierarchy":
        """Build the tree of Gaussians.

        Args:
            means, quats, scales, opacities: [n, 3], [n, 4], [n, 3], [n] as in :func:`trace_rays`.

        Returns:
            Hierarchy.

        Raises:
            ShapeError: a tensor has another shape, dtype or device.
        """
        gaussians = _checked(means, quats, scales, opacities)
        return Hierarchy([] if uses_definition(means) else _hierarchy(*gaussians), len(means))

    def refit(self, means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor) -> None:
        """Update the tree in place for new values of the same n Gaussians.

        Args:
            means, quats, scales, opacities: [n, 3], [n, 4], [n, 3], [n] as in :func:`trace_rays`.

        Raises:
            ShapeError: a tensor has another shape, dtype or device, or n differs from that of ``build``.
        """
        gaussians = _checked(means, quats, scales, opacities)
        self.check_count(means)
        if not uses_definition(means):
            _refit(self.arrays, *gaussians)

    def check_count(self, means: Tensor) -> None:
        """Check that the tree fits Gaussians by their number and dtype.

        Args:
            means: [n, 3].

        Raises:
            ShapeError: n or the dtype differs from that of ``build``.
        """
        if len(means) != self.count or bool(self.arrays) == uses_definition(means):
            kind = "float32" if self.arrays else "float64"
            raise ShapeError(
                f"the hierarchy is of {self.count} Gaussians in {kind}, not {len(means)} in {means.dtype}: "
                "build it anew"
            )


def _checked(means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor) -> list[Tensor]:
    check_shapes(
        like=means,
        means=(means, "n 3"),
        quats=(quats, "n 4"),
        scales=(scales, "n 3"),
        opacities=(opacities, "n"),
    )
    return [tensor.detach() for tensor in (means, quats, scales, opacities)]


@operation("sfumato::trace_rays")
def _trace_rays(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    features: Tensor,
    origins: Tensor,
    directions: Tensor,
    background: Tensor,
    tree: Tensors,
    limits: Tensor,
    degree: int,
) -> tuple[Tensor, Tensor, Tensor, Tensors]:
    return implementation("trace_rays", means).forward(
        means, features, origins, directions, background, tree, limits, degree
    )


@_trace_rays.register_fake
def _(means, quats, scales, opacities, features, origins, directions, background, tree, limits, degree):
    m = origins.shape[0]
    kept = implementation("trace_rays", means).kept(
        means, features, origins, directions, background, tree, limits, degree
    )
    return means.new_empty(m, background.shape[0]), means.new_empty(m), means.new_empty(m), kept


@operation("sfumato::trace_rays_backward")
def _trace_rays_backward(
    grads: Tensors,
    outputs: Tensors,
    kept: Tensors,
    inputs: Tensors,
    tree: Tensors,
    limits: Tensor,
    degree: int,
    with_rays: bool,
) -> Tensors:
    return implementation("trace_rays", inputs[0]).backward(
        grads, outputs, kept, inputs, tree, limits, degree, with_rays
    )


@_trace_rays_backward.register_fake
def _(grads, outputs, kept, inputs, tree, limits, degree, with_rays):
    return [*map(torch.empty_like, inputs), grads[0].new_empty(grads[0].shape[1])]


def _setup(ctx, inputs, output):
    *tensors, _, tree, limits, ctx.degree = inputs
    *outputs, kept = output
    ctx.mark_non_differentiable(*kept)
    ctx.num_kept = len(kept)
    ctx.save_for_backward(*outputs, *tensors, limits, *kept, *tree)


def _backward(ctx, *grads):
    outputs, inputs, limits = ctx.saved_tensors[:3], ctx.saved_tensors[3:10], ctx.saved_tensors[10]
    kept, tree = ctx.saved_tensors[11 : 11 + ctx.num_kept], ctx.saved_tensors[11 + ctx.num_kept :]
    with_rays = any(ctx.needs_input_grad[5:7])
    found = _trace_rays_backward(
        list(grads[:3]), list(outputs), list(kept), list(inputs), list(tree), limits, ctx.degree, with_rays
    )
    return *found, [None] * len(tree), None, None


_trace_rays.register_autograd(_backward, setup_context=_setup)


def trace_rays(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    features: Tensor,
    origins: Tensor,
    directions: Tensor,
    background: Tensor,
    *,
    near: float | Tensor,
    far: float | Tensor,
    degree: int | None = None,
    hierarchy: Hierarchy | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Blend Gaussians front to back along rays, each in its own order of distance.

    alpha = min(0.999, opacity * exp(-sigma)) at the point of maximum along the ray; a hit with alpha <
    1/255 or a distance outside [near, far] is skipped; a ray stops before the Gaussian that would bring
    its transmittance to 1e-4 or below. Invalid Gaussians (NaN, a scale of zero or less, a quaternion of
    zeros) and invalid rays (NaN, a direction of zeros) have no hits.

    Args:
        means: [n, 3] centres, world frame, scene units.
        quats: [n, 4] world_from_local as (w, x, y, z), any non-zero length.
        scales: [n, 3] standard deviations along the local axes, scene units.
        opacities: [n] peak opacities.
        features: [n, d] values to blend, or [n, k, 3] spherical harmonics, evaluated from each ray's
            origin.
        origins: [m, 3] of the rays, world frame, scene units.
        directions: [m, 3], any non-zero length; distances do not depend on it.
        background: [d] value behind everything; d is 3 for spherical harmonics.
        near, far: distances along the ray between which hits are kept, scene units; or [m], per ray.
        degree: of the spherical harmonics, 0 to 3; None where ``features`` are values.
        hierarchy: of these Gaussians; None: one is built for this call.

    Returns:
        image [m, d]; alpha [m], 1 - final transmittance; distance [m], the sum of weight * tau.

    Raises:
        ShapeError: a tensor has another shape, dtype or device, or the hierarchy is of other Gaussians.
        ConfigError: the degree is not 0 to 3, or there are too few coefficients for it.

    Gradients: all tensors. A hit clamped at 0.999 passes none to its sigma and opacity. None through the
        order, the skipping and the stop.

    Source: Deybach 2025, eq. 3 to 7 and 21; docs/equations.md.
    """
    sizes = check_shapes(
        like=means,
        means=(means, "n 3"),
        quats=(quats, "n 4"),
        scales=(scales, "n 3"),
        opacities=(opacities, "n"),
        features=(features, "n d" if degree is None else "n k 3"),
        origins=(origins, "m 3"),
        directions=(directions, "m 3"),
        background=(background, "d" if degree is None else "3"),
    )
    if degree is not None:
        check_degree(degree, sizes["k"])
    for name, limit in (("near", near), ("far", far)):
        if isinstance(limit, Tensor) and limit.ndim > 0 and limit.shape != origins.shape[:1]:
            raise ShapeError(f"{name} has shape {list(limit.shape)}, expected [{len(origins)}] or a number")
    if hierarchy is not None:
        hierarchy.check_count(means)
    if uses_definition(means):
        return definition(
            means, quats, scales, opacities, features, origins, directions, background,
            near=near, far=far, degree=degree,
        )  # fmt: skip
    shape = (tensor.detach() for tensor in (means, quats, scales, opacities))
    tree = _hierarchy(*shape) if hierarchy is None else hierarchy.arrays
    if degree is None:
        features = features[:, None]
    return _trace_rays(
        means, quats, scales, opacities, features, origins, directions, background, tree,
        limits_like(near, far, means), -1 if degree is None else degree,
    )[:3]  # fmt: skip
