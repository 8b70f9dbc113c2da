"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sfumato.errors import ConfigError, SfumatoError

ADVICE = {
    errno.ENOSPC: "free some space or choose another folder with --out",
    errno.EDQUOT: "free some space or choose another folder with --out",
    errno.EFBIG: "choose a folder that allows larger files",
    errno.EACCES: "choose a folder you may write to",
    errno.EPERM: "choose a folder you may write to",
    errno.EROFS: "choose a folder that is not read-only",
    errno.ENOTDIR: "a part of this path is a file; choose another",
    errno.EEXIST: "a part of this path is a file; choose another",
    errno.EISDIR: "this is a folder; give a file name",
    errno.ENAMETOOLONG: "choose a shorter name",
}
# Names of files that are being written.
_UNFINISHED = re.compile(r"\..*\.[0-9a-f]{12}\.part(\..*)?")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that becomes ``path`` when the block ends well.

    The file is flushed to the disk before it is renamed, so ``path`` holds either what it held
    before or everything that was written, even after a kill or a power cut. On an error the
    temporary file is removed. Missing parent folders are made. The temporary name keeps the
    suffix, by which some libraries choose their format. A file that is replaced hands on its mode.

    Args:
        path: the final name; a symbolic link keeps pointing where it points.

    Returns:
        A context manager that gives the temporary path, an empty file.

    Raises:
        SfumatoError: the disk is full, the folder is not writable, or another failure of the
            file system, in one line.
    """
    final = Path(os.path.realpath(path))
    temporary = final.with_name(f".{final.stem[:100]}.{secrets.token_hex(6)}.part{final.suffix[:40]}")
    try:
        if final.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary.open("xb").close()
        yield temporary
        _flush_to_disk(temporary)
        if final.exists():
            temporary.chmod(stat.S_IMODE(final.stat().st_mode))
        os.replace(temporary, final)
        _flush_folder(final.parent)
    except OSError as error:
        raise write_error(path, error) from error
    except RuntimeError as error:
        # torch.save reports a failed write of its archive in this way, without the system's reason.
        if "inline_container" not in str(error):
            raise
        raise write_error(path, OSError("not all of it could be written")) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def remove_unfinished(folder: Path) -> None:
    """Delete what ``replacing`` left in a folder where it was killed."""
    for path in folder.glob(".*.part*"):
        if _UNFINISHED.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()


@contextmanager
def holding(folder: Path, doing: str) -> Iterator[None]:
    """Keep other processes from writing into a folder; the system lets go when this one dies.

    Args:
        folder: made if it does not exist.
        doing: what this process does with it, such as "training into", for the other one's error.

    Raises:
        ConfigError: another process holds it.
        SfumatoError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise ConfigError(
            f"another process is {doing} {folder}; wait for it, or give another --out"
        ) from None
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        yield
    finally:
        lock.release()


def write_error(path: str | Path, error: OSError) -> SfumatoError:
    """The one-line error for a failed write of ``path``, with advice where the cause is known."""
    reason = (error.strerror or " ".join(str(error).split())).lower()
    advice = ADVICE.get(error.errno or 0, "check the free space and the folder")
    return SfumatoError(f"cannot write {path}: {reason}; {advice}")


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path`` in one piece, or leave ``path`` as it was."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text to ``path`` in one piece, or leave ``path`` as it was."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, value: object) -> None:
    """Write ``value`` as indented JSON in one piece; NaN and infinity are a ValueError."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # A byte of a file's name that is not UTF-8 becomes an escape, which JSON reads back as it was.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())


def _flush_folder(folder: Path) -> None:
    # A rename survives a power cut only once its folder is on the disk too; systems without
    # folder handles (Windows) or file systems that refuse the call order renames themselves.
    with suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
