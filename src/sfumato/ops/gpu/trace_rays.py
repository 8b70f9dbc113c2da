"""Ray tracing of free rays through a tree of the Gaussians."""

from __future__ import annotations

import torch

from sfumato.ops.gpu import hull_tree
from sfumato.ops.gpu.hull_tree import HullTree
from sfumato.ops.gpu.ray_passes import RayOutputGradients, RayScene, blended, gradients, pack


def build(means, quats, scales, opacities):
    """Tree of the Gaussians, as tensors."""
    return list(hull_tree.build(means, quats, scales, opacities, *_free(means)))


def empty_tree(means):
    """Empty tensors with the shapes of those of ``build``."""
    return [means.new_empty(shape, dtype=dtype) for shape, dtype in hull_tree.layout(means.shape[0])]


def refit(tree, means, quats, scales, opacities):
    """Update the tree in place for new values of the same Gaussians."""
    hull_tree.refit(HullTree(*tree), means, quats, scales, opacities, *_free(means))


def forward(means, features, origins, directions, background, tree, limits, degree):
    """See sfumato.ops.trace_rays; saves the number of hits of each ray for the gradient."""
    scene = RayScene(HullTree(*tree), features.contiguous(), degree, means.new_empty(0))
    *outputs, hits, _ = blended(scene, pack(origins, directions, limits), background, 0)
    return *outputs, [hits]


def kept(means, features, origins, directions, background, tree, limits, degree):
    """Empty tensor with the shape of the number of hits."""
    return [means.new_empty(origins.shape[0], dtype=torch.int32)]


def backward(grads, outputs, kept, inputs, tree, limits, degree, with_rays):
    """Gradients to the inputs: means, quats, scales, opacities, features, origins, directions, background."""
    means, quats, scales, _, features, origins, directions = inputs
    scene = RayScene(HullTree(*tree), features.contiguous(), degree, means.new_empty(0))
    rays = pack(origins, directions, limits)
    upstream = RayOutputGradients(tuple(grads), tuple(outputs), *kept)
    found = gradients(scene, (quats, scales), rays, upstream, with_rays=with_rays)
    to_origins, to_directions = torch.zeros_like(origins), torch.zeros_like(directions)
    if with_rays:
        to_origins = found.rays[:, :3].contiguous()
        unit, along = rays[:, 3:6].to(directions.dtype), found.rays[:, 3:]
        length = directions.norm(dim=1, keepdim=True)
        across = along - (along * unit).sum(1, keepdim=True) * unit
        to_directions = torch.where(unit.any(1, keepdim=True), across / length, 0.0)
    to_background = ((1 - outputs[1].double())[:, None] * grads[0]).sum(0)
    return *found[:5], to_origins, to_directions, to_background.to(means.dtype)


def _free(means):
    """No common origin, and no common order."""
    return means.new_zeros(3), means.new_empty(0)
