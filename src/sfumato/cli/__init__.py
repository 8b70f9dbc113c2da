"""The command line: ``sfumato <verb>``. The modules of a verb are imported only when it is called.

Exit codes: 0 done; 2 wrong input or arguments, reported in one line; 130 Ctrl-C and 143 SIGTERM, after
saving; 1 anything else.
"""

from __future__ import annotations

import difflib
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType

from sfumato.errors import SfumatoError, printable

VERBS = {
    "reconstruct": "video, photographs or dataset -> run folder with a scene, in one go",
    "sfm": "video or photographs -> dataset with cameras",
    "train": "photographs with cameras -> run folder with a scene",
    "track": "synchronised videos of several cameras -> run folder with a dynamic scene",
    "splat": "measured point cloud -> scene file, without training",
    "eval": "run folder -> quality on held-out views, with pictures",
    "report": "run folder -> one-page report: quality, cameras, training, time",
    "convert": "scene file -> scene file of another format",
    "edit": "scene files -> scene file: select, remove, move, turn, colour, join, clean",
    "simplify": "scene -> scene file with fewer Gaussians that looks similar",
    "render": "run folder or scene file -> frames or a video along a camera path",
    "mesh": "run folder -> coloured triangle mesh of the surface",
    "view": "run folder or scene file -> viewer in the browser, or a page that works offline",
    "fit": "picture -> small file of 2D Gaussians, and back",
    "lesson": "interactive lesson on Gaussian splatting, in the browser or as a page that works offline",
    "warmup": "compile the kernels now instead of at first use",
    "doctor": "what this machine can do, and what would make it faster",
}
# Verbs that resume after an interruption when they are called again.
RESUMABLE = ("reconstruct", "sfm", "train", "track")
EXIT_WRONG = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class _Terminated(BaseException):
    """Raised by SIGTERM."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; user errors are reported in one line on stderr.

    Args:
        argv: arguments without the program's name; by default those of this process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _show_warnings()
    try:
        with _ending_in_order():
            return _dispatch(arguments)
    except SfumatoError as error:
        print(f"sfumato: error: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return EXIT_WRONG
    except (KeyboardInterrupt, _Terminated) as stop:
        hint = "; the same command resumes" if arguments[0] in RESUMABLE else ""
        print(f"sfumato: interrupted{hint}", file=sys.stderr)
        return EXIT_INTERRUPTED if isinstance(stop, KeyboardInterrupt) else EXIT_TERMINATED


def _dispatch(arguments: list[str]) -> int:
    verb = arguments[0] if arguments else "--help"
    if verb == "help" and arguments[1:2] and arguments[1] in VERBS:
        return _dispatch([arguments[1], "--help"])
    if verb in ("-h", "--help", "help"):
        _print_help()
        return 0
    if verb == "--version":
        import sfumato

        print(f"sfumato {sfumato.__version__}")
        return 0
    if verb not in VERBS:
        raise SfumatoError(_no_command(verb))
    return import_module(f"sfumato.cli.{verb}").command(arguments[1:])


def _no_command(word: str) -> str:
    there_are = f"there are: {', '.join(VERBS)}"
    meant = difflib.get_close_matches(word.lstrip("-").lower(), [*VERBS, "help", "version"], n=1, cutoff=0.7)
    if meant:
        name = meant[0] if meant[0] in VERBS else f"--{meant[0]}"
        return f"{word!r} is not a command; perhaps you meant {name}; {there_are}"
    if Path(word).exists():
        return f"{word!r} is a file or folder: a command comes before it; {there_are}"
    return f"{word!r} is not a command; {there_are}"


def _print_help() -> None:
    print("usage: sfumato <command> [options]\n")
    print("Photographs to 3D Gaussian scenes, on a plain CPU.\n")
    for verb, summary in VERBS.items():
        print(f"  {verb:11} {summary}")
    print("\nsfumato <command> --help explains its options, --help-all all of them where there are many;")
    print("sfumato --version names the version.")


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Context in which SIGTERM raises an exception, so that processes and temporary files are cleaned up."""

    def end(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    # Python handles signals only in the main thread. None: the existing handler was not set by Python.
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, end) if is_main else None
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _show_warnings() -> None:
    logger = logging.getLogger("sfumato")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_OneLine("sfumato: %(levelname)s: %(message)s"))
        logger.addHandler(handler)
        logging.addLevelName(logging.WARNING, "warning")
    for one in logger.handlers:
        if isinstance(one, logging.StreamHandler) and isinstance(one.formatter, _OneLine):
            # stderr may differ from the last call, if a program calls ``main`` repeatedly and redirects it.
            one.stream = sys.stderr


class _OneLine(logging.Formatter):
    """Keeps messages on one line and free of terminal control characters."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record))
