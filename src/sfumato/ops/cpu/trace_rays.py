"""Ray tracing of free rays through a bounding volume hierarchy of the Gaussians."""

import torch

from sfumato.ops.cpu.arrays import as_array, as_tensors
from sfumato.ops.cpu.free_trace import tree as trees
from sfumato.ops.cpu.free_trace.batches import trace_rays_backward, trace_rays_forward
from sfumato.ops.cpu.free_trace.gather import Shapes
from sfumato.ops.cpu.free_trace.rays import FreeOutputGradients, FreeOutputs, FreeRays
from sfumato.ops.cpu.free_trace.shade import Shading


def build(means, quats, scales, opacities):
    """Tree of the Gaussians, as tensors."""
    return as_tensors(trees.build(*map(as_array, (means, quats, scales, opacities))))


def empty_tree(means):
    """Empty tensors with the shapes of those of ``build``."""
    shapes, dtypes = trees.layout(means.shape[0])
    return [means.new_empty(shape, dtype=dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]


def refit(tree, means, quats, scales, opacities):
    """Update the tree in place for new values of the same Gaussians."""
    trees.refit(_tree(tree), *map(as_array, (means, quats, scales, opacities)))


def forward(means, features, origins, directions, background, tree, limits, degree):
    """See sfumato.ops.trace_rays; saves the number of hits of each ray for the gradient."""
    shading = Shading(as_array(means), as_array(features), degree)
    rays = FreeRays(*map(as_array, (origins, directions, limits)))
    *outputs, hits = trace_rays_forward(_tree(tree), shading, rays, as_array(background))
    return *as_tensors(outputs), as_tensors([hits])


def kept(means, features, origins, directions, background, tree, limits, degree):
    """Empty tensor with the shape of the number of hits."""
    return [means.new_empty(origins.shape[0], dtype=torch.int32)]


def backward(grads, outputs, kept, inputs, tree, limits, degree, with_rays):
    """Gradients to the inputs: means, quats, scales, opacities, features, origins, directions, background."""
    means, quats, scales, _, features, origins, directions = map(as_array, inputs)
    shading = Shading(means, features, degree)
    rays = FreeRays(origins, directions, as_array(limits))
    results = FreeOutputs(*map(as_array, (*outputs, *kept)))
    upstream = FreeOutputGradients(*map(as_array, grads))
    return as_tensors(
        trace_rays_backward(_tree(tree), shading, Shapes(quats, scales), rays, results, upstream, with_rays)
    )


def _tree(tensors):
    return trees.Tree(*map(as_array, tensors))
