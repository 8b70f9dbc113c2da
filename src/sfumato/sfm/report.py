"""Quality measures of structure from motion, and their description in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from sfumato.footage.frames_file import Footage, Picture
from sfumato.sfm.parts import PAIR_BASE
from sfumato.sfm.stage_files import using
from sfumato.sfm.upright import find_gravity

if TYPE_CHECKING:
    import pycolmap

GOOD, USABLE, POOR = "good", "usable", "poor"
# Thresholds of the verdict, from captures that trained well and captures that did not.
_GOOD_SHARE, USABLE_SHARE = 0.9, 0.5
_GOOD_TRACK, _GOOD_ANGLE_DEG = 3.0, 3.0
_LEAST_POINTS_PER_PICTURE, _HOPELESS_POINTS_PER_PICTURE = 20, 5
_LEAST_PICTURES = 8
# Blurred: sharpness below this share of the median of the camera. Dark: brightness below this.
_BLURRED, _DARK = 0.5, 0.06
_FEW_FEATURES, _FEW_MATCHES = 80, 30
# Tolerance of the logarithm of fx / fy, which is 0 for square pixels.
_SQUARE = 0.03
# Coverage of the circle below which it is reported; cameras look at a common object if their axes are not
# parallel and the object lies within 30 degrees of them.
_ROUND_DEG, _PARALLEL, _CENTRED = 270.0, 1e-3, float(np.cos(np.radians(30.0)))


@dataclass(frozen=True)
class SfmQuality:
    """Quality measures of a reconstruction.

    Attributes:
        pictures: number of input pictures.
        registered: number of pictures with a camera.
        points: number of points.
        track_length: mean number of observations per point.
        error_px: mean reprojection error.
        angle_deg: median over points of the largest triangulation angle.
        arc_deg: part of the circle around their common target that the cameras cover; None without a common
            target.
        odd_focal_px: implausible (x, y) focal lengths, those that differ most; None if all are plausible.
    """

    pictures: int
    registered: int
    points: int
    track_length: float
    error_px: float
    angle_deg: float
    arc_deg: float | None = None
    odd_focal_px: tuple[float, float] | None = None

    def remark(self) -> str | None:
        """A remark beyond the verdict: sides that no camera saw."""
        if self.arc_deg is None or self.arc_deg >= _ROUND_DEG:
            return None
        return f"seen over {self.arc_deg:.0f} of 360 degrees: what only other sides show is not known"

    def verdict(self) -> tuple[str, list[str]]:
        """``good``, ``usable`` or ``poor``, and the reasons against good."""
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
        if self.odd_focal_px is not None:
            x, y = self.odd_focal_px
            against.append(
                f"the lens was misjudged: focal lengths of {x:.0f} and {y:.0f} px across and along, though "
                "pixels are square: try --camera-model RADIAL, or move closer and farther too"
            )
        weak = self.points < _LEAST_POINTS_PER_PICTURE * self.registered or self.angle_deg < _GOOD_ANGLE_DEG
        hopeless = self.points < _HOPELESS_POINTS_PER_PICTURE * self.registered
        if hopeless or share < USABLE_SHARE or (weak and self.registered < _LEAST_PICTURES):
            return POOR, against
        return (USABLE if against else GOOD), against


def measure(model: pycolmap.Reconstruction, pictures: int, *, is_given: bool = False) -> SfmQuality:
    """Measure a reconstruction of ``pictures`` pictures; given intrinsics are not questioned."""
    return SfmQuality(
        pictures,
        model.num_reg_images(),
        model.num_points3D(),
        model.compute_mean_track_length(),
        model.compute_mean_reprojection_error(),
        _median_angle_deg(model),
        _arc_deg(model),
        None if is_given else _odd_focal_px(model),
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


def describe(quality: SfmQuality, seconds: float) -> str:
    """The measures in one line."""
    return (
        f"{quality.registered} of {quality.pictures} pictures have a camera; {quality.points:,} points, each "
        f"seen by {quality.track_length:.1f} pictures, off by {quality.error_px:.2f} px; {seconds:.0f} s"
    )


def cameras_of(model: pycolmap.Reconstruction) -> list[dict[str, Any]]:
    """Lens and intrinsics of every estimated camera, before undistortion."""
    counts: dict[int, int] = {}
    for number in model.reg_image_ids():
        camera_id = model.images[number].camera_id
        counts[camera_id] = counts.get(camera_id, 0) + 1
    return [
        {
            "id": number,
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
            return (
                "it fits others without a camera, but none that has one: it shows another place or side, or "
                "pictures between them are missing"
            )
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


def _arc_deg(model: pycolmap.Reconstruction) -> float | None:
    """Arc around the common target that cameras cover, seen from above: all but the widest gap."""
    poses = [model.images[i].cam_from_world() for i in sorted(model.reg_image_ids())]
    turns = np.array([pose.rotation.matrix() for pose in poses])
    centres = -np.einsum("nji,nj->ni", turns, np.array([pose.translation for pose in poses]))
    return arc_deg(turns, centres)


def arc_deg(rotations: np.ndarray, centres: np.ndarray) -> float | None:
    """The part of the circle around their common target that cameras cover.

    Args:
        rotations: [n, 3, 3] camera_from_world.
        centres: [n, 3], world frame.

    Returns:
        Degrees; None without a common target.
    """
    ahead = rotations[:, 2]
    across = np.eye(3) - ahead[:, :, None] * ahead[:, None, :]
    total = across.sum(axis=0)
    if np.linalg.eigvalsh(total)[0] < _PARALLEL * len(ahead):
        return None
    focus = np.linalg.solve(total, np.einsum("nij,nj->i", across, centres))
    away = centres - focus
    distance = np.linalg.norm(away, axis=1)
    # The target must be in front of the cameras and near the centre of their pictures.
    if np.quantile(np.einsum("ni,ni->n", -away, ahead) / np.maximum(distance, 1e-12), 0.1) < _CENTRED:
        return None
    up = find_gravity(rotations).direction
    up = -rotations[:, 1].mean(axis=0) if up is None else up
    side = np.cross(up, np.eye(3)[np.argmin(np.abs(up))])
    angles = np.sort(np.degrees(np.arctan2(away @ np.cross(up, side), away @ side * np.linalg.norm(up))))
    return float(360.0 - np.diff([*angles, angles[0] + 360.0]).max())


def _odd_focal_px(model: pycolmap.Reconstruction) -> tuple[float, float] | None:
    """The (x, y) focal lengths that differ most, if by more than the tolerance for square pixels."""
    used = {model.images[i].camera_id for i in model.reg_image_ids()}
    pairs = [(model.cameras[i].focal_length_x, model.cameras[i].focal_length_y) for i in sorted(used)]
    worst = max(pairs, key=lambda pair: abs(np.log(pair[0] / pair[1])), default=(1.0, 1.0))
    return worst if abs(np.log(worst[0] / worst[1])) > _SQUARE else None


def to_plain(
    quality: SfmQuality, verdict: str, against: Sequence[str], rest: Mapping[str, Any]
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
        "arc_deg": None if quality.arc_deg is None else round(quality.arc_deg, 1),
        **rest,
    }
