"""Edits made in the page, saved beside the scene as a script and as an edited scene."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from sfumato.edit.script import MAX_SCRIPT_BYTES, Edit, edits_from_plain, replay, write_script
from sfumato.errors import ConfigError
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.files import save
from sfumato.scene.files.dynamic_files import save_dynamic
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Scene, metadata_of, with_metadata
from sfumato.viewer.server import Answer, PageServer

SAVE, EDITS = "save", "edits"
_WHAT = "the page's edits"
# Edits supported by the page. Others could read files or are not available there.
_ALLOWED = ("keep", "delete", "clean")
_MOST_EDITS = 1000
# Edited scenes that are kept at a time, for pages that go to and fro.
_KEPT = 4


class EditedScenes:
    """The scene with the edits of each page that asks for exact pictures, by a digest of the edits.

    Args:
        scene: static or dynamic.
    """

    def __init__(self, scene: Gaussians | DynamicScene) -> None:
        self._scene = scene
        self._edited: dict[str, Gaussians | DynamicScene] = {}

    def take(self, body: bytes) -> Answer:
        """Take in the edits that a page posts; the answer is their digest."""
        edits = read_edits(body, moves=isinstance(self._scene, DynamicScene))
        edited: Gaussians | DynamicScene
        if isinstance(self._scene, DynamicScene):
            edited = replay(replace(self._scene, gaussians=_numbered(self._scene.gaussians)), edits)
        else:
            edited = replay(_numbered(self._scene), edits)
        digest = hashlib.sha256(body).hexdigest()[:16]
        self._edited = {**dict(list(self._edited.items())[1 - _KEPT :]), digest: edited}
        return Answer("text/plain", digest.encode())

    def of(self, digest: str) -> Gaussians | DynamicScene:
        """The scene after the edits with a digest, "" for none; identities are the numbers of its Gaussians.

        Raises:
            ConfigError: they are unknown, or no longer stored.
        """
        if not digest:
            return self._scene
        edited = self._edited.get(digest)
        if edited is None:
            raise ConfigError(f"{_WHAT} are not known any more; post them again")
        return edited


def _numbered(gaussians: Gaussians) -> Scene:
    """The Gaussians with their numbers as identities."""
    scene = with_metadata(gaussians, metadata_of(gaussians))
    return replace(scene, identities=torch.arange(len(scene)))


def offer_saving(
    server: PageServer,
    shown: Path,
    scene: Gaussians | DynamicScene,
    floating: Callable[[], Tensor | None],
) -> None:
    """Let a server save the edits of the page as NAME-edited.ply or .4dgs, and NAME-edits.json.

    Args:
        server: not yet running.
        shown: run folder or scene file, in or beside which they are written.
        scene: static or dynamic.
        floating: returns the mask of floaters, [n] bool, or None if unknown.
    """
    writing = threading.Lock()

    def answer(body: bytes) -> Answer:
        edits = read_edits(body, moves=isinstance(scene, DynamicScene))
        edited = _replayed(scene, edits, floating)
        if not len(edited):
            raise ConfigError(f"{_WHAT} leave nothing of the scene; nothing was written")
        with writing:
            scene_path, script_path = free_names(shown, (f"edited{_suffix(edited)}", "edits.json"))
            if isinstance(edited, DynamicScene):
                save_dynamic(edited, scene_path)
            else:
                save(edited, scene_path)
            write_script(script_path, edits)
        told = {"scene": str(scene_path), "script": str(script_path), "count": len(edited)}
        return Answer("application/json", json.dumps(told).encode("utf-8", "replace"))

    server.reply(SAVE, answer, MAX_SCRIPT_BYTES)


def _replayed(
    scene: Gaussians | DynamicScene, edits: Sequence[Edit], floating: Callable[[], Tensor | None]
) -> Gaussians | DynamicScene:
    """The scene after edits; ``clean`` removes the floaters that the page shows, in a static scene."""
    if isinstance(scene, DynamicScene):
        return replay(scene, edits)
    plain = with_metadata(scene, metadata_of(scene))
    if any(edit.name == "clean" for edit in edits):
        plain = replace(plain, floating=floating())
    return replay(plain, edits)


def _suffix(scene: Gaussians | DynamicScene) -> str:
    return ".4dgs" if isinstance(scene, DynamicScene) else ".ply"


def read_edits(body: bytes, *, moves: bool = False) -> Sequence[Edit]:
    """Parse edits posted by the page.

    Args:
        body: JSON, untrusted.
        moves: the scene is dynamic, so that selections are made at a time.

    Raises:
        ConfigError: there are none or too many, or an edit is not supported by the page or names a file.
        FormatError: the body is not a script.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise ConfigError(f"{_WHAT} are not JSON") from None
    edits = edits_from_plain(document, _WHAT)
    if not 0 < len(edits) <= _MOST_EDITS:
        raise ConfigError(f"{_WHAT} are {len(edits)}; 1 to {_MOST_EDITS} are allowed")
    for edit in edits:
        if edit.name not in _ALLOWED or (edit.at is not None and not moves):
            raise ConfigError(f"{_WHAT} may {', '.join(_ALLOWED)}, not {edit.name}")
        edit.paths_mapped(_refused)
    return edits


def _refused(path: Path) -> Path:
    raise ConfigError(f"{_WHAT} may not name files, such as {str(path)[:60]!r}")


def free_names(shown: Path, ends: Sequence[str]) -> list[Path]:
    """Unused names for files that belong together.

    Args:
        shown: run folder that contains them, or scene file beside them.
        ends: name endings after the name of the scene and "-"; numbered if needed.
    """
    folder, stem = (shown, "scene") if shown.is_dir() else (shown.parent, shown.name.partition(".")[0])
    for number in range(1, 10_000):
        tail = "" if number == 1 else f"-{number}"
        names = [folder / f"{stem}-{Path(end).stem}{tail}{Path(end).suffix}" for end in ends]
        if not any(name.exists() for name in names):
            return names
    raise ConfigError(f"{folder} holds too many files named {stem}-{ends[0]}; move some away")
