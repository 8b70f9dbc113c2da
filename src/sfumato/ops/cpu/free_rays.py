"""Blending along rays of any origin and direction, and the first half of its gradient.

The gradient walks every ray again with the same decisions, front to back
(S_n = C - sum_{m<=n} c_m alpha_m T_m), and leaves a record of every hit for the second half (see
free_gather), which adds up per Gaussian.
"""

import math

import numpy as np
from numba import prange

from sfumato.ops import constants
from sfumato.ops.cpu.bvh import OPACITY
from sfumato.ops.cpu.free_shade import shade, shade_backward
from sfumato.ops.cpu.jit import lane_function, lane_kernel, scalar
from sfumato.ops.cpu.ray_walk import new_walk, next_hit, ray_of, response, start

_ALPHA_MAX, _STOP = constants.ALPHA_MAX, constants.TRANSMITTANCE_STOP
# Rays that follow one another share nodes; so many of them are one piece of work, and the pieces are
# dealt in turn to so many tasks, so that busy regions spread over the threads.
_RUN, _TASKS = 64, 64


@scalar
def _limits_of(limits, j):
    """Least and greatest distance of ray j."""
    column = min(j, limits.shape[1] - 1)
    return limits[0, column], limits[1, column]


@lane_function
def _next_blended(tree, ray, walk, transmittance):
    """(slot, tau, alpha) of the next hit that is blended; the slot is -1 where the ray ends."""
    slot, tau, sigma = next_hit(tree, ray, walk)
    alpha = 0.0
    if slot >= 0:
        alpha = min(tree.exact[slot, OPACITY] * math.exp(-sigma), _ALPHA_MAX)
        if transmittance * (1.0 - alpha) <= _STOP:
            slot = -1
    return slot, tau, alpha


@lane_kernel
def free_forward(
    tree, means, features, degree, origins, directions, background, limits, image, alpha, distance, hits
):
    """Blend along every ray.

    Args:
        tree: from bvh.build, of the same Gaussians.
        means: [n, 3].
        features: [n, k, 3] spherical harmonics, or [n, 1, d] values.
        degree: of the spherical harmonics, or -1 for values.
        origins, directions: [m, 3].
        background: [d].
        limits: [2, m] or [2, 1] float64 least and greatest distance that is kept.
        image, alpha, distance, hits: [m, d], [m], [m] float32 and [m] int32 number of blended hits, written.
    """
    m, d = image.shape
    runs = (m + _RUN - 1) // _RUN
    for task in prange(min(_TASKS, runs)):
        walk = new_walk(tree)
        colour, total, basis = np.empty(d, np.float32), np.empty(d), np.empty(16, np.float32)
        for run in range(task, runs, _TASKS):
            for j in range(run * _RUN, min(run * _RUN + _RUN, m)):
                length, ray = ray_of(origins, directions, j, *_limits_of(limits, j))
                total[:] = 0.0
                transmittance, reached, count = 1.0, 0.0, 0
                start(tree, walk)
                while length > 0:
                    slot, tau, a = _next_blended(tree, ray, walk, transmittance)
                    if slot < 0:
                        break
                    weight = a * transmittance
                    shade(features, degree, means, tree.order[slot], origins[j], basis, colour)
                    for k in range(d):
                        total[k] += weight * colour[k]
                    reached += weight * tau
                    transmittance *= 1.0 - a
                    count += 1
                for k in range(d):
                    image[j, k] = total[k] + transmittance * background[k]
                alpha[j], distance[j], hits[j] = 1.0 - transmittance, reached, count


