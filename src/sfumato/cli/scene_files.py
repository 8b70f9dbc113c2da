"""Resolution of a scene argument: a file of any format, or a run folder."""

from __future__ import annotations

from pathlib import Path

from sfumato.errors import ConfigError


def scene_file(path: Path) -> Path:
    """The scene file of a run folder, or the file itself.

    Args:
        path: run folder or scene file.

    Raises:
        ConfigError: the path does not exist, or is a folder without a scene.
    """
    if not path.exists():
        raise ConfigError(f"{path} is missing; give a run folder or a scene file")
    if not path.is_dir():
        return path
    inner = path / "scene.ply"
    if not inner.is_file():
        raise ConfigError(f"{path} is a folder without scene.ply; give a run folder or a scene file")
    return inner
