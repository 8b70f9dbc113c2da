"""Quantities that change over a run, as functions of its progress from 0 to 1."""

from __future__ import annotations

from sfumato.training.config import Rates, Schedule


def log_linear(start: float, end: float, progress: float) -> float:
    """``start`` at 0, ``end`` at 1, linear in the logarithm in between."""
    progress = min(max(progress, 0.0), 1.0)
    return start ** (1 - progress) * end**progress


def rate_of(rates: Rates, name: str, progress: float) -> float:
    """Learning rate of the parameter ``name``; that of the means is in units of the scene's depth."""
    if name == "means":
        return log_linear(rates.means_start, rates.means_end, progress)
    start = getattr(rates, name)
    cooled = (progress - rates.cool_from) / (1 - rates.cool_from)
    return log_linear(start, start * rates.end_factor, cooled)


def downscale_at(schedule: Schedule, progress: float) -> int:
    """Factor by which photographs are reduced: 4, 2 or 1."""
    if progress < schedule.quarter_resolution_until:
        return 4
    return 2 if progress < schedule.half_resolution_until else 1


def sh_degree_at(schedule: Schedule, highest: int, progress: float) -> int:
    """SH degree in use."""
    return min(highest, sum(progress >= share for share in schedule.sh_raises))


def refinement_is_due(schedule: Schedule, step: int, run_steps: float) -> bool:
    """Whether a step ends with a densification: every so many, at most a share of the run apart in long runs.

    Args:
        schedule: of the run.
        step: number of the step, from 1.
        run_steps: number of steps of the run.
    """
    # A power of two, so that intervals nest when the estimate of ``run_steps`` changes during a run. The
    # margin is for its rounding, so that all steps of a run agree.
    wanted = schedule.refine_share * run_steps / schedule.refine_every + 1e-6
    apart = 1 << max(int(wanted).bit_length() - 1, 0)
    return step % (apart * schedule.refine_every) == 0


def gaussians_allowed(schedule: Schedule, start: int, cap: int, progress: float) -> int:
    """Current cap on the number of Gaussians: from ``start`` to ``cap`` during densification."""
    share = (progress - schedule.refine_from) / (schedule.refine_until - schedule.refine_from)
    share = min(max(share, 0.0), 1.0)
    # Fast at first, as Gaussians that are added later have fewer steps to converge.
    return max(start, round(start + (cap - start) * (1 - (1 - share) ** 2)))
