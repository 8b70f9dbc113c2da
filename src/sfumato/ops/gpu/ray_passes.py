"""Rays through a tree of Gaussians: blending, and the gradient in two halves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sfumato.ops.gpu.hull_tree import HullTree
from sfumato.ops.gpu.kernels.hulls import ROW, hull_gradients
from sfumato.ops.gpu.kernels.ray_blending import RAY, blend_rays
from sfumato.ops.gpu.kernels.ray_replay import replay_rays
from sfumato.ops.gpu.kernels.ray_sums import sum_harmonic, sum_hits, sum_values
from sfumato.ops.gpu.kernels.ray_walk import BLOCK_WIDTH
from sfumato.ops.gpu.launch import start, start_elementwise

# Rays of a program: one per lane of a warp, which has 64 lanes on AMD.
RAYS = 64 if torch.version.hip else 32
# Hits that a ray keeps in a pass, in registers.
KEPT = 8
# Channels blended in one pass.
CHANNELS_AT_ONCE = 4
# Records of hits added at a time by one program.
RECORDS_AT_ONCE = 32
# Records per batch of rays: 16 bytes each, and 28 while they are sorted.
MOST_RECORDS = 1 << 24
# Values of Gaussians, not coefficients of spherical harmonics.
PLAIN = -1


class RayScene(NamedTuple):
    """The scene that rays are traced through.

    Attributes:
        tree: of the Gaussians.
        features: [n, c, 3] spherical harmonics, or [n, 1, d] values.
        degree: of the spherical harmonics, or PLAIN.
        depths: [n] of a common order of all rays, or [0].
    """

    tree: HullTree
    features: Tensor
    degree: int
    depths: Tensor

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.features.shape[2]

    @property
    def stride(self) -> int:
        """Numbers in a row of the features."""
        return self.features.shape[1] * self.features.shape[2]


class RayOutputGradients(NamedTuple):
    """Gradients with respect to the outputs of rays, and these outputs.

    Attributes:
        grads: [m, d], [m], [m] gradients of the image, alpha and the distance.
        outputs: [m, d], [m], [m] those results.
        hits: [m] int32 number of hits of each ray.
    """

    grads: tuple[Tensor, Tensor, Tensor]
    outputs: tuple[Tensor, Tensor, Tensor]
    hits: Tensor


class _RayRecords(NamedTuple):
    """Records of hits, see kernels.ray_replay."""

    gaussian_index: Tensor
    ray_index: Tensor
    weights: Tensor
    to_log_alphas: Tensor
    tints: Tensor


def pack(origins: Tensor, directions: Tensor, limits: Tensor) -> Tensor:
    """[m, 8] float64 origins, unit directions and limits of rays.

    Args:
        origins: [m, 3] or [1, 3].
        directions: [m, 3] of any length; those of no length, or not finite, get limits without distances
            between them.
        limits: [2, m] or [2, 1] float64 near and far distance.
    """
    m = len(directions)
    rays = directions.new_empty(m, RAY.value, dtype=torch.float64)
    rays[:, :3], rays[:, 3:6], rays[:, 6:] = origins, directions, limits.T
    length = rays[:, 3:6].norm(dim=1, keepdim=True)
    valid = (length > 0) & rays[:, :6].isfinite().all(1, keepdim=True)
    rays[:, 3:6] /= torch.where(valid, length, 1.0)
    rays[:, :6] = torch.where(valid, rays[:, :6], 0.0)
    rays[:, 6:] = torch.where(valid, rays[:, 6:], rays.new_tensor([1.0, -1.0]))
    return rays


def blended(
    scene: RayScene, rays: Tensor, background: Tensor, width: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Blend along rays.

    Args:
        scene: RayScene.
        rays: [m, 8] from ``pack``.
        background: [d].
        width: of the image whose pixels the rays are, or 0.

    Returns:
        image [m, d]; alpha, distance and int32 number of hits, [m]; [n] bool, which Gaussians were hit.
    """
    m, d, n = len(rays), scene.channels, len(scene.tree.rows)
    image, alpha, distance = background.new_zeros(m, d), background.new_zeros(m), background.new_zeros(m)
    hits, visible = scene.tree.order.new_zeros(m), scene.tree.order.new_zeros(n, dtype=torch.uint8)
    for first in range(0, d if m and n else 0, CHANNELS_AT_ONCE):
        start(
            blend_rays, _programs(m, width), 1, *_walked(scene, rays), image, alpha, distance, hits, visible,
            *_sizes(scene, m, width), first, d,
            CHANNELS=min(CHANNELS_AT_ONCE, d - first), TILED=width > 0, **_constants(scene),
        )  # fmt: skip
    image += (1 - alpha)[:, None] * background
    return image, alpha, distance, hits, visible.bool()


