"""Blending along rays of any origin and direction, and the first half of its gradient.

The gradient traverses every ray again with the same decisions, front to back
(S_n = C - sum_{m<=n} c_m alpha_m T_m), and stores a record of every hit for the second half (see
gather), which sums per Gaussian.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import prange

from sfumato.ops import constants
from sfumato.ops.cpu.free_trace.shade import colour_scratch, shade, shade_backward
from sfumato.ops.cpu.free_trace.tree import OPACITY
from sfumato.ops.cpu.free_trace.walk import new_walk, next_hit, ray_of, response, start
from sfumato.ops.cpu.jit import lane_function, lane_function_with_arrays, lane_kernel, scalar

_ALPHA_MAX, _STOP = constants.ALPHA_MAX, constants.TRANSMITTANCE_STOP
# Consecutive rays share nodes, so they are traced in runs of this length; runs are assigned to tasks in turn,
# so that expensive regions spread over the threads.
_RUN, _TASKS = 64, 64


class FreeRays(NamedTuple):
    """Rays of any origin and direction.

    Attributes:
        origins, directions: [m, 3] float32.
        limits: [2, m] or [2, 1] float64 near and far distance.
    """

    origins: np.ndarray
    directions: np.ndarray
    limits: np.ndarray


class FreeOutputs(NamedTuple):
    """Results of rays.

    Attributes:
        image, alpha, distance: [m, d], [m], [m] float32.
        hits: [m] int32 number of blended hits.
    """

    image: np.ndarray
    alpha: np.ndarray
    distance: np.ndarray
    hits: np.ndarray


@lane_function
def _next_blended(tree, ray, walk, transmittance):
    """(slot, tau, alpha) of the next blended hit; the slot is -1 at the end of the ray."""
    slot, tau, sigma = next_hit(tree, ray, walk)
    alpha = 0.0
    if slot >= 0:
        alpha = min(tree.exact[slot, OPACITY] * math.exp(-sigma), _ALPHA_MAX)
        if transmittance * (1.0 - alpha) <= _STOP:
            slot = -1
    return slot, tau, alpha


@lane_function
def _blend_ray(tree, shading, ray, walk, origin, scratch, total):
    """(transmittance, distance, hits) of a ray; its colour is written to ``total`` [d]."""
    colour = scratch.colour
    transmittance, reached, count = 1.0, 0.0, 0
    total[:] = 0.0
    start(tree, walk)
    while True:
        slot, tau, alpha = _next_blended(tree, ray, walk, transmittance)
        if slot < 0:
            return transmittance, reached, count
        weight = alpha * transmittance
        shade(shading, tree.order[slot], origin, scratch)
        for k in range(total.size):
            total[k] += weight * colour[k]
        reached += weight * tau
        transmittance *= 1.0 - alpha
        count += 1


# The bodies of parallel loops are separate functions, which compile in a fraction of the time.
@lane_function_with_arrays
def _forward_task(task, tree, shading, rays, background, outputs):
    image = outputs.image
    m, d = image.shape
    walk, scratch, total = new_walk(tree), colour_scratch(d), np.empty(d)
    for first in range(task * _RUN, m, _TASKS * _RUN):
        for j in range(first, min(first + _RUN, m)):
            length, ray = ray_of(rays, j)
            total[:] = 0.0
            clear, reached, count = 1.0, 0.0, 0
            if length > 0:
                clear, reached, count = _blend_ray(tree, shading, ray, walk, rays.origins[j], scratch, total)
            for k in range(d):
                image[j, k] = total[k] + clear * background[k]
            outputs.alpha[j], outputs.distance[j], outputs.hits[j] = 1.0 - clear, reached, count


@lane_kernel
def free_forward(tree, shading, rays, background, outputs):
    """Blend along every ray.

    Args:
        tree: from tree.build, of the same Gaussians.
        shading: Shading.
        rays: FreeRays.
        background: [d].
        outputs: FreeOutputs, written.
    """
    for task in prange(_TASKS):
        _forward_task(task, tree, shading, rays, background, outputs)


class HitRecords(NamedTuple):
    """Records of blended hits.

    Attributes:
        slots, rays: [h] int32.
        weights: [h] float32 blending weights.
        to_log_alphas: [h] float32 gradients to log alpha, alpha dL/dalpha; 0 where alpha is clamped.
        lit: [h] uint8, bits of the colour channels that are not clamped at zero.
    """

    slots: np.ndarray
    rays: np.ndarray
    weights: np.ndarray
    to_log_alphas: np.ndarray
    lit: np.ndarray


class FreeOutputGradients(NamedTuple):
    """Gradients with respect to FreeOutputs: [m, d], [m], [m] float32."""

    image: np.ndarray
    alpha: np.ndarray
    distance: np.ndarray


class FreeRayGradients(NamedTuple):
    """Gradients with respect to rays: [m, 3] and [m, 3] float32."""

    origins: np.ndarray
    directions: np.ndarray


@scalar
def _add_ray_gradient(row, ray, to_log_alpha, to_tau, sums):
    """Add one hit's gradients to the ray's origin and unit direction, ``sums`` [6]."""
    found = response(row, ray)
    tau, y, g = found.tau, found.y, found.direction
    h = to_tau / found.length2
    v0 = -to_log_alpha * y[0] - h * g[0]
    v1 = -to_log_alpha * y[1] - h * g[1]
    v2 = -to_log_alpha * y[2] - h * g[2]
    w0, w1, w2 = tau * v0 - h * y[0], tau * v1 - h * y[1], tau * v2 - h * y[2]
    for k in range(3):
        sums[k] += row[3 + k] * v0 + row[6 + k] * v1 + row[9 + k] * v2
        sums[3 + k] += row[3 + k] * w0 + row[6 + k] * w1 + row[9 + k] * w2


@scalar
def _store_ray_gradient(sums, ray, length, j, of_rays):
    """Write a ray's gradients, with respect to its origin and its direction before normalisation."""
    radial = sums[3] * ray.dx + sums[4] * ray.dy + sums[5] * ray.dz
    inverse = 1.0 / length if length > 0 else 0.0
    for k in range(3):
        of_rays.origins[j, k] = sums[k]
    of_rays.directions[j, 0] = (sums[3] - radial * ray.dx) * inverse
    of_rays.directions[j, 1] = (sums[4] - radial * ray.dy) * inverse
    of_rays.directions[j, 2] = (sums[5] - radial * ray.dz) * inverse


