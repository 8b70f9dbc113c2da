"""Dynamic scenes as a numbered sequence of `.ply` files, one per step, as SuperSplat imports them.

The name contains a placeholder for the number, as in ``frame%04d.ply``; numbers start at 1.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from sfumato.outputs import replacing
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.files import ply

_log = logging.getLogger(__name__)

_NUMBER = re.compile(r"%0?[1-9]?d")


def fits(path: Path) -> bool:
    """Whether a name is that of a sequence."""
    return (
        path.suffix.lower() == ".ply" and len(_NUMBER.findall(path.name)) == 1 and path.name.count("%") == 1
    )


def frame(path: Path, step: int) -> Path:
    """The file of a step, counted from 0."""
    return path.with_name(path.name % (step + 1))


def frames_there(path: Path) -> list[Path]:
    """Files of a sequence that exist."""
    before, after = _NUMBER.split(path.name)
    pattern = re.compile(rf"{re.escape(before)}\d+{re.escape(after)}")
    return sorted(file for file in path.parent.glob("*") if pattern.fullmatch(file.name))


def save(scene: DynamicScene, path: Path) -> None:
    """Write the Gaussians that exist at each step, with their identities and the time.

    Args:
        scene: any device or float type.
        path: the pattern of names.

    Raises:
        FormatError: a value is NaN or infinite.
        SfumatoError: a file cannot be written.
    """
    written = set()
    for step, time in enumerate(scene.times.tolist()):
        written.add(frame(path, step))
        with replacing(frame(path, step)) as temporary:
            ply.save(scene.at(time), temporary)
    older = [file for file in frames_there(path) if file not in written]
    if older:
        _log.warning("%d older files of the sequence are still there, such as %s", len(older), older[0])
