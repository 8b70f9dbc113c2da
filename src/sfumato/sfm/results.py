"""The outcome of structure from motion: where the world is put, what is missing, and what is said of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sfumato.display import Display
from sfumato.footage.records import Footage
from sfumato.sfm import report, upright
from sfumato.sfm.config import SfmConfig

if TYPE_CHECKING:
    import pycolmap

_log = logging.getLogger("sfumato")

_NAMES_SHOWN = 6


@dataclass(frozen=True)
class Outcome:
    """What was found.

    Attributes:
        quality: in numbers.
        verdict: good, usable or poor.
        against: what speaks against it.
        missing: a likely reason for each picture without a camera, by name, sorted.
        other_models: groups of pictures that do not meet the one that is used.
    """

    quality: report.Quality
    verdict: str
    against: list[str]
    missing: Mapping[str, str]
    other_models: int


def summarised(
    footage: Footage, model: pycolmap.Reconstruction, database: Path, *, other_models: int
) -> Outcome:
    """What was found in ``footage``: measured, judged, and why the rest was not."""
    quality = report.measure(model, len(footage.pictures))
    verdict, against = quality.verdict()
    missing = dict(sorted(report.why_missing(footage, model, database).items()))
    return Outcome(quality, verdict, against, missing, other_models)


@dataclass(frozen=True)
class Placing:
    """Where the world is put.

    Attributes:
        similarity: from the mapper's world to the one that is written.
        gravity: in the mapper's world, and how it was found.
    """

    similarity: upright.Similarity
    gravity: upright.Gravity

    @staticmethod
    def found(footage: Footage, model: pycolmap.Reconstruction, config: SfmConfig) -> Placing:
        """Upright, its origin in the middle, and to scale if a distance is known."""
        images = sorted((model.images[i] for i in model.reg_image_ids()), key=lambda image: image.name)
        rotations = np.array([image.cam_from_world().rotation.matrix() for image in images])
        centres = {image.name: np.asarray(image.projection_center()) for image in images}
        told = {p.name: np.array(p.gravity) for p in footage.pictures if p.gravity is not None}
        recorded = {i: told[image.name] for i, image in enumerate(images) if image.name in told}
        gravity = upright.Gravity(None, "left as it was found")
        if config.upright:
            gravity = upright.find_gravity(rotations, recorded)
        similarity = upright.IDENTITY
        if gravity.direction is not None:
            points = np.array([point.xyz for _, point in sorted(model.points3D.items())]).reshape(-1, 3)
            places = np.array(list(centres.values()))
            similarity = upright.upright_similarity(gravity.direction, points, places, rotations[0, 2])
        if config.known_distance:
            similarity = upright.scaled(similarity, centres, config.known_distance)
        return Placing(similarity, gravity)

    def to_plain(self) -> dict[str, Any]:
        """Its part of ``sfm.json``."""
        return {
            "up": "-y" if self.gravity.direction is not None else None,
            "gravity_from": self.gravity.found_by,
            "from_mapper": self.similarity.matrix.tolist(),
        }


def say(outcome: Outcome, seconds: float, display: Display) -> None:
    """Tell the user what was found, what was not and why, and whether it will do."""
    display.say(f"cameras: {report.describe(outcome.quality, seconds)}")
    for name, reason in list(outcome.missing.items())[:_NAMES_SHOWN]:
        display.say(f"  without a camera: {name}: {reason}")
    if len(outcome.missing) > _NAMES_SHOWN:
        display.say(f"  and {len(outcome.missing) - _NAMES_SHOWN} more; sfm.json lists them")
    if outcome.other_models:
        _log.warning(
            "the pictures fall into %d groups that do not overlap; the largest is used",
            outcome.other_models + 1,
        )
    display.say(f"verdict: {outcome.verdict}{': ' if outcome.against else ''}{'; '.join(outcome.against)}")
