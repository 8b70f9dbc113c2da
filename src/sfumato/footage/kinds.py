"""Detection of file types by content, and expansion of the files and folders a user names."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from PIL import Image

from sfumato.capture.natural_order import natural_key
from sfumato.errors import CaptureError
from sfumato.footage.exif import tags_of_tiff
from sfumato.footage.frames_file import Dropped
from sfumato.footage.video import open_video

_log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]


class Kind(Enum):
    """How a file is opened."""

    PICTURE = "picture"
    HEIC = "heic"
    RAW = "raw"
    VIDEO = "video"


_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_RAW_STARTS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")
_TIFF_STARTS = (b"II*\0", b"MM\0*")
_DNG_VERSION = 50706
# RAW formats that are TIFF files with tags of the manufacturer.
_RAW_SUFFIXES = {
    ".nef",
    ".nrw",
    ".arw",
    ".sr2",
    ".srf",
    ".pef",
    ".srw",
    ".dng",
    ".cr2",
    ".3fr",
    ".iiq",
    ".erf",
}
_PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".heic", ".heif", ".tif", ".tiff", ".webp", ".bmp"}
VIDEO_SUFFIXES = {".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mts", ".m2ts", ".3gp"}
_MAX_FILES = 100_000


@dataclass(frozen=True)
class Source:
    """An input file with pictures.

    Attributes:
        path: the file.
        kind: how it is opened.
        group: folder of its pictures; distinct for every video and every folder of photographs.
    """

    path: Path
    kind: Kind
    group: str


def kind_of(path: Path) -> Kind | None:
    """The kind of a file; None if it is neither a picture nor a video.

    Raises:
        CaptureError: it cannot be read, or is a video without pictures.
    """
    try:
        with path.open("rb") as file:
            head = file.read(256)
    except OSError as error:
        raise CaptureError(f"{path} cannot be read ({(error.strerror or str(error)).lower()})") from None
    special = _kind_by_start(head)
    if special is not None:
        return special
    if head.startswith(_TIFF_STARTS) and (
        path.suffix.lower() in _RAW_SUFFIXES or _DNG_VERSION in tags_of_tiff(path)
    ):
        return Kind.RAW
    try:
        with Image.open(path) as image:
            if image.format == "GIF" and getattr(image, "is_animated", False):
                return Kind.VIDEO if open_video(path) else Kind.PICTURE
            return Kind.PICTURE
    except Exception:
        # Pillow raises many kinds of errors on unknown files.
        return Kind.VIDEO if open_video(path) else None


def _kind_by_start(head: bytes) -> Kind | None:
    if head[4:8] == b"ftyp":
        box = head[8 : max(12, min(len(head), int.from_bytes(head[:4], "big")))]
        brands = {box[at : at + 4] for at in range(0, len(box), 4)}
        if box[:4] == b"crx ":
            return Kind.RAW
        if box[:4] in _HEIC_BRANDS and not brands & {b"avif", b"avis"}:
            return Kind.HEIC
    if head.startswith(_RAW_STARTS) or (head.startswith(_TIFF_STARTS) and head[8:10] == b"CR"):
        return Kind.RAW
    return None


def find_sources(inputs: Sequence[Path], report: Progress) -> tuple[list[Source], list[Dropped]]:
    """The pictures and videos among files and folders, in order, and those that are broken.

    Folders are searched recursively, without hidden files.

    Raises:
        CaptureError: a path is missing, a file is unusable, or nothing is found.
    """
    if not inputs:
        raise CaptureError("no input: give a video, photographs, or a folder of them")
    names = _Names()
    found: dict[Path, Source] = {}
    broken: list[Dropped] = []
    for given in inputs:
        if given.is_dir():
            sources, unusable = _search(given, names, report)
            broken += unusable
        elif given.is_file():
            sources = [_single(given, names)]
        else:
            raise CaptureError(f"{given} {_missing(given)}; give a video, a photograph or a folder")
        for source in sources:
            found.setdefault(source.path.resolve(), source)
    return list(found.values()), broken


def _missing(path: Path) -> str:
    return "is neither a file nor a folder" if path.exists() else "does not exist"


def _single(path: Path, names: _Names) -> Source:
    kind = kind_of(path)
    if kind is None:
        with path.open("rb") as file:
            is_cut = file.read(8)[4:] == b"ftyp"
        why = (
            "is a video without its index, as if its end were cut off"
            if is_cut
            else "is not a picture or video"
        )
        advice = (
            "copy it again from the camera" if is_cut else "give a video, photographs, or a folder of them"
        )
        raise CaptureError(f"{path} {why}, judging by its content; {advice}")
    return Source(path, kind, names.of(path.stem if kind is Kind.VIDEO else path.absolute().parent, path))


def _search(folder: Path, names: _Names, report: Progress) -> tuple[list[Source], list[Dropped]]:
    sources: list[Source] = []
    broken: list[Dropped] = []
    others = 0
    for number, path in enumerate(_files_below(folder)):
        if number >= _MAX_FILES:
            raise CaptureError(
                f"{folder} holds more than {_MAX_FILES} files; give the folders of pictures in it"
            )
        report(f"searching {folder.name}", number + 1, 0)
        try:
            kind = kind_of(path)
            reason = "broken: its content is not a picture or video, whatever its name says"
        except CaptureError as error:
            kind, reason = None, f"broken: {error}"
        if kind is not None:
            sources.append(
                Source(path, kind, names.of(path.stem if kind is Kind.VIDEO else path.parent, path))
            )
        elif path.suffix.lower() in _PICTURE_SUFFIXES | VIDEO_SUFFIXES:
            broken.append(Dropped(str(path), path.name, reason))
            _log.warning("%s is left out: %s", path, reason)
        else:
            others += 1
    if others:
        _log.info("%s: %d files are not pictures or videos; left out", folder, others)
    if not sources:
        why = f"all {len(broken)} of its pictures are broken" if broken else "holds no picture and no video"
        raise CaptureError(f"{folder}: {why}; give a video, photographs, or a folder of them")
    return sources, broken


def _files_below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural_key)
        for name in sorted(files, key=natural_key):
            path = Path(root, name)
            if not name.startswith(".") and path.is_file():
                yield path


class _Names:
    """Short names for folders and videos, distinct regardless of case."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, thing: str | Path, path: Path) -> str:
        """The name of a folder (a path), or of a video (its stem) at ``path``."""
        is_folder = isinstance(thing, Path)
        key = f"folder {thing.resolve()}" if isinstance(thing, Path) else f"video {path.resolve()}"
        if key not in self._of:
            requested = plain_name(thing.resolve().name if isinstance(thing, Path) else thing)
            self._of[key] = distinct(requested or ("photos" if is_folder else "video"), self._taken)
        return self._of[key]


def plain_name(text: str) -> str:
    """A name that is valid on every file system and in COLMAP's lists: blanks and separators become "_"."""
    kept = "".join(c if c.isalnum() or c in "._-+()" else "_" for c in text)
    return kept.strip(".")[:100]


def distinct(requested: str, taken: set[str], *, within: str = "") -> str:
    """A requested name within a folder, with a number if it is taken; adds the result to ``taken``."""
    name, number = requested, 2
    while f"{within}/{name}".lower() in taken:
        name, number = f"{requested}_{number}", number + 1
    taken.add(f"{within}/{name}".lower())
    return name
