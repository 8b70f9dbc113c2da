"""A dynamic scene: Gaussians, some of which move and rotate; size, opacity and colour are constant."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ConfigError, ShapeError
from sfumato.maths.quaternions import normalised
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Scene, metadata_of

# Rotations closer than this (the sine of half the angle between them) are interpolated along the chord.
_NEARLY_EQUAL = 1e-4


@dataclass(frozen=True)
class DynamicScene:
    """Gaussians over time. Steps are numbered from 0; n Gaussians, m of which move, t steps.

    Attributes:
        gaussians: all n; of the moving ones the colours, sizes and opacities are used, and their means and
            rotations are those of the first step at which each exists.
        ids: [m] int64 rows of ``gaussians`` that move, ascending.
        times: [t] float64 seconds of the steps, ascending.
        means: [t, m, 3] world frame, scene units; NaN where a Gaussian does not exist.
        quats: [t, m, 4] world_from_local rotations as (w, x, y, z), of length one; NaN likewise.
        birth: [m] int64 first step at which each exists.
        death: [m] int64 first step at which it no longer does; t for those that last.

    Raises:
        ShapeError: sizes or types disagree, or ids, times or lifetimes are out of order.
    """

    gaussians: Gaussians
    ids: Tensor
    times: Tensor
    means: Tensor
    quats: Tensor
    birth: Tensor
    death: Tensor

    def __post_init__(self) -> None:
        for name in ("ids", "birth", "death"):
            if getattr(self, name).dtype != torch.int64:
                raise ShapeError(f"{name} are {getattr(self, name).dtype}, expected torch.int64")
        if self.times.dtype != torch.float64:
            raise ShapeError(f"times are {self.times.dtype}, expected torch.float64")
        check_shapes(
            means=(self.means, "t m 3"), quats=(self.quats, "t m 4"), like=self.gaussians.means
        )  # fmt: skip
        check_shapes(ids=(self.ids, "m"), birth=(self.birth, "m"), death=(self.death, "m"))
        steps, moving = self.means.shape[:2]
        if len(self.times) != steps or len(self.ids) != moving or steps < 1:
            raise ShapeError(
                f"means are of {steps} steps and {moving} Gaussians, but there are {len(self.times)} times "
                f"and {len(self.ids)} ids"
            )
        if not (self.times.diff() > 0).all() or not self.times.isfinite().all():
            raise ShapeError("times are not ascending")
        if moving and not (
            (self.ids.diff() > 0).all() and self.ids[0] >= 0 and self.ids[-1] < len(self.gaussians)
        ):
            raise ShapeError(f"ids are not ascending rows of the {len(self.gaussians)} Gaussians")
        if not ((self.birth >= 0) & (self.birth < self.death) & (self.death <= steps)).all():
            raise ShapeError(f"birth and death are not steps from 0 to {steps}, birth before death")

    def __len__(self) -> int:
        return len(self.gaussians)

    def __repr__(self) -> str:
        return (
            f"DynamicScene({len(self)} Gaussians, {len(self.ids)} of them moving, {len(self.times)} steps "
            f"from {float(self.times[0]):g} to {float(self.times[-1]):g} s)"
        )

    @property
    def num_steps(self) -> int:
        """Number of steps t."""
        return len(self.times)

    @property
    def rate(self) -> float:
        """Steps a second, of the median step; 1 where there is one step only."""
        return float(1 / self.times.diff().quantile(0.5)) if self.num_steps > 1 else 1.0

    def alive(self, step: int) -> Tensor:
        """[m] bool: which of the moving Gaussians exist at a step."""
        return (self.birth <= step) & (step < self.death)

    def at_birth(self) -> Gaussians:
        """All n Gaussians, each where it first exists."""
        columns = torch.arange(len(self.ids), device=self.means.device)
        means, quats = self.gaussians.means.clone(), self.gaussians.quats.clone()
        means[self.ids] = self.means[self.birth, columns]
        quats[self.ids] = self.quats[self.birth, columns]
        return replace(self.gaussians, means=means, quats=quats)

    def at(self, time: float) -> Scene:
        """The scene at any time, also between two steps.

        Positions follow cubic Hermite splines through the steps, with tangents by finite differences over
        the neighbouring steps; rotations turn at a constant rate from step to step (slerp). A Gaussian that
        exists at one step only keeps its pose until the next.

        Args:
            time: seconds, clamped to the first and last step.

        Returns:
            The Gaussians that exist then. Their identities are the rows of ``gaussians``.

        Raises:
            ConfigError: ``time`` is not finite.
        """
        if not float("-inf") < time < float("inf"):
            raise ConfigError(f"time is {time}; give seconds from {self.times[0]:g} to {self.times[-1]:g}")
        time = min(max(time, float(self.times[0])), float(self.times[-1]))
        step = min(int(torch.searchsorted(self.times, time, right=True)) - 1, self.num_steps - 1)
        means, quats = self.poses(time, step)
        gaussians = self.gaussians
        all_means, all_quats = gaussians.means.clone(), gaussians.quats.clone()
        all_means[self.ids], all_quats[self.ids] = means, quats
        exists = torch.ones(len(self), dtype=torch.bool, device=all_means.device)
        exists[self.ids] = self.alive(step)
        metadata = replace(metadata_of(gaussians), time=time)
        rows = torch.arange(len(self), device=all_means.device)
        fields = {**gaussians.tensors(), "means": all_means, "quats": all_quats}
        return Scene(**fields, metadata=metadata, identities=rows).select(exists)

    def poses(self, time: float, step: int) -> tuple[Tensor, Tensor]:
        """Means [m, 3] and rotations [m, 4] between a step and the next; NaN where there are none."""
        after = step + 1
        means, quats = self.means[step], self.quats[step]
        if after == self.num_steps or time == float(self.times[step]):
            return means, quats
        span = float(self.times[after] - self.times[step])
        share = (time - float(self.times[step])) / span
        lasts = self.alive(after)[:, None]
        between = _hermite(
            means, self.means[after], span * self._velocity(step), span * self._velocity(after), share
        )
        return torch.where(lasts, between, means), torch.where(
            lasts, slerp(quats, self.quats[after], share), quats
        )

    def _velocity(self, step: int) -> Tensor:
        """[m, 3] finite differences over the neighbouring steps that exist; zero where none does."""
        before, after = max(step - 1, 0), min(step + 1, self.num_steps - 1)
        here = self.means[step]

        def rate(first: int, last: int) -> Tensor:
            span = float(self.times[last] - self.times[first])
            return (self.means[last] - self.means[first]) / span if span else torch.full_like(here, torch.nan)

        ahead, behind, both = rate(step, after), rate(before, step), rate(before, after)
        one_sided = torch.where(ahead.isnan(), behind, ahead)
        return torch.where(ahead.isnan() | behind.isnan(), one_sided, both).nan_to_num(0.0)


def _hermite(start: Tensor, end: Tensor, start_tangent: Tensor, end_tangent: Tensor, share: float) -> Tensor:
    """A cubic with the given values and derivatives at 0 and 1."""
    u, v = share, 1 - share
    return (
        (1 + 2 * u) * v * v * start
        + u * v * v * start_tangent
        + u * u * (1 + 2 * v) * end
        - u * u * v * end_tangent
    )


def slerp(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Interpolate rotations along the shorter arc at a constant rate.

    Args:
        start, end: [n, 4] quaternions of length one.
        share: from 0 (start) to 1 (end).

    Returns:
        [n, 4] of length one.

    Source: Shoemake 1985.
    """
    cosine = (start * end).sum(-1, keepdim=True)
    end = torch.where(cosine < 0, -end, end)
    angle = torch.acos(cosine.abs().clamp(max=1.0))
    sine = torch.sin(angle)
    near = sine < _NEARLY_EQUAL
    divisor = torch.where(near, 1.0, sine)
    first = torch.where(near, 1 - share, torch.sin((1 - share) * angle) / divisor)
    second = torch.where(near, share, torch.sin(share * angle) / divisor)
    return normalised(first * start + second * end)
