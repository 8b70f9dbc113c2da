"""Files that edits add to a scene: scenes, and triangle meshes as surface splats."""

from __future__ import annotations

from pathlib import Path

from sfumato.scene.files import load
from sfumato.scene.gaussians import Gaussians
from sfumato.splatting.cloud_files.mesh_points import MESHES
from sfumato.splatting.surface_splats import splat


def load_inserted(path: Path) -> Gaussians:
    """The Gaussians of a scene file, or the surface splats of a mesh (.obj, .stl, .off).

    Raises:
        FormatError: the file is missing, damaged or of unknown format.
        ConfigError: trimesh, which reads meshes, is not installed.
    """
    return splat(path).scene if path.suffix.lower() in MESHES else load(path)
