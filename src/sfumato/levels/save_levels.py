"""Saving of a scene with levels of detail, in the format of a file's name."""

from __future__ import annotations

from pathlib import Path

from sfumato.checks import check_type, file_path
from sfumato.errors import ConfigError
from sfumato.levels.cells import Report
from sfumato.levels.scene_source import SceneSource, source_of_scene
from sfumato.levels.streamed_sog import write_streamed
from sfumato.levels.tileset import write_tileset
from sfumato.scene.files import NAMES_OF_LEVELS, TILESET
from sfumato.scene.files.sog_levels import INDEX
from sfumato.scene.gaussians import Gaussians

_WRITERS = {INDEX: write_streamed, TILESET: write_tileset}


def save_levels(gaussians: Gaussians, path: str | Path, *, report: Report | None = None) -> list[int]:
    """Write a scene with levels of detail into a folder, for viewers that load what they need.

    Level 0 is the scene itself; each further one has a quarter of the Gaussians, merged as by ``simplify``,
    until at most 65,536 are left.

    Args:
        gaussians: the scene, any device or float type.
        path: the description of the folder: ``lod-meta.json`` for Streamed SOG, ``tileset.json`` for 3D
            Tiles. Files of an existing one are replaced.
        report: called with the number of Gaussians done and of all.

    Returns:
        The number of Gaussians of each level.

    Raises:
        ConfigError: the name is another one.
        FormatError: the scene has no Gaussians, or contains NaN or infinity.
        SfumatoError: the folder cannot be written.
    """
    check_type("gaussians", gaussians, Gaussians)
    return save_source(source_of_scene(gaussians), file_path("path", path), report=report)


def save_source(source: SceneSource, path: Path, *, report: Report | None = None) -> list[int]:
    """The same for a scene that is read in blocks, as in ``save_levels``."""
    if path.name not in _WRITERS:
        names = ", ".join(NAMES_OF_LEVELS)
        raise ConfigError(f"{path}: a folder with levels of detail is written by the name of its {names}")
    return _WRITERS[path.name](source, path, report=report)
