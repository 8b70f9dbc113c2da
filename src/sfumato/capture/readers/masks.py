"""Masks of pictures, found by their names."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from sfumato.capture.readers.image_files import (
    EXTENSIONS,
    MASK_ENDINGS,
    PictureFolder,
    folded,
    without_extension,
)
from sfumato.capture.readers.source import PosedImage

_log = logging.getLogger("sfumato")

_FOLDERS = ("masks", "mask")
_HINT = "name them like the pictures: a.jpg has a.png, a.jpg.png, a_mask.png or a.mask.png"


class MaskFolder:
    """Masks in a folder, named like the pictures: for ``a.jpg`` the picture ``a`` (whatever its extension),
    ``a.jpg.png``, ``a_mask.png`` or ``a.mask.png``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pictures = PictureFolder(folder)

    def find(self, name: str, *, beside: bool = False) -> Path | None:
        """The mask of a picture, or None.

        Args:
            name: of the picture, relative to the folder that corresponds to this one; with forward slashes.
            beside: whether masks lie among the pictures, and so need a distinguishing suffix.

        Raises:
            CaptureError: several match equally well.
        """
        *folders, file = PurePosixPath(name).parts
        stems = dict.fromkeys((without_extension(file), PurePosixPath(file).stem, file))
        endings = [f"{stem}{ending}" for ending in MASK_ENDINGS for stem in stems]
        for candidate in endings if beside else [*stems, *endings]:
            found = self._pictures.find([*folders, f"{candidate}.png"], f"a mask of {name}")
            if found is not None:
                return found
        return None


def with_masks(root: Path, frames: Sequence[PosedImage]) -> tuple[PosedImage, ...]:
    """The same frames, each with its mask from a folder ``masks`` or from beside its picture.

    ``masks`` may be in the dataset folder or beside its image folder. Warnings name masks that match no
    picture, and pictures without a mask among others with one.

    Args:
        root: dataset folder.
        frames: as read; masks named by the dataset itself are kept.
    """
    folders = _mask_folders(root, frames)
    by_folder = [masks_in(folder, frames) for folder in folders]
    beside: dict[Path, MaskFolder] = {}
    masked = []
    for frame, *found in zip(frames, *by_folder, strict=True):
        mask = next((path for path in (frame.mask_path, *found) if path is not None), None)
        if mask is None:
            place = frame.path.parent
            mask = beside.setdefault(place, MaskFolder(place)).find(frame.path.name, beside=True)
        masked.append(replace(frame, mask_path=mask))
    _warn(root, masked, folders)
    return tuple(masked)


def masks_in(folder: MaskFolder, frames: Sequence[PosedImage]) -> list[Path | None]:
    """The mask of each frame in a folder; mask names may lack the common folder of all images."""
    tops = {frame.name.rpartition("/")[0].partition("/")[0] for frame in frames}
    found = []
    for frame in frames:
        top, _, rest = frame.name.partition("/")
        has_top = rest and (top == "images" or tops == {top})
        found.append(folder.find(frame.name) or (folder.find(rest) if has_top else None))
    return found


def _mask_folders(root: Path, frames: Sequence[PosedImage]) -> list[MaskFolder]:
    """Folders of masks in the dataset, and beside folders of images."""
    places = [root]
    for frame in frames:
        images = frame.path.parents[frame.name.count("/")]
        places += [images, *([images.parent] if folded(images.name).startswith("images") else [])]
    found = {}
    for place in dict.fromkeys(places):
        inside = {folded(name): name for name in _entries(place)}
        for name in _FOLDERS:
            folder = place / inside.get(name, name)
            if folder.is_dir():
                found[os.path.realpath(folder)] = folder
    return [MaskFolder(folder) for folder in found.values()]


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder), reverse=True)
    except OSError:
        return []


def _warn(root: Path, frames: Sequence[PosedImage], folders: Sequence[MaskFolder]) -> None:
    """Warn of unused masks and of pictures without a mask."""
    used = [frame.mask_path for frame in frames if frame.mask_path is not None]
    for folder in folders:
        count = _count_pictures(folder.folder)
        if count and not any(folder.folder in path.parents for path in used):
            _log.warning(
                "%s holds %d pictures and none is used as a mask: no name fits; %s",
                folder.folder,
                count,
                _HINT,
            )
    if 0 < len(used) < len(frames):
        first = next(frame.name for frame in frames if frame.mask_path is None)
        _log.warning(
            "%s: %d of %d pictures have a mask; the others count in full, the first is %r",
            root, len(used), len(frames), first,
        )  # fmt: skip


def _count_pictures(folder: Path) -> int:
    return sum(
        os.path.splitext(name)[1].lower() in EXTENSIONS for _, _, names in os.walk(folder) for name in names
    )
