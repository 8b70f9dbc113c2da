"""Files of an opening view, which the page saves beside a scene: a camera path of a single key-frame.

::

    {"version": 1, "keyframes": [
        {"position": [0, -1, -4], "look_at": [0, 0, 0], "up": [0, -1, 0], "fov_deg": 50}
    ]}
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sfumato.errors import FormatError
from sfumato.json_files import read_given_json
from sfumato.outputs import write_json
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.opening_view import OpeningView, view_of_numbers
from sfumato.scene.scene import metadata_of, with_metadata

MAX_VIEW_BYTES = 1 << 16


def view_path(shown: Path) -> Path:
    """The file of the opening view of a run folder, or of a scene file."""
    return (
        shown / "view.json"
        if shown.is_dir()
        else shown.with_name(f"{shown.name.partition('.')[0]}-view.json")
    )


def read_view(path: Path) -> OpeningView:
    """Read the file of an opening view.

    Raises:
        ConfigError: it cannot be read.
        FormatError: it is not the file of a view.
    """
    return view_from_plain(read_given_json(path, "JSON file of a view", MAX_VIEW_BYTES), path)


def view_from_plain(document: object, path: Path | str) -> OpeningView:
    """The view of a JSON document.

    Args:
        document: untrusted.
        path: of the file, for errors.

    Raises:
        FormatError: it is not that of a view.
    """
    rows = document.get("keyframes") if isinstance(document, dict) else None
    row = rows[0] if isinstance(rows, list) and len(rows) == 1 and isinstance(rows[0], dict) else {}
    parts = [row.get(name) for name in ("position", "look_at", "up")]
    numbers = [v for part in parts if isinstance(part, list) for v in part] + [row.get("fov_deg")]
    plain = [v for v in numbers if isinstance(v, (int, float)) and not isinstance(v, bool)]
    view = view_of_numbers(plain) if len(plain) == len(numbers) else None
    if view is None:
        raise FormatError(
            f"{path} is not a file of a view: it needs one key-frame with position, look_at, up and fov_deg"
        )
    return view


def write_view(path: Path, view: OpeningView) -> None:
    """Write the file of an opening view; an earlier one is replaced.

    Raises:
        FormatError: there is another file of that name, which is not replaced.
        SfumatoError: it cannot be written.
    """
    if path.exists():
        read_view(path)
    key: dict[str, Any] = {
        "position": list(view.position),
        "look_at": list(view.target),
        "up": list(view.up),
        "fov_deg": view.fov_deg,
    }
    write_json(path, {"version": 1, "keyframes": [key]})


def opening_view_of(shown: Path, gaussians: Gaussians) -> OpeningView | None:
    """The view chosen for a scene: of the file beside it, or of its own comment; None if there is none.

    Args:
        shown: run folder or scene file.
        gaussians: the scene.

    Raises:
        SfumatoError: the file beside it cannot be read.
    """
    path = view_path(shown)
    return read_view(path) if path.is_file() else metadata_of(gaussians).view


def with_view(gaussians: Gaussians, view: OpeningView) -> Gaussians:
    """The scene with an opening view, which .ply files keep in a comment."""
    return with_metadata(gaussians, replace(metadata_of(gaussians), view=view))
