"""Rigid parts of a dynamic scene: groups of Gaussians that move by one rigid motion.

Groups are found by splitting. All Gaussians begin as one part; the parts with the largest residuals are split
in two by the residuals of their Gaussians, and every Gaussian is assigned to the part whose motion fits it
best (k-means with rigid motions as centres), until all parts fit or their largest number is reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sfumato.maths.one_thread import one_torch_thread
from sfumato.maths.quaternions import conjugate, quat_from_rotation, quat_product, rotation_from_quats
from sfumato.maths.rigid import best_rotation
from sfumato.scene.dynamic import DynamicScene

MAX_PARTS = 64
# An error of half a standard deviation of a Gaussian is hardly visible.
_TOLERANCE_IN_SIZES = 0.5
# A part fits if this fraction of its Gaussians does.
_SHARE_THAT_FITS = 0.95
# Parts are searched with this many Gaussians and steps, evenly chosen; their motions are fitted to all.
_MOST_GAUSSIANS, _MOST_STEPS = 2048, 24
_ROUNDS_A_SPLIT = 4
# A split must lower the squared errors by this fraction, or it would only fit noise.
_LEAST_GAIN = 0.1


class Motions(NamedTuple):
    """Rigid motions of k parts at t steps: x -> rotations x + shifts.

    Attributes:
        rotations: [k, t, 3, 3] world_from_part.
        shifts: [k, t, 3] scene units.
    """

    rotations: Tensor
    shifts: Tensor


@dataclass(frozen=True)
class RigidParts:
    """The parts of a dynamic scene with m moving Gaussians and t steps.

    Attributes:
        labels: [m] int64 part of each Gaussian.
        motions: of the k parts; at the first step the rotations are the identity.
        means: [m, 3] in the frame of the part, scene units.
        quats: [m, 4] part_from_local rotations as (w, x, y, z).
        errors: [m] root mean square distance of each Gaussian from its part's motion, scene units.
        tolerance: largest error that counts as a fit, scene units.
    """

    labels: Tensor
    motions: Motions
    means: Tensor
    quats: Tensor
    errors: Tensor
    tolerance: float

    def __len__(self) -> int:
        return self.motions.rotations.shape[0]

    def fit(self) -> bool:
        """Whether nearly all Gaussians stay within the tolerance."""
        return float(self.errors.quantile(_SHARE_THAT_FITS)) <= self.tolerance

    def __str__(self) -> str:
        half, most = self.errors.quantile(torch.tensor([0.5, _SHARE_THAT_FITS]).to(self.errors)).tolist()
        return (
            f"{len(self)} rigid parts: half of the Gaussians stay within {half:.2g} units of the motion of "
            f"their part, {_SHARE_THAT_FITS:.0%} within {most:.2g}, which is "
            f"{_TOLERANCE_IN_SIZES * most / self.tolerance:.2g} of their median size"
        )


class _PoseTracks(NamedTuple):
    """Poses of m Gaussians at t steps, float64: zero where they do not exist."""

    means: Tensor
    rotations: Tensor
    variances: Tensor
    exists: Tensor

    def chosen(self, rows: Tensor) -> _PoseTracks:
        return _PoseTracks(
            self.means[:, rows], self.rotations[:, rows], self.variances[rows], self.exists[:, rows]
        )


@one_torch_thread()
def rigid_parts(scene: DynamicScene) -> RigidParts:
    """Divide the moving Gaussians into rigid parts.

    Args:
        scene: with m moving Gaussians, at least one.

    Returns:
        The parts, at most ``MAX_PARTS``. Errors above the tolerance, half the median size of the moving
        Gaussians, mean that the scene deforms or that its tracks are inaccurate.
    """
    sizes = scene.gaussians.log_scales[scene.ids].mean(1).exp()
    tolerance = _TOLERANCE_IN_SIZES * float(sizes.median())
    m, t = len(scene.ids), scene.num_steps
    some = torch.linspace(0, m - 1, min(m, _MOST_GAUSSIANS)).round().long()
    steps = torch.linspace(0, t - 1, min(t, _MOST_STEPS)).round().long()
    paths, all_paths = _paths(scene, steps, some), _paths(scene, torch.arange(t), torch.arange(m))
    motions = _search(paths, tolerance)
    coarse = _paths(scene, steps, torch.arange(m))
    labels = _errors(coarse, motions).argmin(dim=1)
    labels = torch.unique(labels, return_inverse=True)[1]
    fitted = [_fitted(all_paths.chosen(labels == part)) for part in range(int(labels.max()) + 1)]
    motions = _with_rest_frames(all_paths, _stacked(fitted), labels)
    own = Motions(motions.rotations[labels], motions.shifts[labels])
    local, errors = _local(all_paths, own)
    columns = torch.arange(m)
    rotations_of_parts = quat_from_rotation(own.rotations[columns, scene.birth])
    quats = quat_product(conjugate(rotations_of_parts), scene.quats[scene.birth, columns].double())
    return RigidParts(labels, motions, local, quats, errors, tolerance)


@one_torch_thread()
def rigid_motion(scene: DynamicScene) -> Motions:
    """The one rigid motion that fits all moving Gaussians of a scene best.

    Args:
        scene: with at least one moving Gaussian.

    Returns:
        [t, 3, 3] and [t, 3], float64; that of the nearest step where no Gaussian exists.
    """
    return _fitted(_paths(scene, torch.arange(scene.num_steps), torch.arange(len(scene.ids))))


def _paths(scene: DynamicScene, steps: Tensor, rows: Tensor) -> _PoseTracks:
    means, quats = scene.means[steps][:, rows].double(), scene.quats[steps][:, rows].double()
    exists = (scene.birth[rows] <= steps[:, None]) & (steps[:, None] < scene.death[rows])
    rotations = rotation_from_quats(quats.reshape(-1, 4)).view(len(steps), len(rows), 3, 3)
    variances = scene.gaussians.log_scales[scene.ids[rows]].double().mul(2).exp().mean(1)
    gone = ~exists[..., None]
    return _PoseTracks(
        means.masked_fill(gone, 0.0), rotations.masked_fill(gone[..., None], 0.0), variances, exists
    )


def _search(paths: _PoseTracks, tolerance: float) -> Motions:
    """The motions of the parts, searched with a subset of the Gaussians."""
    motions = _stacked([_fitted(paths)])
    errors = _errors(paths, motions)
    while len(motions.shifts) < MAX_PARTS:
        labels, best = errors.argmin(dim=1), errors.amin(dim=1)
        split = _split(paths, motions, labels, best / tolerance)
        if torch.equal(split, labels):
            break
        for _ in range(_ROUNDS_A_SPLIT):
            refined = _stacked([_fitted(paths.chosen(split == part)) for part in split.unique()])
            new_errors = _errors(paths, refined)
            split = new_errors.argmin(dim=1)
        if float(new_errors.amin(1).square().sum()) > (1 - _LEAST_GAIN) * float(best.square().sum()):
            break
        motions, errors = refined, new_errors
    return motions


def _split(paths: _PoseTracks, motions: Motions, labels: Tensor, relative_error: Tensor) -> Tensor:
    """Labels [m] after splitting parts that do not fit in two, the worst first, up to ``MAX_PARTS``."""
    count = len(motions.shifts)
    members = [(labels == part).nonzero()[:, 0] for part in range(count)]
    worst = torch.tensor(
        [float(relative_error[rows].quantile(_SHARE_THAT_FITS)) if len(rows) > 1 else 0.0 for rows in members]
    )
    split, added = labels.clone(), count
    for part in worst.argsort(descending=True).tolist():
        if worst[part] <= 1 or added == MAX_PARTS:
            break
        rows = members[part]
        some = paths.chosen(rows)
        own = Motions(*(both[part].expand(len(rows), *both.shape[1:]) for both in motions))
        residual = _residuals(some, own).transpose(0, 1).flatten(1)
        first = residual.square().sum(1).argmax()
        second = (residual - residual[first]).square().sum(1).argmax()
        near = (residual - residual[first]).square().sum(1) <= (residual - residual[second]).square().sum(1)
        if near.all():
            continue
        split[rows[~near]] = added
        added += 1
    return split


def _stacked(motions: list[Motions]) -> Motions:
    return Motions(*(torch.stack(parts) for parts in zip(*motions, strict=True)))


def _fitted(paths: _PoseTracks) -> Motions:
    """The rigid motion of one part: [t, 3, 3] and [t, 3], first from its fullest step, then from the mean."""
    anchor = int(paths.exists.sum(1).argmax())
    known = paths.exists[anchor]
    motion = _aligned(paths, paths.means[anchor], paths.rotations[anchor], paths.exists & known)
    local, _ = _means_and_errors(paths, _inside(paths, motion))
    rotations_of_parts = (motion.rotations.mT[:, None] @ paths.rotations).mean(0)
    return _aligned(paths, local, rotations_of_parts, paths.exists)


def _aligned(paths: _PoseTracks, local: Tensor, rotations_of_parts: Tensor, used: Tensor) -> Motions:
    """The motion that best maps local poses [m, 3] and [m, 3, 3] to those of each step.

    The axes of the ellipsoids count as points, so that even one Gaussian determines a rotation. A step
    without Gaussians gets the motion of the nearest step that has some.
    """
    weights = used.double()
    total = weights.sum(1).clamp(min=1)[:, None]
    from_centre, to_centre = weights @ local / total, (weights[..., None] * paths.means).sum(1) / total
    covariance = (weights[..., None] * local).mT @ paths.means
    covariance -= total[..., None] * from_centre[:, :, None] * to_centre[:, None, :]
    axes = (weights * paths.variances)[..., None, None] * paths.rotations
    covariance += rotations_of_parts.transpose(0, 1).flatten(1) @ axes.transpose(1, 2).flatten(2).mT
    rotations = best_rotation(covariance)
    shifts = to_centre - torch.einsum("tab,tb->ta", rotations, from_centre)
    known = used.any(1).nonzero()[:, 0]
    nearest = known[(torch.arange(len(used))[:, None] - known).abs().argmin(1)]
    return Motions(rotations[nearest], shifts[nearest])


def _local(paths: _PoseTracks, own: Motions) -> tuple[Tensor, Tensor]:
    """Mean positions [m, 3] in each Gaussian's own moving frame, and RMS distances [m] from them."""
    shifted = paths.means - own.shifts.transpose(0, 1)
    return _means_and_errors(paths, (own.rotations.transpose(0, 1).mT @ shifted[..., None])[..., 0])


