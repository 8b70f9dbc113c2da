"""Lookup of pictures and other files of a dataset by the names in its camera files.

The exact name is preferred, then one that differs in case or Unicode form (composed or decomposed letters),
then, for pictures, one with another or an added extension.
"""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from sfumato.capture.readers.source import contained_path
from sfumato.errors import CaptureError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})
MASK_ENDINGS = ("_mask", ".mask")
_MAX_FILES = 1_000_000
_MAX_HEADER_BYTES = 65_536


def folded(name: str) -> str:
    """A name normalised in case and Unicode form, which differ between file systems and programs."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def without_extension(name: str) -> str:
    """A name or path without the extension of a picture, if it has one."""
    stem, extension = os.path.splitext(name)
    return stem if extension.lower() in EXTENSIONS else name


class PictureFolder:
    """Files below a folder, found by names that may be spelt differently on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listings: dict[Path, _Listing] = {}

    def picture(self, name: str, where: str) -> Path | None:
        """The picture of a name, or None.

        Args:
            name: relative to the folder, with either kind of slash.
            where: the file with the name, for messages.

        Raises:
            CaptureError: the name points outside the folder, or matches several pictures equally well.
        """
        path = contained_path(self.folder, name, where)
        return path if path.is_file() else self.find(path.relative_to(self.folder).parts, where)

    def file(self, name: str, where: str) -> Path | None:
        """The file of a name, with exactly its extension; otherwise like ``picture``."""
        path = contained_path(self.folder, name, where)
        if path.is_file():
            return path
        return self.find(path.relative_to(self.folder).parts, where, other_extensions=False)

    def find(self, parts: Sequence[str], where: str, *, other_extensions: bool = True) -> Path | None:
        """The file of a path given by its parts, or None; parts may exceed the length limit of file names."""
        folder = self.folder
        for part in parts[:-1]:
            there = self._listing(folder).names.get(folded(part), [])
            inner = _sole([name for name in there if (folder / name).is_dir()], part, folder, where)
            if inner is None:
                return None
            folder = folder / inner
        listing, name = self._listing(folder), "".join(parts[-1:])
        found = listing.names.get(folded(name), [])
        if not found and other_extensions:
            stems = (folded(without_extension(name)), folded(name))
            found = next((listing.stems[stem] for stem in stems if stem in listing.stems), [])
        best = _sole([one for one in found if (folder / one).is_file()], name, folder, where)
        return None if best is None else folder / best

    def _listing(self, folder: Path) -> _Listing:
        if folder not in self._listings:
            self._listings[folder] = _Listing(folder)
        return self._listings[folder]


class _Listing:
    """Names in one folder: all by normalised name, pictures by normalised stem."""

    def __init__(self, folder: Path) -> None:
        self.names: dict[str, list[str]] = defaultdict(list)
        self.stems: dict[str, list[str]] = defaultdict(list)
        try:
            entries = sorted(os.listdir(folder))
        except OSError:
            entries = []
        _check_number(len(entries), folder)
        for name in entries:
            self.names[folded(name)].append(name)
            stem = without_extension(name)
            if stem != name:
                self.stems[folded(stem)].append(name)


def _sole(found: Sequence[str], name: str, folder: Path, where: str) -> str | None:
    """The only match of a name, or the exact one of several."""
    wanted = unicodedata.normalize("NFC", name)
    stem = without_extension(wanted)

    def rank(one: str) -> tuple[bool, bool, bool]:
        plain = unicodedata.normalize("NFC", one)
        return one != name, plain != wanted, without_extension(plain) != stem

    least = min(map(rank, found), default=None)
    best = [one for one in found if rank(one) == least]
    if len(best) > 1:
        raise _ambiguous(name, best, folder, where)
    return best[0] if best else None


def _ambiguous(name: str, found: Sequence[str], folder: Path, where: str) -> CaptureError:
    return CaptureError(
        f"{where}: image {name!r} may be {found[0]!r} or {found[1]!r}; keep one of them in {folder}"
    )


def _check_number(count: int, folder: Path) -> None:
    if count > _MAX_FILES:
        raise CaptureError(f"{folder} holds more than {_MAX_FILES} files; give the dataset's folder")


class PictureIndex:
    """All pictures below a folder, found by the labels of another program.

    Masks are excluded: files below ``masks``, and those that end in ``_mask`` or ``.mask``.
    """

    def __init__(self, root: Path) -> None:
        """List the files below ``root``, without following links other than ``root/images``.

        Raises:
            CaptureError: there are too many files for a dataset.
        """
        self.root = root
        self._names: dict[str, list[str]] = defaultdict(list)
        tops = [root / "images", root] if (root / "images").is_symlink() else [root]
        seen = 0
        for top in tops:
            for folder, folders, files in os.walk(top):
                folders[:] = sorted(name for name in folders if name != "masks" and not name.startswith("."))
                seen += len(files) + len(folders)
                _check_number(seen, root)
                inside = PurePosixPath(Path(folder).relative_to(root).as_posix())
                for name in sorted(files):
                    self._add(inside / name)

    def _add(self, name: PurePosixPath) -> None:
        if without_extension(name.name) != name.name and not name.stem.endswith(MASK_ENDINGS):
            for key in {str(name), name.name, str(name.with_suffix("")), name.stem}:
                self._names[folded(key)].append(str(name))

    def find(self, label: str, where: str) -> str | None:
        """The picture of a label, relative to the root with forward slashes, or None.

        A label is a path, a file name or a file name without its extension, in any case and Unicode form.
        Of several matches, one below ``images`` is preferred, then the one in fewer folders.

        Args:
            label: from the camera file.
            where: the camera file, for messages.

        Raises:
            CaptureError: it matches several pictures equally well.
        """
        path = PurePosixPath(folded(label.replace("\\", "/")))
        names = next(
            (
                self._names[key]
                for key in (str(path), path.name, without_extension(path.name))
                if key in self._names
            ),
            [],
        )
        if not names:
            return None
        ranked = sorted(((not name.startswith("images/"), name.count("/")), name) for name in names)
        best = [name for rank, name in ranked if rank == ranked[0][0]]
        if len(best) > 1:
            raise _ambiguous(label, best, self.root, where)
        return best[0]


def sole_ply(root: Path, stem: str) -> Path | None:
    """The point cloud beside a camera file: the only ``.ply`` of the folder, or the one named like it.

    Splat files are ignored.

    Args:
        root: the folder.
        stem: of the camera file's name.
    """
    clouds = [path for path in sorted(root.glob("*.ply")) if path.is_file() and not _holds_gaussians(path)]
    named = [path for path in clouds if path.stem == stem]
    return named[0] if named else clouds[0] if len(clouds) == 1 else None


def _holds_gaussians(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b" f_dc_0" in file.read(_MAX_HEADER_BYTES)
    except OSError:
        return False
