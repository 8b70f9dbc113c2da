"""A trained scene to a coloured triangle mesh: ``sfumato mesh`` and ``sfumato.mesh``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfumato.capture.dataset import load_capture, reduction_of
from sfumato.checks import check_type, file_path, whole_number
from sfumato.display import Display
from sfumato.errors import ConfigError
from sfumato.maths.spread import evenly
from sfumato.meshing.fusion import fuse
from sfumato.meshing.poisson import surface_through
from sfumato.meshing.triangle_mesh import Mesh
from sfumato.meshing.vertex_colours import vertex_colours
from sfumato.meshing.view_depths import pinholes, raster_settings, view_depth
from sfumato.ops.backend import HOST
from sfumato.render.settings import RasterSettings
from sfumato.runs.cameras_file import with_refined_poses
from sfumato.runs.folder import RunFolder, run_of
from sfumato.scene.cameras import Camera
from sfumato.scene.files import load
from sfumato.scene.files.dynamic_files import holds_motion
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import metadata_of
from sfumato.training.render_settings import settings_of

# Largest number of cameras used.
_MOST_CAMERAS = 120


@dataclass(frozen=True)
class MeshConfig:
    """How a mesh is made of a scene.

    Attributes:
        faces: approximate maximum number of triangles.
        views: number of cameras that must see a point, and agree on the position of the surface there.
        watertight: one closed piece, including parts that no camera saw, instead of only what was seen.

    Raises:
        ConfigError: a value is out of its range.
    """

    faces: int = 200_000
    views: int = 3
    watertight: bool = False

    def __post_init__(self) -> None:
        whole_number("faces", self.faces, least=4)
        whole_number("views", self.views, least=2)


def mesh(
    scene: str | Path | Gaussians,
    config: MeshConfig = MeshConfig(),
    *,
    cameras: Sequence[Camera] | None = None,
    data: str | Path | None = None,
    display: Display | None = None,
) -> Mesh:
    """Make a coloured triangle mesh of the surface that the cameras of a scene see.

    Depth is rendered from each camera and fused to a truncated signed distance, whose zero crossings are the
    input of Poisson reconstruction.

    Args:
        scene: run folder, scene file, or Gaussians.
        config: how.
        cameras: to render from, in the scene's frame; by default those that the run was trained on.
        data: the dataset of the cameras, of a run whose dataset was moved, or of a scene file.
        display: shows progress; None: nothing is shown.

    Returns:
        Mesh, in the frame and unit of the dataset.

    Raises:
        ConfigError: an argument is of another type, there are no or too few cameras, or they see no surface.
        SfumatoError: a file is missing or damaged.

    Source: Curless and Levoy 1996; Kazhdan and Hoppe 2013.
    """
    check_type("scene", scene, str, Path, Gaussians)
    check_type("config", config, MeshConfig)
    display = display or Display()
    settings: object = RasterSettings()
    if isinstance(scene, Gaussians):
        gaussians = scene
    else:
        gaussians, settings, known = _read(file_path("scene", scene), data, wants_cameras=cameras is None)
        cameras = known if cameras is None else cameras
    if cameras is None:
        raise ConfigError("cameras are missing: give those to render from")
    if not len(gaussians):
        raise ConfigError("the scene holds no Gaussians; there is no surface in it")
    if len(cameras) < config.views:
        raise ConfigError(
            f"there {'is one camera' if len(cameras) == 1 else f'are {len(cameras)} cameras'}, but "
            f"{config.views} have to see a surface; give more, or fewer views"
        )
    found = _mesh(gaussians.detach().to(HOST), cameras, settings, config, display)
    offset = np.asarray(metadata_of(gaussians).offset or (0.0, 0.0, 0.0))
    return Mesh(found.vertices + offset, found.faces, found.colours)


def _read(
    path: Path, data: str | Path | None, *, wants_cameras: bool
) -> tuple[Gaussians, object, list[Camera] | None]:
    """The scene, its settings, and the cameras that it was trained on if they are wanted."""
    if not path.exists():
        raise ConfigError(f"{path} is missing; give a run folder or a scene file")
    if holds_motion(path):
        raise ConfigError(
            f"{path} is dynamic; save one moment first: sfumato convert {path} OUT --at SECONDS"
        )
    run = run_of(path)
    if path.is_dir() and not RunFolder(path).scene.is_file():
        raise ConfigError(f"{path} is a folder without scene.ply; give a run folder or a scene file")
    gaussians = load(RunFolder(path).scene if path.is_dir() else path)
    if run is None:
        if data is None and wants_cameras:
            raise ConfigError(f"{path} has no cameras; give a run folder, or its dataset as data")
        capture = load_capture(file_path("data", data)) if data is not None else None
        cameras = [view.camera for view in capture.train_views] if capture else None
        return gaussians, RasterSettings(), cameras
    options = run.read_options()
    if not wants_cameras:
        return gaussians, settings_of(options.train), None
    capture = options.read_capture(None if data is None else file_path("data", data))
    views = with_refined_poses(run.cameras, capture.train_views)
    reduction = reduction_of(capture.train_views)
    settings = settings_of(options.train, capture.render_background, reduction=reduction)
    return gaussians, settings, [view.camera for view in views]


def _mesh(
    gaussians: Gaussians, cameras: Sequence[Camera], settings: object, config: MeshConfig, display: Display
) -> Mesh:
    """The mesh in the frame of the scene."""
    raster = raster_settings(settings)
    chosen = [one for row in evenly(len(cameras), _MOST_CAMERAS) for one in pinholes(cameras[row])]
    views = []
    with display.counting("rendering depth", "views") as report:
        for number, camera in enumerate(chosen):
            views.append(view_depth(gaussians, camera, raster))
            report(number + 1, len(chosen))
    with display.counting("fusing", "parts") as report:
        points = fuse(views, config.views, report)
    with display.waiting(f"finding the surface of {len(points.xyz):,} points"):
        vertices, faces = surface_through(points, faces=config.faces, watertight=config.watertight)
    with display.counting("colouring", "views") as report:
        colours = vertex_colours(vertices, faces, views, points.voxel, report)
    return Mesh(vertices, faces, colours)
