"""Readers of posed datasets; each returns a ``Source``."""

from __future__ import annotations

import logging
from pathlib import Path

from sfumato.capture.readers.colmap import find_model, read_colmap
from sfumato.capture.readers.source import Frame, Intrinsics, Source
from sfumato.capture.readers.transforms import find_transforms, read_transforms
from sfumato.errors import CaptureError

__all__ = ["Frame", "Intrinsics", "Source", "read_source"]

_log = logging.getLogger("sfumato")


def read_source(path: Path) -> Source:
    """Read whichever kind of dataset lies at ``path``.

    Args:
        path: a dataset folder, or a transforms file.

    Raises:
        CaptureError: there is none, or it is broken.
    """
    if path.is_file() and path.suffix == ".json":
        return read_transforms((path,))
    if not path.is_dir():
        raise CaptureError(f"{path} is no folder; give the folder of a posed dataset")
    model, transforms = find_model(path), find_transforms(path)
    if model is not None:
        if transforms:
            _log.warning("%s has a COLMAP model and %s; using the model", path, transforms[0].name)
        return read_colmap(path, model)
    if transforms:
        return read_transforms(transforms)
    raise CaptureError(
        f"{path} holds no posed dataset: no COLMAP model (sparse/0/images.bin or .txt) and no "
        "transforms.json or transforms_train.json; estimate the cameras first"
    )
