"""Ray tracing of free rays: calls the kernels of ``rays`` and ``gather`` in batches of bounded memory."""

import numpy as np

from sfumato.ops.cpu.free_trace.gather import FreeGradients, gather, sorted_by_slot
from sfumato.ops.cpu.free_trace.rays import (
    FreeOutputs,
    FreeRayGradients,
    HitRecords,
    free_backward,
    free_forward,
)

# Hit records per batch: 17 bytes each, and 12 to sort them.
_RECORDS = 1 << 22


def trace_rays_forward(tree, shading, rays, background):
    """Render rays.

    Args:
        tree: Tree of the Gaussians.
        shading: Shading.
        rays: FreeRays.
        background: [d].

    Returns:
        FreeOutputs.
    """
    m, d = len(rays.origins), background.size
    alpha, distance = np.empty((2, m), np.float32)
    outputs = FreeOutputs(np.empty((m, d), np.float32), alpha, distance, np.empty(m, np.int32))
    free_forward(tree, shading, rays, background, outputs)
    return outputs


def trace_rays_backward(tree, shading, shapes, rays, outputs, grads, with_rays):
    """Gradients of trace_rays_forward.

    Args:
        tree, shading, rays: as in trace_rays_forward.
        shapes: Shapes.
        outputs: FreeOutputs.
        grads: FreeOutputGradients.
        with_rays: whether to compute gradients to origins and directions; zeros if not.

    Returns:
        Gradients to means, quats, scales, opacities, features, origins, directions, background.
    """
    hits = outputs.hits
    remaining = np.einsum("md,md->m", grads.image, outputs.image, dtype=np.float64)
    of_alpha = grads.alpha.astype(np.float64) * outputs.alpha
    remaining += of_alpha + grads.distance.astype(np.float64) * outputs.distance
    gradients = FreeGradients(
        *(np.zeros(array.shape, np.float32) for array in (shading.means, *shapes)),
        np.zeros(len(shading.means), np.float32),
        np.zeros(shading.features.shape, np.float32),
    )
    of_rays = FreeRayGradients(*np.zeros((2, *rays.origins.shape), np.float32))
    ends = np.cumsum(hits, dtype=np.int64)
    first = 0
    while first < len(hits):
        before = ends[first - 1] if first else 0
        # As many rays as fit, determined by their hits only: independent of the number of threads.
        last = max(first + 1, int(np.searchsorted(ends, before + _RECORDS, side="right")))
        starts = np.concatenate([[0], ends[first:last] - before])
        count = int(starts[-1])
        records = HitRecords(
            *np.empty((2, count), np.int32), *np.empty((2, count), np.float32), np.empty(count, np.uint8)
        )
        free_backward(tree, shading, rays, first, starts, remaining, grads, with_rays, records, of_rays)
        by_slot = sorted_by_slot(records.slots, tree.order.size)
        gather(tree, shading, shapes, rays, grads, records, by_slot, gradients)
        first = last
    of_background = np.einsum("m,md->d", 1.0 - outputs.alpha.astype(np.float64), grads.image)
    return *gradients, *of_rays, of_background.astype(np.float32)
