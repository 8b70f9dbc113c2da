"""Streamed scenes in the page, which loads only the levels of detail that it shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sfumato.errors import ConfigError
from sfumato.outputs import replacing
from sfumato.scene.changes import merged
from sfumato.scene.files import sog
from sfumato.scene.files.sog_levels import INDEX, LevelIndex, level_parts, read_index
from sfumato.viewer.assembly import assemble
from sfumato.viewer.page import PackedSubject, describe
from sfumato.viewer.server import Answer, PageServer
from sfumato.viewer.subject import Subject

_FILES_OF_CHUNKS = re.compile(r"[^/\\:\x00-\x1f]+\.(?:webp|json)")
_ESCAPE = re.compile(rb"%([0-9a-fA-F]{2})")
_TYPES = {".webp": "image/webp", ".json": "application/json"}


def is_streamed(path: Path) -> bool:
    """Whether a path is the description of a streamed scene."""
    return path.name == INDEX and path.is_file()


def streamed_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the page of a streamed scene; of its Gaussians the coarsest level is read.

    Args:
        path: its `lod-meta.json`.

    Raises:
        FormatError: the description or the coarsest level is broken, or has no Gaussians.
    """
    index = read_index(path)
    coarse = merged(*level_parts(index, index.levels[-1], sog.load_folder))
    subject = Subject(path.parent.resolve().name, coarse, chooses_view=False)
    also = {
        "streams": {"name": path.name},
        "count": index.count(index.levels[0]),
        "source": str(path.name),
        "floaters": {
            "name": "floaters",
            "missing": "floaters are not marked in streamed scenes",
            "by": "isolation",
        },
    }
    return {**describe(subject, PackedSubject(None), None), **also}


def show_streamed(server: PageServer, path: Path) -> None:
    """Serve a streamed scene.

    Args:
        server: not yet running.
        path: its `lod-meta.json`.

    Raises:
        FormatError: as in ``streamed_manifest``.
    """
    page = "".join(assemble(streamed_manifest(path))).encode("utf-8")
    server.add("", lambda: Answer("text/html; charset=utf-8", page))
    server.add(path.name, lambda: Answer("application/json", path.read_bytes()))
    server.below(_finder(read_index(path)))


def write_streaming_page(path: Path, out: Path) -> None:
    """Write a page that streams a scene from its own folder, on any web server of static files.

    Args:
        path: `lod-meta.json` of the scene.
        out: the page, in the same folder.

    Raises:
        ConfigError: it is in another folder.
        FormatError: as in ``streamed_manifest``.
        SfumatoError: the page cannot be written.
    """
    if out.resolve().parent != path.resolve().parent:
        raise ConfigError(
            f"--export {out}: the page of a streamed scene must be in its folder, {path.parent}"
        )
    with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as handle:
        for part in assemble(streamed_manifest(path)):
            handle.write(part)


def _finder(index: LevelIndex) -> Callable[[str], Answer | None]:
    """Finds the files of chunks by their names in addresses; nothing else of the folder is served."""
    root = index.path.resolve().parent
    environment = [index.environment] if index.environment else []
    folders = {name.rpartition("/")[0] for name in [*index.names, *environment]}

    def find(name: str) -> Answer | None:
        folder, _, file = _unescaped(name).rpartition("/")
        path = root / folder / file
        if folder not in folders or not _FILES_OF_CHUNKS.fullmatch(file) or not path.is_file():
            return None
        if not path.resolve().is_relative_to(root):
            return None
        return Answer(_TYPES[path.suffix], path.read_bytes())

    return find


def _unescaped(name: str) -> str:
    """A name in an address without its escapes."""
    plain = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), name.encode("utf-8"))
    return plain.decode("utf-8", "replace")
