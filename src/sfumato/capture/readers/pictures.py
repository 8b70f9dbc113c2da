"""Pictures and point clouds of a dataset folder, found by what a camera file calls them."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path, PurePosixPath

from sfumato.errors import CaptureError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".JPG", ".JPEG", ".PNG", ".webp", ".tif", ".tiff", ".bmp")
_LOWER_EXTENSIONS = frozenset(extension.lower() for extension in EXTENSIONS)
_MAX_FILES = 1_000_000
_MAX_HEADER_BYTES = 65_536


def existing_picture(path: Path) -> Path | None:
    """The picture at ``path``, which may lack its extension or name another one."""
    if path.is_file():
        return path
    candidates = [path.with_name(path.name + extension) for extension in EXTENSIONS]
    if path.suffix in EXTENSIONS:
        candidates += [path.with_suffix(extension) for extension in EXTENSIONS]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


class PictureIndex:
    """All pictures below a folder, to be found by the label that another program gave them.

    Masks are left out: files below ``masks``, and those that end in ``_mask``.
    """

    def __init__(self, root: Path) -> None:
        """Look through ``root``, without following links other than ``root/images``.

        Raises:
            CaptureError: there are more files than a dataset has.
        """
        self.root = root
        self._names: dict[str, list[str]] = defaultdict(list)
        tops = [root / "images", root] if (root / "images").is_symlink() else [root]
        seen = 0
        for top in tops:
            for folder, folders, files in os.walk(top):
                folders[:] = sorted(name for name in folders if name != "masks" and not name.startswith("."))
                seen += len(files) + len(folders)
                if seen > _MAX_FILES:
                    raise CaptureError(
                        f"{root} holds more than {_MAX_FILES} files; give the dataset's folder"
                    )
                inside = PurePosixPath(Path(folder).relative_to(root).as_posix())
                for name in sorted(files):
                    self._add(inside / name)

    def _add(self, name: PurePosixPath) -> None:
        if name.suffix.lower() in _LOWER_EXTENSIONS and not name.stem.endswith("_mask"):
            for key in {str(name), name.name, str(name.with_suffix("")), name.stem}:
                self._names[key.casefold()].append(str(name))

    def find(self, label: str, where: str) -> str | None:
        """The picture that a label means, relative to the root with forward slashes, or None.

        A label is a path, a file name or a file name without its extension, in any case. Where several
        pictures fit, one below ``images`` wins, then the one in fewer folders.

        Args:
            label: as the camera file has it.
            where: the camera file, for messages.

        Raises:
            CaptureError: it fits several pictures equally well.
        """
        path = PurePosixPath(label.replace("\\", "/").casefold())
        stem = [path.stem] if path.suffix in _LOWER_EXTENSIONS else []
        keys = [str(path), path.name, *stem]
        names = next((self._names[key] for key in keys if key in self._names), [])
        if not names:
            return None
        ranked = sorted(((not name.startswith("images/"), name.count("/")), name) for name in names)
        best = [name for rank, name in ranked if rank == ranked[0][0]]
        if len(best) > 1:
            raise CaptureError(
                f"{where}: image {label!r} may be {best[0]!r} or {best[1]!r}; keep one of them in {self.root}"
            )
        return best[0]


def sole_ply(root: Path, stem: str) -> Path | None:
    """The point cloud beside a camera file: the only ``.ply`` of the folder, or the one named like it.

    Files of Gaussians are no point clouds.

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
