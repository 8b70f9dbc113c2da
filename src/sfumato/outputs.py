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

from sfumato.errors import InUseError, SfumatoError

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
    """Yield a temporary path beside ``path`` that is renamed to ``path`` when the block succeeds.

    The file is flushed to disk before it is renamed, so ``path`` holds either its previous
    content or the complete new one, even after a kill or a power failure. On an error the
    temporary file is removed. Missing parent folders are created. The temporary name keeps the
    suffix, by which some libraries choose the format. The mode of a replaced file is kept.

    Args:
        path: the final name; if it is a symbolic link, its target is replaced.

    Returns:
        A context manager that gives the temporary path, an empty file.

    Raises:
        SfumatoError: the disk is full, the folder is not writable, or another file system
            error, in one line.
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
        # torch.save reports a failed write of its archive like this, without the reason.
        if "inline_container" not in str(error):
            raise
        raise write_error(path, OSError("not all of it could be written")) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def remove_unfinished(folder: Path) -> None:
    """Delete temporary files that an interrupted ``replacing`` left in a folder."""
    for path in folder.glob(".*.part*"):
        if _UNFINISHED.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()


@contextmanager
def folder_lock(folder: Path, doing: str) -> Iterator[None]:
    """Lock a folder against other processes; the lock is released when this process ends.

    Args:
        folder: created if it does not exist.
        doing: what this process does with it, such as "training into", for the error.

    Raises:
        InUseError: another process has locked it.
        SfumatoError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise InUseError(f"another process is {doing} {folder}; wait for it, or give another --out") from None
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
    """Write ``data`` to ``path`` atomically: on an error ``path`` is unchanged."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text to ``path`` atomically: on an error ``path`` is unchanged."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, value: object) -> None:
    """Write ``value`` as indented JSON, atomically; NaN and infinity raise ValueError."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # Bytes of file names that are not UTF-8 become escapes, which JSON reads back unchanged.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())


def _flush_folder(folder: Path) -> None:
    # A rename survives a power failure only after its folder has been flushed as well. Systems without
    # folder handles (Windows), and file systems that do not allow the call, order renames themselves.
    with suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
