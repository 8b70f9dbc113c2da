"""What structure from motion found, in numbers and in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from sfumato.footage.records import Footage, Picture
from sfumato.sfm.kept import using
from sfumato.sfm.parts import PAIR_BASE

if TYPE_CHECKING:
    import pycolmap

GOOD, USABLE, POOR = "good", "usable", "poor"
# What a scene needs to be worth training: from what was seen on captures that worked and did not.
_GOOD_SHARE, _USABLE_SHARE = 0.9, 0.5
_GOOD_TRACK, _GOOD_ANGLE_DEG = 3.0, 3.0
_LEAST_POINTS_PER_PICTURE, _HOPELESS_POINTS_PER_PICTURE = 20, 5
_LEAST_PICTURES = 8
# A picture is called blurred or dark against the others of its camera.
_BLURRED, _DARK = 0.5, 0.06
_FEW_FEATURES, _FEW_MATCHES = 80, 30


@dataclass(frozen=True)
class Quality:
    """How good a reconstruction is.

    Attributes:
        pictures: that were given.
        registered: that have a camera.
        points: number of them.
        track_length: pictures that see a point, mean.
        error_px: mean distance of features from their points' projections.
        angle_deg: median over points of the widest angle under which two cameras see it.
    """

    pictures: int
    registered: int
    points: int
    track_length: float
    error_px: float
    angle_deg: float

    def verdict(self) -> tuple[str, list[str]]:
        """``good``, ``usable`` or ``poor``, and what speaks against it."""
        share, against = self.registered / self.pictures, []
        if share < _GOOD_SHARE:
            against.append(f"only {self.registered} of {self.pictures} pictures have a camera")
        if self.registered < _LEAST_PICTURES:
            against.append(f"{self.registered} pictures are few for a scene: take 20 or more")
        if self.points < _LEAST_POINTS_PER_PICTURE * self.registered:
            against.append(f"only {self.points} points: the pictures show little texture or overlap little")
        if self.track_length < _GOOD_TRACK:
            against.append(
                f"a point is seen by {self.track_length:.1f} pictures only: take them closer together"
            )
        if self.angle_deg < _GOOD_ANGLE_DEG:
            against.append(
                f"points are seen under {self.angle_deg:.1f} degrees: move the camera, do not only turn it"
            )
        weak = self.points < _LEAST_POINTS_PER_PICTURE * self.registered or self.angle_deg < _GOOD_ANGLE_DEG
        hopeless = self.points < _HOPELESS_POINTS_PER_PICTURE * self.registered
        if hopeless or share < _USABLE_SHARE or (weak and self.registered < _LEAST_PICTURES):
            return POOR, against
        return (USABLE if against else GOOD), against


def measure(model: pycolmap.Reconstruction, pictures: int) -> Quality:
    """Measure a reconstruction of ``pictures`` pictures."""
    return Quality(
        pictures,
        model.num_reg_images(),
        model.num_points3D(),
        model.compute_mean_track_length(),
        model.compute_mean_reprojection_error(),
        _median_angle_deg(model),
    )


def why_missing(footage: Footage, model: pycolmap.Reconstruction, database: Path) -> dict[str, str]:
    """A likely reason for every picture without a camera, by name."""
    placed = {model.images[i].name for i in model.reg_image_ids()}
    missing = [picture for picture in footage.pictures if picture.name not in placed]
    if not missing:
        return {}
    with using(database) as found:
        rows = found.execute("SELECT image_id, name, rows FROM images LEFT JOIN keypoints USING (image_id)")
        listed = [(number, name.decode(), count or 0) for number, name, count in rows]
        compared = found.execute("SELECT pair_id, rows FROM two_view_geometries").fetchall()
    names = {number: name for number, name, _ in listed}
    features = {name: count for _, name, count in listed}
    links: dict[str, list[tuple[str, int]]] = {name: [] for name in features}
    for pair, count in compared:
        first, second = (names[i] for i in divmod(pair, PAIR_BASE))
        links[first].append((second, count))
        links[second].append((first, count))
    usual = _usual_sharpness(footage.pictures)
    return {p.name: _reason(p, features[p.name], links[p.name], placed, usual[p.camera]) for p in missing}


def describe(quality: Quality, seconds: float) -> str:
    """The numbers in one line."""
    return (
        f"{quality.registered} of {quality.pictures} pictures have a camera; {quality.points:,} points, each "
        f"seen by {quality.track_length:.1f} pictures, off by {quality.error_px:.2f} px; {seconds:.0f} s"
    )


def cameras_of(model: pycolmap.Reconstruction) -> list[dict[str, Any]]:
    """Lens and intrinsics of every camera as it was found, before undistortion."""
    counts: dict[int, int] = {}
    for number in model.reg_image_ids():
        camera_id = model.images[number].camera_id
        counts[camera_id] = counts.get(camera_id, 0) + 1
    return [
        {
            "model": camera.model_name,
            "size_px": [camera.width, camera.height],
            "params": [float(value) for value in camera.params],
            "pictures": counts.get(number, 0),
        }
        for number, camera in sorted(model.cameras.items())
        if number in counts
    ]


def _usual_sharpness(pictures: Sequence[Picture]) -> dict[str, float]:
    by_camera: dict[str, list[float]] = {}
    for picture in pictures:
        by_camera.setdefault(picture.camera, []).append(picture.sharpness)
    return {camera: median(values) for camera, values in by_camera.items()}


def _reason(
    picture: Picture, features: int, links: Sequence[tuple[str, int]], placed: set[str], usual: float
) -> str:
    if picture.brightness < _DARK:
        return f"too dark: its mean brightness is {picture.brightness:.0%}"
    if picture.sharpness < _BLURRED * usual:
        return f"blurred: {picture.sharpness / usual:.0%} of the usual sharpness"
    if features < _FEW_FEATURES:
        return f"no texture: only {features} features were found"
    best = max((count for name, count in links if name in placed), default=0)
    if best < _FEW_MATCHES:
        elsewhere = max((count for _, count in links), default=0)
        if elsewhere >= _FEW_MATCHES:
            return "it shows another place: it fits pictures that have no camera, but none that has one"
        return f"no overlap: the best picture with a camera shares {best} features"
    return f"it shares {best} features with a picture that has a camera, but no pose fits them"


def _median_angle_deg(model: pycolmap.Reconstruction) -> float:
    """Median over points of the largest angle between the rays of two pictures that see it."""
    centres = {i: np.asarray(model.images[i].projection_center()) for i in model.reg_image_ids()}
    points = list(model.points3D.values())
    step = max(1, len(points) // 2000)
    angles = []
    for point in points[::step]:
        seen_from = np.array([centres[e.image_id] for e in point.track.elements if e.image_id in centres])
        rays = seen_from - point.xyz
        rays /= np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 1e-12)
        angles.append(np.degrees(np.arccos(np.clip((rays @ rays.T).min(), -1, 1))))
    return float(np.median(angles)) if angles else 0.0


def to_plain(
    quality: Quality, verdict: str, against: Sequence[str], rest: Mapping[str, Any]
) -> dict[str, Any]:
    """The content of ``sfm.json``."""
    return {
        "version": 1,
        "verdict": verdict,
        "against": list(against),
        "pictures": quality.pictures,
        "registered": quality.registered,
        "registered_share": round(quality.registered / quality.pictures, 4),
        "points": quality.points,
        "mean_track_length": round(quality.track_length, 3),
        "mean_reprojection_error_px": round(quality.error_px, 4),
        "median_triangulation_angle_deg": round(quality.angle_deg, 2),
        **rest,
    }
