"""Ray tracing of an image of rays: the same rays as free ones, in blocks of neighbouring pixels."""

from __future__ import annotations

import torch

from sfumato.ops.gpu import hull_tree
from sfumato.ops.gpu.hull_tree import HullTree
from sfumato.ops.gpu.kernels.ray_blending import RAY
from sfumato.ops.gpu.ray_passes import PLAIN, RayOutputGradients, RayScene, blended, gradients, pack

_TREE = len(HullTree._fields)


def forward(
    means, quats, scales, opacities, colours, eye, directions, offsets, background, depths, limits, distances
):
    """See sfumato.ops.trace; ``limits`` are the near and far distance."""
    height, width = directions.shape[:2]
    # The largest finite numbers instead of infinite ones, which mark places without a hit.
    depths = depths.nan_to_num(torch.finfo(depths.dtype).max).contiguous()
    tree = hull_tree.build(means, quats, scales, opacities, eye, depths)
    origins = offsets.reshape(-1, 3) if offsets.numel() else means.new_zeros(1, 3)
    rays = pack(origins, directions.reshape(-1, 3), limits)
    scene = RayScene(tree, colours[:, None].contiguous(), PLAIN, depths)
    image, alpha, distance, hits, visible = blended(scene, rays, background, width)
    distance = distance.reshape(height, width) if distances else means.new_empty(0, 0)
    image, alpha = image.reshape(height, width, image.shape[1]), alpha.reshape(height, width)
    return image, alpha, distance, visible, [*tree, depths, rays, hits]


def kept(
    means, quats, scales, opacities, colours, eye, directions, offsets, background, depths, limits, distances
):
    """Empty tensors with the shapes of the tree, the depths, the rays and their numbers of hits."""
    tree = [means.new_empty(shape, dtype=dtype) for shape, dtype in hull_tree.layout(means.shape[0])]
    m = directions.shape[0] * directions.shape[1]
    rays = means.new_empty(m, RAY.value, dtype=torch.float64)
    return [*tree, torch.empty_like(depths), rays, means.new_empty(m, dtype=torch.int32)]


def backward(grads, outputs, kept, shape, colours, background, limits, exact, with_rays, absolute):
    """Gradients to means, quats, scales, opacities, colours, the probe and the rays [h, w, 6].

    ``shape`` are quats, scales and opacities.
    """
    (height, width), (depths, rays, hits) = grads[1].shape, kept[_TREE:]
    scene = RayScene(HullTree(*kept[:_TREE]), colours[:, None].contiguous(), PLAIN, depths)
    upstream = RayOutputGradients(*(_flat(three) for three in (grads, outputs)), hits)
    found = gradients(scene, shape[:2], rays, upstream, width=width, with_rays=with_rays, absolute=absolute)
    lengths = found.lengths if absolute else torch.zeros_like(shape[2])
    of_rays = grads[1].new_zeros(0, 0, 6)
    if with_rays:
        # Directions first.
        of_rays = found.rays.roll(3, 1).reshape(height, width, 6)
    return [*found[:4], found.features[:, 0].contiguous(), lengths, of_rays]


def _flat(three):
    """Image, alpha and distance of rays in a row; zeros for distances that were not computed."""
    image, alpha, distance = three
    distance = distance if distance.numel() else torch.zeros_like(alpha)
    return image.flatten(0, 1), alpha.flatten(), distance.flatten()