@lane_function
def _backward_ray(
    tree, shading, ray, walk, origin, j, first, last, behind, grads, with_rays, records, sums, scratch
):
    """Traverse a ray again, write records ``first`` to ``last`` - 1 and the ray's gradients to ``sums``."""
    colour = scratch.colour
    transmittance = 1.0
    sums[:] = 0.0
    start(tree, walk)
    for record in range(first, last):
        slot, tau, alpha = _next_blended(tree, ray, walk, transmittance)
        weight, i = alpha * transmittance, tree.order[slot]
        lit = shade(shading, i, origin, scratch)
        value = np.float64(grads.alpha[j]) + grads.distance[j] * tau
        for k in range(colour.size):
            value += np.float64(grads.image[j, k]) * colour[k]
        behind -= weight * value
        # A clamped alpha has no gradient.
        to_log_alpha = weight * value - behind * (alpha / (1.0 - alpha)) if alpha < _ALPHA_MAX else 0.0
        transmittance *= 1.0 - alpha
        records.slots[record], records.rays[record], records.lit[record] = slot, j, lit
        records.weights[record], records.to_log_alphas[record] = weight, to_log_alpha
        if with_rays:
            _add_ray_gradient(tree.exact[slot], ray, to_log_alpha, weight * grads.distance[j], sums)
            if shading.degree > 0:
                gx, gy, gz = shade_backward(shading, i, origin, grads.image[j], weight, lit, scratch)
                sums[0] -= gx
                sums[1] -= gy
                sums[2] -= gz


@lane_function_with_arrays
def _backward_task(task, tree, shading, rays, first, starts, remaining, grads, with_rays, records, of_rays):
    m, d = starts.size - 1, grads.image.shape[1]
    walk, sums, scratch = new_walk(tree), np.empty(6), colour_scratch(d)
    for begin in range(task * _RUN, m, _TASKS * _RUN):
        for own in range(begin, min(begin + _RUN, m)):
            j = first + own
            if starts[own] == starts[own + 1]:
                continue
            length, ray = ray_of(rays, j)
            _backward_ray(
                tree, shading, ray, walk, rays.origins[j], j, starts[own], starts[own + 1], remaining[j],
                grads, with_rays, records, sums, scratch,
            )  # fmt: skip
            if with_rays:
                _store_ray_gradient(sums, ray, length, j, of_rays)


@lane_kernel
def free_backward(tree, shading, rays, first, starts, remaining, grads, with_rays, records, of_rays):
    """Traverse rays again; write a record of every hit, and the gradients to the rays.

    Args:
        tree, shading, rays: as in free_forward.
        first: index of the first of the ``len(starts) - 1`` rays.
        starts: int64 index of the first record of each ray.
        remaining: [m] float64 grad_image . image + grad_alpha alpha + grad_distance distance.
        grads: FreeOutputGradients.
        with_rays: whether to compute gradients to the rays.
        records: HitRecords, written.
        of_rays: FreeRayGradients of zeros, written if ``with_rays``.
    """
    for task in prange(_TASKS):
        _backward_task(
            task, tree, shading, rays, first, starts, remaining, grads, with_rays, records, of_rays
        )
