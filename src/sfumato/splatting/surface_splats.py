"""Surface splats of a measured cloud: flat Gaussians in the local planes, without gaps between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sfumato.capture.offset import Offset, rounded
from sfumato.capture.points import PointCloud
from sfumato.checks import check_type, file_path, number, whole_number
from sfumato.display import Display
from sfumato.errors import ConfigError, FormatError
from sfumato.maths.morton import morton_order
from sfumato.maths.sh import SH_C0
from sfumato.scene.scene import GENERATOR, Metadata, Scene
from sfumato.splatting.cloud_colours import colours_of
from sfumato.splatting.cloud_files import MAX_POINTS
from sfumato.splatting.extents import frames_and_extents, quats_of_frames
from sfumato.splatting.local_planes import LocalPlanes, local_planes, off_surface
from sfumato.splatting.measured import MeasuredCloud
from sfumato.splatting.normal_signs import oriented
from sfumato.splatting.several_clouds import read_clouds
from sfumato.splatting.thinning import without_copies

# Points of a plane.
LEAST_POINTS = 3
# Thickness of a splat, as a share of its mean spacing: still visible edge-on.
_THICKNESS = 0.1
# Positions are stored relative to an offset if float32 would round them by more than this share of the
# spacing.
_MOST_ROUNDING = 0.01
# Least spacing, as a share of the extent of the cloud: smaller splats would vanish in float32.
_LEAST_SPACING = 1e-7


@dataclass(frozen=True)
class SplatConfig:
    """Options of splatting.

    Attributes:
        size: standard deviation of a splat in its plane, as a multiple of the spacing of the points there;
            less leaves gaps, more blurs.
        opacity: of a splat at its centre.
        keep_outliers: keep points that are much farther from their neighbours than those from theirs.
        max_points: a larger cloud is thinned to at most so many points, within bounded memory.

    Raises:
        ConfigError: a value is out of its range.
    """

    size: float = 0.9
    opacity: float = 0.95
    keep_outliers: bool = False
    max_points: int = MAX_POINTS

    def __post_init__(self) -> None:
        if not 0.1 <= number("size", self.size) <= 10:
            raise ConfigError(f"size is {self.size}; give 0.1 to 10")
        if not 0 < number("opacity", self.opacity) < 1:
            raise ConfigError(f"opacity is {self.opacity}; give more than 0 and less than 1")
        whole_number("max_points", self.max_points, least=LEAST_POINTS)


@dataclass(frozen=True)
class SplattedCloud:
    """The splats of a measured cloud, with statistics.

    Attributes:
        scene: one Gaussian for each point kept, float32; normals are the third axes of the rotations.
        offset: position in the cloud minus position in the scene; non-zero only if the cloud is too far from
            the origin for float32, as with map coordinates.
        points: number of points of the cloud, after thinning.
        outliers: number of points removed because they lie off the surface.
        spacing: median distance of points on the surface, scene units.
        colours: their source: "rgb", "intensity" or "height".
        normals: their source: "file" or "estimated".
    """

    scene: Scene
    offset: Offset
    points: int
    outliers: int
    spacing: float
    colours: str
    normals: str


def splat(
    cloud: str | Path | PointCloud | MeasuredCloud | Sequence[str | Path],
    config: SplatConfig = SplatConfig(),
    *,
    display: Display | None = None,
) -> SplattedCloud:
    """Turn a measured cloud into surface splats, without training.

    Each point becomes a flat Gaussian in the plane of its neighbours, as wide as their spacing.

    Args:
        cloud: one file of points, several files of one scene, or points.
        config: options.
        display: shows the progress; None: nothing is shown.

    Returns:
        SplattedCloud; its scene is intended for anti-aliased rendering.

    Raises:
        FormatError: a file is damaged or of unknown format, or has too few points.
        ConfigError: an argument has a wrong type, or files differ in unit or up direction.

    Source: Zwicker et al. 2001, Surface splatting; Pfister et al. 2000, Surfels.
    """
    check_type("cloud", cloud, str, Path, PointCloud, MeasuredCloud, list, tuple)
    check_type("config", config, SplatConfig)
    display, name = display or Display(), "the cloud"
    if isinstance(cloud, str | Path):
        cloud = [cloud]
    if isinstance(cloud, Sequence):
        paths = [file_path("cloud", path) for path in cloud]
        name = " and ".join(map(str, paths))
        cloud = read_clouds(paths, max_points=config.max_points, display=display)
    elif isinstance(cloud, PointCloud):
        cloud = MeasuredCloud(
            np.asarray(cloud.xyz, np.float64), np.asarray(cloud.rgb, np.float32), colour_range=255.0
        )
    points = len(cloud)
    cloud = _one_in_each_place(cloud.finite(), name)
    # Neighbour search is three times as fast if neighbours are close in memory.
    order = morton_order(cloud.xyz)
    cloud = cloud.select(order)
    with display.counting("finding planes", "points") as report:
        planes = local_planes(cloud.xyz, report)
    off = off_surface(planes)
    if config.keep_outliers or off.all():
        off[:] = False
    normals, source = _normals(cloud, planes)
    with display.counting("shaping", "splats") as report:
        frames, spacings = frames_and_extents(cloud.xyz, normals, planes, report)
    colours, colour_source = colours_of(cloud)
    back = np.argsort(order)
    keep = back[~off[back]]
    spacing = float(np.median(np.sqrt(spacings[keep].prod(axis=1))))
    offset = _offset(cloud.xyz[keep], spacing)
    scene = _scene(cloud.xyz[keep] - offset, frames[keep], spacings[keep], colours[keep], config)
    x, y, z = offset.tolist()
    metadata = Metadata(
        antialiased=True,
        up=cloud.up,
        metres_per_unit=cloud.metres_per_unit,
        offset=(x, y, z),
        source=GENERATOR,
    )
    return SplattedCloud(
        Scene(**scene, metadata=metadata), (x, y, z), points, int(off.sum()), spacing, colour_source, source
    )


def _one_in_each_place(cloud: MeasuredCloud, name: str) -> MeasuredCloud:
    """The cloud without duplicates, after checking that there are enough points."""
    if len(cloud) < LEAST_POINTS:
        what = {0: "no points", 1: "one point"}.get(len(cloud), f"{len(cloud)} points")
        raise FormatError(f"{name} holds {what}; a surface takes at least {LEAST_POINTS}")
    single = without_copies(cloud)
    if len(single) < LEAST_POINTS:
        where = "one place" if len(single) == 1 else f"{len(single)} places"
        raise FormatError(
            f"{name} holds {len(cloud)} points, all in {where}; a surface takes at least {LEAST_POINTS}"
        )
    return single


def _normals(cloud: MeasuredCloud, planes: LocalPlanes) -> tuple[np.ndarray, str]:
    """[n, 3] unit normals, and their source."""
    given = cloud.normals
    lengths = np.linalg.norm(given, axis=1, keepdims=True) if given is not None else np.zeros((len(cloud), 1))
    known = lengths[:, 0] > 0
    if given is not None and known.all():
        return given / lengths, "file"
    estimated = oriented(cloud.xyz, planes.normals, planes.rows, cloud.towards)
    if given is None or not known.any():
        return estimated, "estimated"
    return np.where(known[:, None], given / np.where(lengths > 0, lengths, 1), estimated), "file"


def _offset(xyz: np.ndarray, spacing: float) -> np.ndarray:
    """[3] offset of the positions: zero unless float32 is too coarse for them."""
    middle = (xyz.min(axis=0) + xyz.max(axis=0)) / 2
    away = float(np.abs(middle).max())
    extent = float(np.ptp(xyz, axis=0).max())
    if away < 2 * extent or away * np.finfo(np.float32).eps < _MOST_ROUNDING * spacing:
        return np.zeros(3)
    return rounded(middle, extent)


def _scene(
    xyz: np.ndarray, frames: np.ndarray, spacings: np.ndarray, colours: np.ndarray, config: SplatConfig
) -> dict[str, torch.Tensor]:
    """The fields of the Gaussians."""
    least = _LEAST_SPACING * max(float(np.ptp(xyz, axis=0).max()), float(np.finfo(np.float32).tiny))
    spacings = np.maximum(spacings, np.float32(least))
    thickness = _THICKNESS * np.sqrt(spacings.prod(axis=1, keepdims=True))
    scales = config.size * np.concatenate([spacings, thickness], axis=1)
    quats = quats_of_frames(frames)
    logit = float(np.log(config.opacity / (1 - config.opacity)))
    return {
        "means": torch.from_numpy(xyz.astype(np.float32)),
        "log_scales": torch.from_numpy(np.log(scales).astype(np.float32)),
        "quats": torch.from_numpy(quats),
        "logit_opacities": torch.full((len(xyz),), logit),
        "sh": torch.from_numpy(((colours - 0.5) / SH_C0).astype(np.float32)[:, None]),
    }
