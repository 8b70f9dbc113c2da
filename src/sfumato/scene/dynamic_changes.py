"""Operations on dynamic scenes. Each returns a new scene."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.maths.quaternions import normalised, quat_from_rotation, quat_product
from sfumato.scene.changes import merged, similarity, transformed
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.rigid_parts import rigid_motion

# Times closer than this fraction of the shortest step are the same.
_SAME_TIME = 1e-6


def transformed_dynamic(scene: DynamicScene, new_from_old: Tensor) -> DynamicScene:
    """The scene under a similarity, at all steps.

    Args:
        scene: the scene.
        new_from_old: [4, 4] similarity: (scale * rotation, translation), then (0, 0, 0, 1).

    Raises:
        ConfigError: the matrix is not a similarity, or a reflection.
    """
    means, quats = transformed_poses(scene.means, scene.quats, new_from_old)
    gaussians = transformed(scene.gaussians, new_from_old)
    return replace(scene, gaussians=gaussians, means=means, quats=quats)


def held(scene: DynamicScene) -> DynamicScene:
    """The scene with poses at all steps: where a Gaussian does not exist, that of its first or last step."""
    steps = torch.arange(scene.num_steps, device=scene.birth.device)[:, None]
    nearest = torch.minimum(torch.maximum(steps, scene.birth), scene.death - 1)
    columns = torch.arange(len(scene.ids), device=scene.birth.device)
    return replace(scene, means=scene.means[nearest, columns], quats=scene.quats[nearest, columns])


def transformed_poses(means: Tensor, quats: Tensor, new_from_old: Tensor) -> tuple[Tensor, Tensor]:
    """Poses under a similarity.

    Args:
        means: [..., 3] world frame, scene units.
        quats: [..., 4] rotations as (w, x, y, z).
        new_from_old: [4, 4].

    Returns:
        [..., 3] and [..., 4]; NaN stay NaN.

    Raises:
        ConfigError: the matrix is not a similarity.
    """
    scale, rotation, shift = similarity(new_from_old)
    rotation, shift = rotation.to(means.device), shift.to(means.device)
    turned = quat_product(quat_from_rotation(rotation), quats.double())
    return (scale * means.double() @ rotation.T + shift).to(means), turned.to(quats)


def check_within(scene: DynamicScene, start: float, end: float) -> None:
    """Check that an interval lies within a scene.

    Args:
        scene: the scene.
        start, end: seconds.

    Raises:
        ConfigError: a time is outside the scene, or the start is after the end.
    """
    first, last = float(scene.times[0]), float(scene.times[-1])
    if not first <= start <= end <= last:
        asked = f"{start:g} s" if start == end else f"{start:g} to {end:g} s"
        raise ConfigError(f"{asked}: the scene lasts from {first:g} to {last:g} s")


def selected_dynamic(scene: DynamicScene, keep: Tensor) -> DynamicScene:
    """Select Gaussians, at all steps.

    Args:
        scene: n Gaussians.
        keep: [n] bool.
    """
    rows = keep.cumsum(0) - 1
    moving = keep[scene.ids]
    return replace(
        scene,
        gaussians=scene.gaussians.select(keep),
        ids=rows[scene.ids[moving]],
        means=scene.means[:, moving],
        quats=scene.quats[:, moving],
        birth=scene.birth[moving],
        death=scene.death[moving],
    )


def as_dynamic(gaussians: Gaussians, times: Tensor) -> DynamicScene:
    """A still scene as a dynamic one without moving Gaussians.

    Args:
        gaussians: the scene.
        times: [t] float64 seconds.
    """
    none = torch.zeros(0, dtype=torch.int64, device=gaussians.means.device)
    means, quats = (gaussians.means.new_zeros(len(times), 0, width) for width in (3, 4))
    return DynamicScene(gaussians, none, times, means, quats, none, none)


def resampled(scene: DynamicScene, times: Tensor) -> DynamicScene:
    """The scene with steps at other times, as ``DynamicScene.at`` shows it.

    Args:
        scene: t steps.
        times: [s] float64 seconds, ascending; clamped to the first and last step.

    Returns:
        s steps, without the Gaussians that exist at none of them.
    """
    ends = torch.cat([scene.times, scene.times.new_tensor([torch.inf])])
    # The first new step at or after a time; Gaussians that exist at the start exist before it too.
    birth = torch.searchsorted(times, scene.times[scene.birth]).masked_fill(scene.birth == 0, 0)
    death = torch.searchsorted(times, ends[scene.death])
    seen = torch.ones(len(scene), dtype=torch.bool, device=scene.ids.device)
    seen[scene.ids] = birth < death
    poses = [scene.poses(*_place(scene, time)) for time in times.tolist()]
    columns = birth < death
    means, quats = (torch.stack(both)[:, columns] for both in zip(*poses, strict=True))
    steps = torch.arange(len(times), device=birth.device)[:, None]
    birth, death = birth[columns], death[columns]
    gone = ((steps < birth) | (steps >= death))[..., None]
    kept = selected_dynamic(scene, seen)
    return replace(
        kept,
        times=times,
        means=means.masked_fill(gone, torch.nan),
        quats=quats.masked_fill(gone, torch.nan),
        birth=birth,
        death=death,
    )


def cut(scene: DynamicScene, start: float = -torch.inf, end: float = torch.inf) -> DynamicScene:
    """The scene between two times, which become its first and last step; times stay as they are.

    Args:
        scene: the scene.
        start, end: seconds; infinite for no cut.

    Raises:
        ConfigError: the interval is empty or outside the scene.
    """
    first, last = float(scene.times[0]), float(scene.times[-1])
    if not start <= end or start > last or end < first:
        raise ConfigError(
            f"cut: nothing lies between {start:g} and {end:g} s; the scene lasts from {first:g} to {last:g} s"
        )
    start, end = max(start, first), min(end, last)
    inner = scene.times[(scene.times > start) & (scene.times < end)]
    ends = torch.tensor(sorted({start, end}), dtype=torch.float64, device=inner.device)
    return resampled(scene, torch.cat([ends[:1], inner, ends[1:]]))


def composed(*scenes: DynamicScene) -> DynamicScene:
    """Merge dynamic scenes, in the order given, with the steps of all.

    Args:
        scenes: one or more; a shorter one stands still before its first step and after its last.

    Raises:
        ConfigError: no scene is given.
    """
    if not scenes:
        raise ConfigError("compose: there is no scene; give one or more")
    if len(scenes) == 1:
        return scenes[0]
    times = _joined_times([scene.times for scene in scenes])
    parts = [resampled(_on_steps(scene, times), times) for scene in scenes]
    starts = [sum(len(part) for part in parts[:i]) for i in range(len(parts))]
    return DynamicScene(
        merged(*(part.gaussians for part in parts)),
        torch.cat([part.ids + start for part, start in zip(parts, starts, strict=True)]),
        times,
        *(torch.cat([getattr(part, name) for part in parts], dim=1) for name in ("means", "quats")),
        *(torch.cat([getattr(part, name) for part in parts]) for name in ("birth", "death")),
    )


def riding(gaussians: Gaussians, scene: DynamicScene, on: Tensor, time: float) -> DynamicScene:
    """Attach a still scene to some Gaussians of a dynamic one: it follows their rigid motion.

    Args:
        gaussians: the still scene, in its pose at ``time``. Its view-dependent colours do not rotate.
        scene: the dynamic scene, m moving Gaussians.
        on: [m] bool, the carriers: it follows their best-fit rigid motion, and exists as long as any of them.
        time: seconds.

    Returns:
        The attached scene alone, with the steps of the other.

    Raises:
        ConfigError: there are no carriers, or none exists at ``time``.
    """
    rows = torch.zeros(len(scene), dtype=torch.bool, device=on.device)
    rows[scene.ids[on]] = True
    carriers = selected_dynamic(scene, rows)
    if not on.any():
        raise ConfigError("ride: nothing that moves is selected for it to ride on")
    times = _joined_times([scene.times, scene.times.new_tensor([time]).clamp(*scene.times[[0, -1]].tolist())])
    motion = rigid_motion(resampled(carriers, times))
    here = int((times - time).abs().argmin())
    rotations = motion.rotations @ motion.rotations[here].T
    shifts = motion.shifts - rotations @ motion.shifts[here]
    steps = torch.isin(times, scene.times)
    rotations, shifts = rotations[steps], shifts[steps]
    like = gaussians.means
    means = like.double() @ rotations.mT + shifts[:, None]
    quats = quat_product(quat_from_rotation(rotations)[:, None], normalised(gaussians.quats.double()))
    birth, death = (
        torch.full((len(like),), int(end), device=like.device)
        for end in (carriers.birth.min(), carriers.death.max())
    )
    at = torch.arange(scene.num_steps, device=like.device)[:, None]
    gone = ((at < birth) | (at >= death))[..., None]
    return DynamicScene(
        gaussians,
        torch.arange(len(like), device=like.device),
        scene.times,
        means.to(like).masked_fill(gone, torch.nan),
        quats.to(like).masked_fill(gone, torch.nan),
        birth,
        death,
    )


def _place(scene: DynamicScene, time: float) -> tuple[float, int]:
    """A time within the scene, and the step at or before it."""
    time = min(max(time, float(scene.times[0])), float(scene.times[-1]))
    return time, int(torch.searchsorted(scene.times, time, right=True)) - 1


def _on_steps(scene: DynamicScene, times: Tensor) -> DynamicScene:
    """The scene with each step's time replaced by the nearest of ``times``."""
    return replace(scene, times=times[(scene.times[:, None] - times).abs().argmin(1)])


def _joined_times(several: list[Tensor]) -> Tensor:
    """The union of times, sorted; of times that are equal up to rounding, the first."""
    found, *others = several
    step = min(float(times.diff().min()) if len(times) > 1 else torch.inf for times in several)
    same = _SAME_TIME * step if step < torch.inf else 0.0
    for times in others:
        apart = (times[:, None] - found).abs().amin(1) > same
        found = torch.cat([found, times[apart]]).sort().values
    return found
