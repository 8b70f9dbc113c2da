"""Import of COLMAP without its console output."""

from __future__ import annotations

import signal
import threading

# Signals for which COLMAP's log installs handlers that print a stack trace.
_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGTERM")
    if hasattr(signal, name)
)


def load_colmap(*, errors: bool = False) -> None:
    """Import COLMAP without its log; signal handlers are unchanged.

    Args:
        errors: whether it may log errors.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    import pycolmap

    level = pycolmap.logging.Level.ERROR if errors else pycolmap.logging.Level.FATAL
    pycolmap.logging.minloglevel = int(level)
    if threading.current_thread() is threading.main_thread():
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
