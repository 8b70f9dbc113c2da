"""Progress display: one updating line in a terminal, occasional lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sfumato.errors import printable

_LIVE_EVERY_S = 0.25
_PLAIN_EVERY_S = 10.0
# Work that takes less time than this shows no progress.
_SHOWN_AFTER_S = 1.0
_SEPARATOR = " · "
# Columns of the progress bar, of the shorter bar, and of the terminal below which the shorter one is used.
_BAR, _SHORT_BAR, _WIDE = 20, 8, 100
# The remaining time is shown after this many items, or after this share of all items.
_ESTIMATE_COUNT = 10
_ESTIMATE_SHARE = 0.1


class Display:
    """Shows work on a console.

    Args:
        console: where; None shows nothing.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(quiet=True)
        self._live: Live | None = None
        self._last = 0.0
        self._whole: Callable[[], str] = str

    def set_overall_progress(self, words: Callable[[], str]) -> None:
        """Include ``words()``, the progress of the whole run, in every progress line from now on."""
        self._whole = words

    def say(self, words: str) -> None:
        """Print a line, or several."""
        words = "\n".join(map(printable, words.split("\n")))
        self._console.print(words, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def waiting(self, words: str) -> Iterator[None]:
        """Show what is being waited for, with a spinner in a terminal."""
        if self._console.is_terminal:
            with self._console.status(Text(words)):
                yield
        else:
            self.say(words)
            yield

    @contextmanager
    def live_updates(self) -> Iterator[None]:
        """A context in which ``show`` is called repeatedly."""
        self._last = time.monotonic()
        if not self._console.is_terminal:
            yield
            return
        try:
            with Live(console=self._console, auto_refresh=False, transient=True) as self._live:
                yield
        finally:
            self._live = None

    @property
    def is_due(self) -> bool:
        """Whether it is time to show the next figures."""
        return time.monotonic() - self._last >= (_LIVE_EVERY_S if self._live else _PLAIN_EVERY_S)

    def show(
        self, progress: float, title: str, figures: Sequence[str] = (), *, left_s: float | None = None
    ) -> None:
        """Show the progress of the work. In narrow terminals the last figures are omitted.

        Args:
            progress: completed share, 0 to 1.
            title: what is done.
            figures: with their units, the most important first.
            left_s: estimated remaining seconds; None: not known yet.
        """
        self._last = time.monotonic()
        left = "" if left_s is None else f"{clock(left_s)} left"
        words = [word for word in (title, left, self._whole(), *figures) if word]
        share = f"{progress:4.0%}  "
        if self._live is None:
            self.say(share + _SEPARATOR.join(words))
            return
        width = self._console.width
        bar = _BAR if width >= _WIDE else _SHORT_BAR
        row = Table.grid(padding=(0, 1))
        row.add_column(width=bar)
        row.add_column(no_wrap=True)
        text = Text(share)
        text.append(_fitting(words, width - bar - 2 - len(share)), style="dim")
        row.add_row(ProgressBar(total=1.0, completed=progress, width=bar), text)
        self._live.update(row, refresh=True)

    @contextmanager
    def counting(self, title: str, things: str) -> Iterator[Callable[[int, int], None]]:
        """Show the progress of work on a number of items.

        Args:
            title: what is done, such as "matching".
            things: what is counted, such as "pairs".

        Returns:
            A context manager that gives a function to call with the number of items done and the total
            number; a total of 0 means unknown.
        """
        began = time.monotonic()

        def report(done: int, total: int) -> None:
            spent_s = time.monotonic() - began
            if spent_s < _SHOWN_AFTER_S or not self.is_due:
                return
            rate = done / spent_s
            of = f"{done:,} of {total:,}" if total else f"{done:,}"
            is_estimated = total and done and done >= min(_ESTIMATE_COUNT, _ESTIMATE_SHARE * total)
            self.show(
                done / total if total else 0.0,
                f"{title}: {of} {things}",
                [f"{rate:.1f}/s"] if rate else [],
                left_s=(total - done) / rate if is_estimated else None,
            )

        with self.live_updates():
            yield report


def _fitting(words: Sequence[str], width: int) -> str:
    """The first words that fit on one line, at least one, joined by separators."""
    line = words[0]
    for word in words[1:]:
        longer = f"{line}{_SEPARATOR}{word}"
        if len(longer) > width:
            break
        line = longer
    return line


def clock(seconds: float) -> str:
    """A duration as m:ss, or h:mm:ss from one hour on."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
