"""Birth of Gaussians for objects that appear after the first step, and death of those that disappear."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sfumato.capture.points import PointCloud
from sfumato.capture.random_points import look, rays_through, spread_out
from sfumato.ops.in_threads import in_threads
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.evidence import Evidence, evidence
from sfumato.tracking.photograph_parts import Photographs, part_losses
from sfumato.tracking.track_state import MISSING_STEPS, MovingPoses, StepResult, TrackState, concatenated
from sfumato.tracking.vote import move_by_vote
from sfumato.training.start import gaussians_from_points

# Share of the cameras observing a position that must agree that something is missing or absent there.
_AGREEING = 0.75
# Positions sampled on rays through missing pixels, up to this multiple of the Gaussians' median distance.
_CANDIDATES, _FARTHEST = 60_000, 2.0
# Something is missing if at least this many cameras see it in at least this share of their pixels.
_LEAST_CAMERAS, _LEAST_SHARE = 3, 5e-4
# Least and largest number of Gaussians added in a step.
_LEAST_BORN, MOST_BORN = 16, 1_500
_MOST_LOOKED_AT = 8
# Visits of each camera to train new Gaussians, and the least opacity of those that are kept.
_VISITS, _LEAST_OPACITY = 4, 0.1
# Learning rates of new Gaussians; that of the means is in pixels.
_RATES = {"means": 0.3, "log_scales": 0.03, "quats": 0.02, "logit_opacities": 0.1, "sh": 0.02}


def with_changes(
    state: TrackState, photographs: Photographs, expected: MovingPoses, found: MovingPoses
) -> StepResult:
    """Complete a step with the new Gaussians and those found to be absent.

    A Gaussian whose object is absent has no image to follow, and the optimisation moves it to an arbitrary
    position. Absence is therefore also tested at the expected pose, from which the Gaussian continues.

    Args:
        state: before the step.
        photographs: of the step.
        expected: predicted poses.
        found: optimised poses.
    """
    seen = evidence(state, photographs, found, expected)
    gone = _agreed(found.means, seen, "absent") | _agreed(expected.means, seen, "absent_as_expected")
    poses = MovingPoses(
        torch.where(gone[:, None], expected.means, found.means),
        torch.where(gone[:, None], expected.quats, found.quats),
    )
    absent = _counted(state.absent, gone)
    doubtful = torch.zeros_like(state.doubtful)
    rows = torch.nonzero(state.doubtful)[:, 0]
    doubtful[rows] = _agreed(state.still_gaussians.means[rows], seen, "still_absent")
    still_absent = _counted(state.still_absent, doubtful)
    places = _missing_places(state, seen)
    missing = state.missing + 1 if len(places) >= _LEAST_BORN else 0
    born = _grown(state, photographs, poses, places) if missing >= MISSING_STEPS else None
    return StepResult(poses, born, absent, still_absent, missing)


def _counted(before: Tensor, absent: Tensor) -> Tensor:
    """The number of consecutive absent steps, given that of the step before."""
    return torch.where(absent, before + 1, 0)


def _agreed(means: Tensor, seen: Sequence[Evidence], kind: str) -> Tensor:
    """[n] bool: positions [n, 3] at which enough cameras show a given kind of evidence."""
    masks = ((view.camera, getattr(view, kind)) for view in seen)
    return torch.from_numpy(move_by_vote(means.double().numpy(), masks, _AGREEING))


def _missing_places(state: TrackState, seen: Sequence[Evidence]) -> np.ndarray:
    """[p, 3] positions at which enough cameras see something missing."""
    seeing = [view for view in seen if (view.missing > 0).float().mean() > _LEAST_SHARE]
    if len(seeing) < _LEAST_CAMERAS:
        return np.zeros((0, 3))
    rng = np.random.default_rng((state.config.seed, state.step))
    each = _CANDIDATES // len(seeing)
    farthest = _FARTHEST * state.distance
    found = []
    for view in seeing:
        pixels = torch.nonzero(view.missing > 0).numpy()[:, ::-1]
        pixels = pixels[rng.integers(len(pixels), size=each)] + rng.random((each, 2))
        centre, rays = rays_through(view.camera, pixels)
        depth = farthest * rng.random((each, 1))
        found.append(centre + depth * rays)
    places = np.concatenate(found)
    return places[move_by_vote(places, ((view.camera, view.missing) for view in seen), _AGREEING)]


def _grown(
    state: TrackState, photographs: Photographs, poses: MovingPoses, places: np.ndarray
) -> Gaussians | None:
    """New Gaussians at given positions, trained with all others fixed; None if too few remain opaque."""
    views = [state.cameras[number].views[photographs.step] for number in photographs.numbers]
    rng = np.random.default_rng((state.config.seed, state.step))
    places = places[rng.permutation(len(places))[:MOST_BORN]]
    colours = look(spread_out([view for view in views if view], _MOST_LOOKED_AT), places)[1]
    start = gaussians_from_points(
        PointCloud(places.astype(np.float32), colours), sh_degree=state.gaussians.sh_degree
    )
    born = _trained(state, photographs, poses, start)
    born = born.select(born.opacities >= _LEAST_OPACITY)
    return born if len(born) >= _LEAST_BORN else None


@torch.enable_grad()
def _trained(state: TrackState, photographs: Photographs, poses: MovingPoses, start: Gaussians) -> Gaussians:
    """Gaussians after some visits of all cameras; all others are fixed."""
    moving = state.moved(poses)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in start.tensors().items()}
    rates = {**_RATES, "means": _RATES["means"] * state.pixel_size}
    adam = torch.optim.Adam(
        [{"params": [leaf], "lr": rates[name]} for name, leaf in leaves.items()], eps=1e-15
    )
    generator = torch.Generator().manual_seed((state.config.seed << 20) + state.step)
    parts = in_threads(lambda index: photographs.parts_with(index, start), range(len(photographs)))
    for _ in range(_VISITS):
        for index in torch.randperm(len(photographs), generator=generator).tolist():
            scene = concatenated(moving, Gaussians(**leaves))
            loss = sum(part_losses(state, parts[index], scene), torch.zeros(()))
            if loss.requires_grad:
                loss.backward()
                adam.step()
                adam.zero_grad(set_to_none=True)
    return Gaussians(**{name: leaf.detach() for name, leaf in leaves.items()})
