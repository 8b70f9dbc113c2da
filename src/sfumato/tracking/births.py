"""Gaussians of what comes into view after the first step, and the end of those of what has gone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sfumato.capture.points import PointCloud
from sfumato.capture.random_points import look, rays_through, spread_out
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.cut_photographs import Photographs, part_losses
from sfumato.tracking.evidence import Evidence, evidence
from sfumato.tracking.track_state import LASTING, MovingPoses, StepResult, TrackState, together
from sfumato.tracking.vote import move_by_vote
from sfumato.training.start import gaussians_from_points

# Of the cameras that have a place in their picture, so many have to agree on what is missing or absent there.
_AGREEING = 0.75
# Places on rays through pixels where something is missing, up to this many median distances of the Gaussians.
_CANDIDATES, _FARTHEST = 60_000, 2.0
# Something is missing if so many cameras see it in this share of their pictures.
_LEAST_CAMERAS, _LEAST_SHARE = 3, 5e-4
# Gaussians that are added in a step: at least and at most.
_LEAST_BORN, MOST_BORN = 16, 1_500
_MOST_LOOKED_AT = 8
# What is born is trained for so many visits of each camera, and kept if it is more opaque than this.
_VISITS, _LEAST_OPACITY = 4, 0.1
# Its learning rates: those of the means are pixels, as of the fine stage.
_RATES = {"means": 0.3, "log_scales": 0.03, "quats": 0.02, "logit_opacities": 0.1, "sh": 0.02}


def with_changes(
    state: TrackState, photographs: Photographs, expected: MovingPoses, found: MovingPoses
) -> StepResult:
    """Complete a step by what is born in it, and what is seen to be absent.

    What is not there has nothing to follow, and descends to where it is in nobody's way. So it is also looked
    for where it was expected, and goes on from there.

    Args:
        state: before the step.
        photographs: of the step.
        expected: poses that the step began with.
        found: in it.
    """
    seen = evidence(state, photographs, found)
    gone = _agreed(found.means, seen, "absent")
    gone |= _agreed(expected.means, evidence(state, photographs, expected), "absent")
    poses = MovingPoses(
        torch.where(gone[:, None], expected.means, found.means),
        torch.where(gone[:, None], expected.quats, found.quats),
    )
    absent = _counted(state.absent, gone)
    doubtful = torch.zeros_like(state.doubtful)
    rows = torch.nonzero(state.doubtful)[:, 0]
    doubtful[rows] = _agreed(state.still_gaussians.means[rows], seen, "absent")
    still_absent = _counted(state.still_absent, doubtful)
    places = _missing_places(state, seen)
    missing = state.missing + 1 if len(places) >= _LEAST_BORN else 0
    born = _grown(state, photographs, poses, places) if missing >= LASTING else None
    return StepResult(poses, born, absent, still_absent, missing)


def _counted(before: Tensor, absent: Tensor) -> Tensor:
    """Steps in a row, of which there are ``before`` already."""
    return torch.where(absent, before + 1, 0)


def _agreed(means: Tensor, seen: Sequence[Evidence], kind: str) -> Tensor:
    """[n] bool: places [n, 3] at which enough cameras see something of a kind."""
    masks = ((view.camera, getattr(view, kind)) for view in seen)
    return torch.from_numpy(move_by_vote(means.double().numpy(), masks, _AGREEING))


def _missing_places(state: TrackState, seen: Sequence[Evidence]) -> np.ndarray:
    """[p, 3] places at which enough cameras see something that is missing."""
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
    """Gaussians at some places, trained on the photographs while all others stay; None: none lasts."""
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
    """Gaussians after some visits of all cameras; all others stay as they are."""
    moving = state.moved(poses)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in start.tensors().items()}
    rates = {**_RATES, "means": _RATES["means"] * state.pixel_size}
    adam = torch.optim.Adam(
        [{"params": [leaf], "lr": rates[name]} for name, leaf in leaves.items()], eps=1e-15
    )
    generator = torch.Generator().manual_seed((state.config.seed << 20) + state.step)
    for _ in range(_VISITS):
        for index in torch.randperm(len(photographs), generator=generator).tolist():
            scene = together(moving, Gaussians(**leaves))
            loss = sum(part_losses(state, photographs.parts(index, 1), scene), torch.zeros(()))
            if loss.requires_grad:
                loss.backward()
                adam.step()
                adam.zero_grad(set_to_none=True)
    return Gaussians(**{name: leaf.detach() for name, leaf in leaves.items()})
