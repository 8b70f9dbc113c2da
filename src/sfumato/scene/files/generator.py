"""The source of a scene in the JSON of glTF and SOG files: ``extras.source``, else ``asset.generator``.

The generator is the program that wrote the file; readers work around bugs of some programs. In files that we
write it is this program, and ``extras`` keeps the source of the scene.
"""

from __future__ import annotations

from typing import Any

from sfumato.scene.scene import GENERATOR, Metadata

_KEY = "source"


def source_in(root: dict[str, Any]) -> str | None:
    """The source that a file's JSON names, or None.

    Args:
        root: the JSON of the file, not checked yet.
    """
    for part, key in (("extras", _KEY), ("asset", "generator")):
        found = root.get(part)
        named = found.get(key) if isinstance(found, dict) else None
        if isinstance(named, str):
            return named
    return None


def extras_of(metadata: Metadata) -> dict[str, Any]:
    """The JSON entry that keeps the source of a scene; empty if the generator is the source."""
    kept = metadata.source is not None and metadata.source != GENERATOR
    return {"extras": {_KEY: metadata.source}} if kept else {}
