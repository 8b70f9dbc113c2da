"""How well the expected error agrees with the true one, inside the training views' envelope and outside.

    python benchmarks/envelope.py DATA --sets still_life fox_colmap
    python benchmarks/envelope.py DATA --sets fox_colmap --next --steps 400

DATA is a folder with datasets. A fifth of the views, at one end of the capture, is kept out of training; of
the still life, its held-out views. Every eighth of the others is held out too, to calibrate. With --next,
three views of the region kept out are added to the training views, chosen by the expected error, as the
farthest from those there are, or at random, and PSNR is that of the rest of the region.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import HERE, print_table, save
from scipy.stats import spearmanr

from sfumato import Capture, Gaussians, TrainConfig, evaluate, load_capture, train
from sfumato.envelope.candidates import low_resolution
from sfumato.envelope.error_calibration import (
    ViewErrors,
    compare,
    crossed_shares,
    fitted,
    rank_correlations,
    shares,
)
from sfumato.envelope.next_photographs import best_views, render_candidate
from sfumato.envelope.refits import refit
from sfumato.envelope.sightings import gather
from sfumato.envelope.trust import Trust
from sfumato.render.settings import RasterSettings

DOWNSCALE = {"lego": 1, "still_life": 1, "fox_colmap": 2, "south_building": 3, "can": 4, "cup": 3, "mouse": 4}
OWN = {"still_life": HERE.parent / "demo" / "still_life"}
_REGION, _NEAR_EVERY, _ADDED = 0.2, 8, 3


def parted(capture: Capture, own_split: bool) -> tuple[Capture, list[str], list[str]]:
    """A capture that holds out a region and every eighth of its other views; the names of both."""
    names = [view.name for view in capture.views]
    if own_split:
        region = [name for name in names if name in capture.test_names]
    else:
        centres = torch.stack([view.camera.centre_world for view in capture.views]).numpy()
        axis = np.linalg.svd(centres - centres.mean(0), full_matrices=False)[2][0]
        far = np.linalg.norm(centres - centres[np.argmax(centres @ axis)], axis=1)
        region = [names[row] for row in np.argsort(far)[: max(5, round(_REGION * len(names)))]]
    near = [name for name in names if name not in region][_NEAR_EVERY // 2 :: _NEAR_EVERY]
    return replace(capture, test_names=frozenset(region + near)), region, near


def trusted(capture: Capture, steps: int, seed: int = 0) -> tuple[Gaussians, Trust]:
    """A trained scene, and its trust before calibration."""
    gaussians = train(capture, TrainConfig(steps=steps, seed=seed)).gaussians
    settings = RasterSettings(background=capture.render_background, depth=False)
    evidence = gather(gaussians, capture.train_views, settings)
    refits = refit(gaussians, capture.train_views, settings)
    return gaussians, Trust(gaussians.detach(), evidence, settings, refits=refits)


def agreement(capture: Capture, region: list[str], near: list[str], steps: int) -> dict[str, Any]:
    """Rank correlations, and how far shares are from those stated, calibrated on (other) near views."""
    _, trust = trusted(capture, steps)
    errors = dict(zip([v.name for v in capture.test_views], compare(trust, capture.test_views), strict=True))
    calibration = fitted([errors[name] for name in near])
    pixels, views = rank_correlations(list(errors.values()))
    row: dict[str, Any] = {"pixels": pixels, "views": views}
    row["without half-samples"] = rank_correlations(compare(replace(trust, refits=None), capture.test_views))[
        0
    ]
    row["coverage alone"] = rank_correlations(compare(_coverage_alone(trust), capture.test_views))[0]
    row["camera distance alone"] = _by_distance(capture, errors)
    off = {
        "near": crossed_shares([errors[name] for name in near]),
        "region": shares(calibration, [errors[name] for name in region]),
    }
    for where, rows in off.items():
        row[f"{where} shares off by"] = max(abs(one["stated"] - one["measured"]) for one in rows)
    return row


def _coverage_alone(trust: Trust) -> Trust:
    """The trust that knows only from where Gaussians were seen."""
    flat = replace(trust.evidence, residuals=torch.full_like(trust.evidence.residuals, 0.02))
    return replace(trust, evidence=flat, refits=None)


def _by_distance(capture: Capture, errors: dict[str, ViewErrors]) -> float:
    """Rank correlation of pixels, by the distance of a view from the nearest training camera."""
    centres = torch.stack([view.camera.centre_world for view in capture.train_views])
    far = [float((centres - e.camera.centre_world).norm(dim=1).min()) for e in errors.values()]
    measured = [e.measured.numpy() for e in errors.values()]
    return float(spearmanr(np.repeat(far, [len(m) for m in measured]), np.concatenate(measured))[0])


def next_photographs(capture: Capture, region: list[str], steps: int, seed: int) -> dict[str, float]:
    """PSNR of what is left of the region after photographs of it were added."""
    pool = [view for view in capture.views if view.name in region]
    _, trust = trusted(capture, steps, seed)
    chosen = best_views(
        trust, [render_candidate(trust, low_resolution(view.camera)) for view in pool], _ADDED
    )
    ways = {
        "expected error": [pool[one.row].name for one in chosen],
        "farthest": _farthest(capture, pool),
        "random": [str(n) for n in np.random.default_rng(seed).choice(region, _ADDED, replace=False)],
    }
    found = {}
    for way, names in ways.items():
        with_them = replace(capture, test_names=capture.test_names - set(names))
        scene = train(with_them, TrainConfig(steps=steps, seed=seed)).gaussians
        report = evaluate(scene, pool, background=capture.render_background, lpips=False)
        # Photographs that were added are seen; those that no way has added tell.
        added = {name for other in ways.values() for name in other}
        found[way] = float(np.mean([v.psnr for v in report.views if v.name not in added]))
    return found


def _farthest(capture: Capture, pool: Sequence[Any]) -> list[str]:
    centres = [view.camera.centre_world for view in capture.train_views]
    chosen: list[str] = []
    for _ in range(_ADDED):
        far = [min(float((v.camera.centre_world - c).norm()) for c in centres) for v in pool]
        view = pool[int(np.argmax(far))]
        chosen.append(view.name)
        centres.append(view.camera.centre_world)
    return chosen


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", choices=DOWNSCALE, default=list(DOWNSCALE))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--next", action="store_true", help="photographs added to the training views")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--shrink", type=int, default=1, help="further factor by which pictures are reduced")
    parser.add_argument("--quick", action="store_true", help="a trial that is not kept")
    given = parser.parse_args()
    results: list[dict[str, Any]] = []
    for name in given.sets:
        folder = OWN.get(name, given.data / name)
        capture = load_capture(folder, downscale=DOWNSCALE[name] * given.shrink)
        capture, region, near = parted(capture, name in OWN)
        if given.next:
            for seed in range(given.seeds):
                found = next_photographs(capture, region, given.steps, seed)
                results.append({"set": name, "seed": seed, **found})
                print(json.dumps(results[-1]), flush=True)
        else:
            results.append({"set": name, **agreement(capture, region, near, given.steps)})
            print(json.dumps(results[-1]), flush=True)
    headings = list(results[0])
    print_table("Envelope", headings, [[row[key] for key in headings] for row in results])
    save("next_photographs" if given.next else "envelope", results, quick=given.quick)


if __name__ == "__main__":
    main()
