"""The summary of structure from motion: world frame, missing pictures and messages."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sfumato.display import Display
from sfumato.footage.frames_file import Footage
from sfumato.sfm import georeference, report, upright
from sfumato.sfm.config import SfmConfig
from sfumato.sfm.mapping import LEAST_PICTURES

if TYPE_CHECKING:
    import pycolmap

_log = logging.getLogger("sfumato")

_NAMES_SHOWN = 6


@dataclass(frozen=True)
class Outcome:
    """The outcome of structure from motion.

    Attributes:
        quality: quality measures.
        verdict: good, usable or poor.
        against: reasons against a good verdict.
        missing: a likely reason for each picture without a camera, by name, sorted.
        other_models: number of separate models that are not used.
        torn_pairs: consecutive pictures that match well but contradict their cameras.
    """

    quality: report.SfmQuality
    verdict: str
    against: list[str]
    missing: Mapping[str, str]
    other_models: int
    torn_pairs: int = 0


def summarised(
    footage: Footage,
    model: pycolmap.Reconstruction,
    database: Path,
    *,
    other_models: int,
    torn_pairs: int = 0,
    is_given: bool,
) -> Outcome:
    """The outcome for ``footage``: measures, verdict, and reasons for missing pictures."""
    quality = report.measure(model, len(footage.pictures), is_given=is_given)
    verdict, against = quality.verdict()
    if torn_pairs:
        verdict = report.USABLE if verdict == report.GOOD else verdict
        against = [*against, "similar places may have been confused"]
    if footage.spared and against:
        against = [*against, f"{footage.spared} pictures are left out: give more --minutes or --max-photos"]
    missing = dict(sorted(report.why_missing(footage, model, database).items()))
    # Some of their pictures may have joined the largest group since.
    other_models = min(other_models, len(missing) // LEAST_PICTURES)
    return Outcome(quality, verdict, against, missing, other_models, torn_pairs)


@dataclass(frozen=True)
class WorldFrame:
    """The choice of the world frame.

    Attributes:
        similarity: from the mapper's world to the one that is written.
        gravity: in the mapper's world, and how it was found.
        unit: description of the unit of the written world.
        ground: the georeference; None if there is none.
        places: number of registered pictures with a GPS position.
    """

    similarity: upright.Similarity
    gravity: upright.Gravity
    unit: str = "as given"
    ground: georeference.Ground | None = None
    places: int = 0

    @staticmethod
    def found(footage: Footage, model: pycolmap.Reconstruction, config: SfmConfig) -> WorldFrame:
        """Upright, with its origin at the centre; to scale if a distance or enough GPS positions are
        known."""
        images = sorted((model.images[i] for i in model.reg_image_ids()), key=lambda image: image.name)
        rotations = np.array([image.cam_from_world().rotation.matrix() for image in images])
        centres = {image.name: np.asarray(image.projection_center()) for image in images}
        gravity_of = {p.name: np.array(p.gravity) for p in footage.pictures if p.gravity is not None}
        recorded = {i: gravity_of[image.name] for i, image in enumerate(images) if image.name in gravity_of}
        place_of = {p.name: p.place for p in footage.pictures if p.place is not None}
        places = [place_of.get(image.name) for image in images]
        points = np.array([point.xyz for _, point in sorted(model.points3D.items())]).reshape(-1, 3)
        camera_centres = np.array(list(centres.values()))
        gravity, ground = upright.Gravity(None, "left as it was found"), None
        if config.upright:
            gravity = upright.find_gravity(rotations, recorded, centres=camera_centres, points=points)
            ground = georeference.aligned_to_gps(camera_centres, places, gravity, seed=config.seed)
        similarity, unit = upright.IDENTITY, "arbitrary"
        if ground is not None:
            ground = georeference.moved(ground, np.median(points if len(points) else camera_centres, axis=0))
            similarity, unit = ground.similarity, "metres"
            gravity = upright.Gravity(ground.gravity, ground.gravity_by, True)
        elif gravity.direction is not None:
            similarity = upright.upright_similarity(
                gravity.direction, points, camera_centres, rotations[0, 2]
            )
        if config.known_distance:
            similarity, unit = upright.scaled(similarity, centres, config.known_distance), "as given"
        num_places = sum(place is not None for place in places) if config.upright else 0
        return WorldFrame(similarity, gravity, unit, ground, num_places)

    def to_plain(self) -> dict[str, Any]:
        """Its part of ``sfm.json``."""
        return {
            "up": "-y" if self.gravity.direction is not None else None,
            "gravity_from": self.gravity.found_by,
            "from_mapper": self.similarity.matrix.tolist(),
            "unit": self.unit,
            **(self.ground.to_plain() if self.ground else {}),
        }

    def words(self) -> str | None:
        """The result of GPS alignment, in a line; None without GPS."""
        if self.ground is not None:
            size = "" if self.unit != "metres" else "in metres, "
            return f"world: {size}north along +z: {self.ground.words()}"
        if self.places:
            return f"world: GPS of {self.places} pictures is not used: too few, or too far from their cameras"
        return None


def say(outcome: Outcome, placing: WorldFrame, seconds: float, display: Display) -> None:
    """Print what was found, what was not and why, and the verdict."""
    display.say(f"cameras: {report.describe(outcome.quality, seconds)}")
    for name, reason in list(outcome.missing.items())[:_NAMES_SHOWN]:
        display.say(f"  without a camera: {name}: {reason}")
    if len(outcome.missing) > _NAMES_SHOWN:
        display.say(f"  and {len(outcome.missing) - _NAMES_SHOWN} more; sfm.json lists them")
    if words := placing.words():
        display.say(words)
    if outcome.other_models:
        _log.warning(
            "of the %d pictures without a camera, some form %s without overlap with the others; take "
            "pictures between them, or reconstruct them alone",
            len(outcome.missing),
            "a group" if outcome.other_models == 1 else f"{outcome.other_models} groups",
        )
    if outcome.torn_pairs:
        _log.warning(
            "similar places may have been confused: %d pairs of consecutive pictures "
            "contradict their cameras; use more pictures, closer to each other, or give more --minutes",
            outcome.torn_pairs,
        )
    display.say(f"verdict: {outcome.verdict}{': ' if outcome.against else ''}{'; '.join(outcome.against)}")
    remark = outcome.quality.remark()
    if remark:
        display.say(f"  {remark}")
