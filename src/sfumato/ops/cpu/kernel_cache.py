"""Disk cache of compiled kernels; damaged or untrusted files are compiled again.

A kernel file is a digest and a pickle. It is read only from a folder that other users cannot write to, and
only if the digest matches: a flipped bit in machine code would change the render.

Processes that need the same kernel compile it once: the others wait for it.
"""

import atexit
import functools
import hashlib
import logging
import os
import pickle
import shutil
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numba
from filelock import FileLock, Timeout
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from sfumato.errors import SfumatoError
from sfumato.outputs import write_bytes

_log = logging.getLogger("sfumato")

_PACKAGE = Path(__file__).parents[2]
# Sources outside ops/cpu whose constants are compiled into kernels.
FROZEN = ("ops/constants.py", "maths/sh.py", "maths/morton.py")
SUFFIX = ".nbc"
_DIGEST_BYTES = hashlib.sha256().digest_size
_PRIVATE = 0o700
# A kernel takes a few seconds; a process that holds it longer has stopped.
_LONGEST_COMPILATION_S = 60


@functools.cache
def cache_folder() -> Path:
    """Folder of the compiled kernels, one per version of their sources; created if missing.

    It is in ``SFUMATO_CACHE``, else in the user's cache folder, else, if neither exists or it cannot be
    trusted, in a private temporary folder.
    """
    version = Path("kernels", sources_digest(_PACKAGE))
    root = _user_root()
    if root is not None:
        complaint = _make_private(root, version)
        if complaint is None:
            return root / version
        _log.warning("%s; compiled kernels are kept among the temporary files instead", complaint)
    try:
        name = f"sfumato-{os.getuid()}" if hasattr(os, "getuid") else "sfumato"
        private = Path(os.path.realpath(tempfile.gettempdir()), name)
        if _make_private(private, version) is not None:
            private = Path(tempfile.mkdtemp(prefix="sfumato-"))
            atexit.register(shutil.rmtree, private, ignore_errors=True)
            _make_private(private, version)
        return private / version
    except OSError:
        raise SfumatoError(
            "there is no folder for compiled kernels: set SFUMATO_CACHE to one that can be written"
        ) from None


def environment() -> dict[str, str]:
    """Environment for a child process, with the same cache."""
    return {**os.environ, "SFUMATO_CACHE": str(cache_folder().parents[1])}


def sources_digest(package: Path) -> str:
    """Version of the kernels: a hash of all sources they are compiled from.

    Args:
        package: folder of ``sfumato``.
    """
    sources = [*sorted((package / "ops" / "cpu").rglob("*.py")), *(package / name for name in FROZEN)]
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.name.encode() + hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()[:16]


class KernelMissing(Exception):
    """A kernel is not in the cache, and this thread compiles none: see ``only_cached``."""


_thread = threading.local()


@contextmanager
def only_cached() -> Iterator[None]:
    """Within, this thread raises ``KernelMissing`` instead of compiling a kernel."""
    _thread.compiles = False
    try:
        yield
    finally:
        _thread.compiles = True


class KernelCache(NullCache):
    """The cache of one compiled function, instead of Numba's.

    Args:
        function: the function.
    """

    # Whether writing has failed in this process; the warning is logged once.
    failed = False
    # Whether the message about slow first calls was logged in this process.
    announced = False

    def __init__(self, function) -> None:
        self._function = function
        # Held by this process while it compiles.
        self._lock: FileLock | None = None

    @property
    def cache_path(self) -> str:
        return str(cache_folder())

    def load_overload(self, sig, target_context):
        """Load the compiled kernel for a signature; None if there is none.

        Raises:
            KernelMissing: if there is none, within ``only_cached``.
        """
        target_context.refresh()
        path = self._path(sig, target_context.codegen())
        payload = _read(path)
        if payload is None and not getattr(_thread, "compiles", True):
            raise KernelMissing
        if payload is None:
            if not KernelCache.announced:
                self._say_first_compilation()
            self._unlock()
            self._lock = _lock(path)
            payload = _read(path)
            if payload is not None:
                self._unlock()
        return None if payload is None else CompileResult._rebuild(target_context, *pickle.loads(payload))

    def save_overload(self, sig, compiled) -> None:
        """Write the compiled kernel for a signature; a failure is logged as a warning."""
        payload = dumps(compiled._reduce())
        try:
            write_bytes(self._path(sig, compiled.codegen), hashlib.sha256(payload).digest() + payload)
        except SfumatoError as error:
            if not KernelCache.failed:
                _log.warning(
                    "compiled kernels cannot be kept in %s (%s): they are compiled at each start",
                    cache_folder(),
                    getattr(error.__cause__, "strerror", None) or error,
                )
            KernelCache.failed = True
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
        self._lock = None

    @staticmethod
    def _say_first_compilation() -> None:
        KernelCache.announced = True
        if not any(cache_folder().glob(f"*{SUFFIX}")):
            from sfumato.ops.cpu.ahead import start_blending

            _log.warning(
                "compiling kernels, for the first time on this machine: about a minute; "
                "sfumato warmup does it beforehand"
            )
            start_blending()

    def _path(self, sig, codegen) -> Path:
        code = self._function.__code__.co_code
        what = (sig, codegen.magic_tuple(), numba.__version__, sys.version_info[:3], code)
        digest = hashlib.sha256(repr(what).encode()).hexdigest()[:16]
        module = self._function.__module__.removeprefix("sfumato.ops.cpu.")
        return cache_folder() / f"{module}.{self._function.__name__}.{digest}{SUFFIX}"


def _lock(path: Path) -> FileLock | None:
    """The lock of a kernel file, after any other process that compiles it; None where there are no locks."""
    lock = FileLock(path.with_suffix(".lock"), timeout=_LONGEST_COMPILATION_S)
    try:
        lock.acquire()
    except (OSError, NotImplementedError, Timeout):
        return None
    return lock


def _user_root() -> Path | None:
    """The cache folder chosen by the user, or the system's; None without a home folder."""
    given = os.environ.get("SFUMATO_CACHE")
    if given:
        return Path(os.path.realpath(given))
    try:
        return Path(os.path.realpath(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"), "sfumato")
    except RuntimeError:
        return None


def _make_private(root: Path, inside: Path) -> str | None:
    """Create a folder inside another; returns the reason why code in it cannot be trusted, or None."""
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        for folder in (root, *(root / part for part in reversed((inside, *inside.parents[:-1])))):
            folder.mkdir(_PRIVATE, exist_ok=True)
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or not _is_mine(found):
                return f"{folder} belongs to another user"
            # With the sticky bit set, other users can add files but not change those of this user.
            by_others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
            if by_others and os.name == "posix":
                return f"{folder} can be written by others (chmod go-w makes it private)"
    except OSError as error:
        return f"{root} cannot be used ({(error.strerror or str(error)).lower()})"
    return None


def _is_mine(found: os.stat_result) -> bool:
    """Whether a file belongs to this user, or to the administrator, who has access anyway."""
    return not hasattr(os, "getuid") or found.st_uid in (os.getuid(), 0)


def _read(path: Path) -> bytes | None:
    """The content of a kernel file; None if it is missing, damaged or another user's."""
    try:
        with path.open("rb") as handle:
            if not _is_mine(os.fstat(handle.fileno())):
                return None
            digest, payload = handle.read(_DIGEST_BYTES), handle.read()
    except OSError:
        return None
    return payload if hashlib.sha256(payload).digest() == digest else None
