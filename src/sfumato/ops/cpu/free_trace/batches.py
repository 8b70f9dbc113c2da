"""Ray tracing along free rays: the kernels of free_rays and free_gather in bounded memory."""

import numpy as np

from sfumato.ops.cpu.free_trace.gather import gather, sorted_by_slot
from sfumato.ops.cpu.free_trace.rays import RayGradients, Records, free_backward, free_forward

# Hits whose records are kept at once: 17 bytes each, and 12 to sort them.
_RECORDS = 1 << 22


def trace_rays_forward(tree, means, features, degree, rays, background, limits):
    """Blend along rays.

    Args:
        tree: bvh.Tree of the Gaussians.
        means: [n, 3].
        features, degree: [n, k, 3] spherical harmonics and their degree, or [n, 1, d] values and -1.
        rays: origins [m, 3], directions [m, 3].
        background: [d].
        limits: [2, m] or [2, 1] float64 least and greatest distance that is kept.

    Returns:
        image [m, d], alpha [m], distance [m]; and [m] int32, the number of hits that were blended.
    """
    m, d = len(rays[0]), background.size
    image, (alpha, distance) = np.empty((m, d), np.float32), np.empty((2, m), np.float32)
    hits = np.empty(m, np.int32)
    free_forward(tree, means, features, degree, *rays, background, limits, image, alpha, distance, hits)
    return image, alpha, distance, hits


def trace_rays_backward(tree, gaussians, features, degree, rays, limits, outputs, grads, with_rays):
    """Gradients of trace_rays_forward.

    Args:
        tree, features, degree, rays, limits: as in trace_rays_forward.
        gaussians: means [n, 3], quats [n, 4], scales [n, 3].
        outputs: all that it returned.
        grads: of the first three outputs.
        with_rays: whether gradients to origins and directions are wanted; zeros if not.

    Returns:
        Gradients to means, quats, scales, opacities, features, origins, directions, background.
    """
    image, alpha, distance, hits = outputs
    to_rays = RayGradients(*grads)
    remaining = np.einsum("md,md->m", to_rays.image, image, dtype=np.float64)
    remaining += to_rays.alpha.astype(np.float64) * alpha + to_rays.distance.astype(np.float64) * distance
    of_geometry = tuple(np.zeros(t.shape, np.float32) for t in (*gaussians, gaussians[0][:, 0]))
    of_features = np.zeros(features.shape, np.float32)
    of_rays = [np.zeros(r.shape, np.float32) for r in rays]
    ends = np.cumsum(hits, dtype=np.int64)
    first = 0
    while first < len(hits):
        before = ends[first - 1] if first else 0
        # As many rays as fit the records, by their number of hits only: independent of the number of threads.
        last = max(first + 1, int(np.searchsorted(ends, before + _RECORDS, side="right")))
        starts = np.concatenate([[0], ends[first:last] - before])
        count = int(starts[-1])
        records = Records(
            *np.empty((2, count), np.int32), *np.empty((2, count), np.float32), np.empty(count, np.uint8)
        )
        free_backward(
            tree, gaussians[0], features, degree, *rays, limits, first, starts, remaining, to_rays,
            with_rays, records, *of_rays,
        )  # fmt: skip
        slot_starts, order = sorted_by_slot(records.slots, tree.order.size)
        gather(
            tree, *gaussians, features, degree, *rays, to_rays, records, slot_starts, order,
            of_geometry, of_features,
        )  # fmt: skip
        first = last
    of_background = np.einsum("m,md->d", 1.0 - alpha.astype(np.float64), to_rays.image)
    return *of_geometry, of_features, *of_rays, of_background.astype(np.float32)