@scalar
def _add_ray_gradient(row, y, g, gg, ray_pull, to_tau, tau, sums):
    """Add one hit's gradients to the ray's origin and unit direction, ``sums`` [6]."""
    h = to_tau / gg
    v0, v1, v2 = ray_pull * y[0] - h * g[0], ray_pull * y[1] - h * g[1], ray_pull * y[2] - h * g[2]
    w0, w1, w2 = tau * v0 - h * y[0], tau * v1 - h * y[1], tau * v2 - h * y[2]
    for k in range(3):
        sums[k] += row[3 + k] * v0 + row[6 + k] * v1 + row[9 + k] * v2
        sums[3 + k] += row[3 + k] * w0 + row[6 + k] * w1 + row[9 + k] * w2


@lane_kernel
def free_backward(
    tree, means, features, degree, origins, directions, limits, first, starts, remaining,
    grad_image, grad_alpha, grad_distance, with_rays, slots, rays, weights, pulls, lit,
    grad_origins, grad_directions,
):  # fmt: skip
    """Walk rays again, leave a record of every hit, and the gradients to the rays.

    Args:
        tree, means, features, degree, origins, directions, limits: as in free_forward.
        first: of the rays that are walked, ``len(starts) - 1`` of them.
        starts: int64 place of the first record of each.
        remaining: [m] float64 grad_image . image + grad_alpha alpha + grad_distance distance.
        grad_image, grad_alpha, grad_distance: [m, d], [m], [m] float32.
        with_rays: whether gradients to the rays are wanted.
        slots, rays: int32 of each hit, written.
        weights, pulls: float32 weight and alpha dL/dalpha of each hit (0 where it is clamped), written.
        lit: uint8, the bits of the colour channels that are not cut off at zero, written.
        grad_origins, grad_directions: [m, 3] float32, written if wanted.
    """
    m, d = starts.size - 1, grad_image.shape[1]
    runs = (m + _RUN - 1) // _RUN
    for task in prange(min(_TASKS, runs)):
        walk, sums = new_walk(tree), np.empty(6)
        colour, basis, along = np.empty(d, np.float32), np.empty(16, np.float32), np.empty(16, np.float32)
        for run in range(task, runs, _TASKS):
            for own in range(run * _RUN, min(run * _RUN + _RUN, m)):
                j = first + own
                length, ray = ray_of(origins, directions, j, *_limits_of(limits, j))
                transmittance, behind = 1.0, remaining[j]
                sums[:] = 0.0
                start(tree, walk)
                for record in range(starts[own], starts[own + 1]):
                    slot, tau, a = _next_blended(tree, ray, walk, transmittance)
                    weight, i = a * transmittance, tree.order[slot]
                    lit[record] = shade(features, degree, means, i, origins[j], basis, colour)
                    value = np.float64(grad_alpha[j]) + grad_distance[j] * tau
                    for k in range(d):
                        value += np.float64(grad_image[j, k]) * colour[k]
                    behind -= weight * value
                    pull = weight * value - behind * (a / (1.0 - a)) if a < _ALPHA_MAX else 0.0
                    transmittance *= 1.0 - a
                    slots[record], rays[record], weights[record], pulls[record] = slot, j, weight, pull
                    if with_rays:
                        row = tree.exact[slot]
                        tau, y, g, gg = response(row, ray)
                        _add_ray_gradient(row, y, g, gg, -pull, weight * grad_distance[j], tau, sums)
                        if degree > 0:
                            gx, gy, gz = shade_backward(
                                features, degree, means, i, origins[j], grad_image[j], weight, lit[record],
                                basis, along,
                            )  # fmt: skip
                            sums[0] -= gx
                            sums[1] -= gy
                            sums[2] -= gz
                if with_rays:
                    radial = sums[3] * ray.dx + sums[4] * ray.dy + sums[5] * ray.dz
                    inverse = 1.0 / length if length > 0 else 0.0
                    for k in range(3):
                        grad_origins[j, k] = sums[k]
                    grad_directions[j, 0] = (sums[3] - radial * ray.dx) * inverse
                    grad_directions[j, 1] = (sums[4] - radial * ray.dy) * inverse
                    grad_directions[j, 2] = (sums[5] - radial * ray.dz) * inverse