class RayGradients(NamedTuple):
    """Gradients with respect to the scene that rays are traced through.

    Attributes:
        means, quats, scales, opacities: [n, 3], [n, 4], [n, 3] and [n].
        features: [n, c, 3] or [n, 1, d].
        lengths: [n] sum over rays of the length of the gradient of the means; [0] if not computed.
        rays: [m, 6] of origins and unit directions; [0, 6] if not computed.
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    features: Tensor
    lengths: Tensor
    rays: Tensor


def gradients(
    scene: RayScene,
    shape: tuple[Tensor, Tensor],
    rays: Tensor,
    upstream: RayOutputGradients,
    *,
    width: int = 0,
    with_rays: bool = False,
    absolute: bool = False,
) -> RayGradients:
    """The gradient of ``blended``, without that of the background.

    The host synchronises for the number of hits.

    Args:
        scene, width: as there.
        rays: [m, 8] from ``pack``.
        shape: quats [n, 4] and scales [n, 3].
        upstream: RayOutputGradients.
        with_rays: whether to compute that of the rays.
        absolute: whether to compute ``lengths``.
    """
    (quats, scales), m, n = (one.contiguous() for one in shape), len(rays), len(shape[0])
    features = scene.features
    of_rays, totals = features.new_zeros(m if with_rays else 0, 6), rays.new_zeros(n, ROW.value)
    to_features = torch.zeros_like(features)
    image, alpha, distance = upstream.grads
    packed = torch.cat([image, alpha[:, None], distance[:, None]], 1)
    reached = torch.cat([upstream.outputs[0], *(one[:, None] for one in upstream.outputs[1:])], 1)
    remaining = (packed.double() * reached.double()).sum(1)
    ends = upstream.hits.cumsum(0, dtype=torch.int64)
    for first, last, count in _batches(ends):
        part = slice(first, last)
        starts = (ends[part] - ends[last - 1] + count - upstream.hits[part]).int()
        of_part = rays[part], packed[part], of_rays[part]
        whole = width if last - first == m else 0
        records = _replayed(
            scene, of_part, upstream.hits[part], starts, remaining[part], count, whole, with_rays
        )
        _add(scene, of_part, records, totals, to_features, absolute)
    found = [*(features.new_empty(n, size) for size in (3, 4, 3)), features.new_empty(n)]
    lengths = features.new_empty(n if absolute else 0)
    start_elementwise(
        hull_gradients, n, totals, scene.tree.rows, quats, scales, *found, lengths, ABSOLUTE=absolute
    )
    return RayGradients(*found, to_features, lengths, of_rays)


def _batches(ends: Tensor) -> Iterator[tuple[int, int, int]]:
    """First and last + 1 ray of each batch, and its number of hits, from the [m] cumulative numbers."""
    first, before, total = 0, 0, int(ends[-1]) if len(ends) else 0
    while before < total:
        bound = torch.searchsorted(ends, before + MOST_RECORDS, right=True)
        last = len(ends) if total - before <= MOST_RECORDS else max(first + 1, int(bound))
        until = int(ends[last - 1])
        yield first, last, until - before
        first, before = last, until


def _replayed(scene, of_part, hits, starts, remaining, count, width, with_rays) -> _RayRecords:
    """Records of the ``count`` hits of some rays; writes the gradients of those rays."""
    rays, packed, of_rays = of_part
    # Records of no Gaussian, should a ray meet fewer hits than in the forward pass.
    gaussian_index, ray_index = hits.new_full((count,), -1), hits.new_empty(count)
    weights, to_log_alphas = packed.new_empty(count), packed.new_empty(count)
    tints = packed.new_empty(0 if scene.degree == PLAIN else count, 3)
    visible = scene.tree.order.new_empty(len(scene.tree.rows), dtype=torch.uint8)
    start(
        replay_rays, _programs(len(rays), width), 1, *_walked(scene, rays), hits, starts, remaining, packed,
        visible, gaussian_index, ray_index, weights, to_log_alphas, tints, of_rays,
        *_sizes(scene, len(rays), width), scene.channels,
        WITH_RAYS=with_rays, TILED=width > 0, **_constants(scene),
    )  # fmt: skip
    return _RayRecords(gaussian_index, ray_index, weights, to_log_alphas, tints)


def _add(scene, of_part, records: _RayRecords, totals, to_features, absolute) -> None:
    """Add the records of each Gaussian to its sums and to the gradient of its features."""
    (rays, packed, _), (gaussian_index, ray_index, weights, to_log_alphas, tints) = of_part, records
    n, stride, rows = len(totals), scene.stride, scene.tree.rows
    owner, order = torch.sort(gaussian_index, stable=True)
    every = torch.arange(n + 1, device=owner.device, dtype=torch.int32)
    sorted_hits = order, torch.searchsorted(owner, every, out_int32=True)
    lanes = {"LANES": RECORDS_AT_ONCE}
    start(
        sum_hits, n, 1, *sorted_hits, ray_index, weights, to_log_alphas, tints, rays, rows, scene.features,
        packed, totals, stride, scene.channels, DEGREE=scene.degree, ABSOLUTE=absolute, **lanes,
    )  # fmt: skip
    if scene.degree == PLAIN:
        padded = 1 << (stride - 1).bit_length()
        start(
            sum_values, n, 1, *sorted_hits, ray_index, weights, packed, to_features, stride,
            PADDED=padded, LANES=max(1, RECORDS_AT_ONCE // padded),
        )  # fmt: skip
        return
    for k in range((scene.degree + 1) ** 2):
        given = *sorted_hits, ray_index, tints, rays, rows, to_features, stride
        start(sum_harmonic, n, 1, *given, K=k, **lanes)


def _walked(scene: RayScene, rays: Tensor) -> tuple[Tensor, ...]:
    """The first arguments of kernels that walk."""
    order, boxes, rows = scene.tree
    return boxes, order, rows, scene.depths, rays, scene.features


def _sizes(scene: RayScene, m: int, width: int) -> tuple[int, ...]:
    """Leaves, bits of an index, width, number of rays, and numbers in a row of features."""
    return scene.tree.leaves, scene.tree.leaves.bit_length() - 1, width, m, scene.stride


def _constants(scene: RayScene) -> dict[str, int]:
    return {"DEGREE": scene.degree, "ORDERED": len(scene.depths) > 0, "K": KEPT, "RAYS": RAYS}


def _programs(m: int, width: int) -> int:
    """Programs over consecutive rays, or over blocks of an image's pixels."""
    if not width:
        return -(-m // RAYS)
    return -(-width // BLOCK_WIDTH.value) * -(-(m // width) // (RAYS // BLOCK_WIDTH.value))