def _inside(paths: _PoseTracks, motion: Motions) -> Tensor:
    """[t, m, 3] positions in the frame of one motion."""
    return (paths.means - motion.shifts[:, None]) @ motion.rotations


def _means_and_errors(paths: _PoseTracks, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Means [m, 3] of positions [t, m, 3] in moving frames, and RMS distances [m] from them."""
    weights = paths.exists.double()[..., None]
    count = weights.sum(0).clamp(min=1)
    mean = (weights * inside).sum(0) / count
    return mean, ((weights * (inside - mean).square()).sum(0) / count).sum(1).sqrt()


def _errors(paths: _PoseTracks, motions: Motions) -> Tensor:
    """[m, k] RMS error of each Gaussian under each motion, scene units."""
    found = [_means_and_errors(paths, _inside(paths, Motions(*one)))[1] for one in zip(*motions, strict=True)]
    return torch.stack(found, dim=1)


def _residuals(paths: _PoseTracks, own: Motions) -> Tensor:
    """[t, m, 3] actual minus predicted position of each Gaussian; zero where it does not exist."""
    local, _ = _local(paths, own)
    predicted = (own.rotations @ local[:, None, :, None])[..., 0].transpose(0, 1) + own.shifts.transpose(0, 1)
    return (paths.means - predicted) * paths.exists[..., None]


def _with_rest_frames(paths: _PoseTracks, motions: Motions, labels: Tensor) -> Motions:
    """The same motions for part frames with the identity rotation at the first step, centred on the part."""
    first = motions.rotations[:, :1]
    rotations = motions.rotations @ first.mT
    local, _ = _local(paths, Motions(rotations[labels], motions.shifts[labels]))
    count = torch.bincount(labels).double()[:, None]
    centres = torch.zeros(len(count), 3, dtype=torch.float64).index_add_(0, labels, local) / count
    return Motions(rotations, motions.shifts + torch.einsum("ktab,kb->kta", rotations, centres))
