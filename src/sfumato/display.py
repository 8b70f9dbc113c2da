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
# Progress is shown of what takes longer than this; shorter work is over before it is read.
_SHOWN_AFTER_S = 1.0
_SEPARATOR = " · "
# Of the progress bar, columns; the short one in terminals that are narrower than the third.
_BAR, _SHORT_BAR, _WIDE = 20, 8, 100
# How long the rest takes is told once these many things, or this share of them, say how long one takes.
_TELLING_COUNT = 10
_TELLING_SHARE = 0.1


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

    def of_a_whole(self, words: Callable[[], str]) -> None:
        """From now on ``words()``, how far the whole is, stands in every line of progress."""
        self._whole = words

    def say(self, words: str) -> None:
        """Print a line, or several."""
        words = "\n".join(map(printable, words.split("\n")))
        self._console.print(words, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def waiting(self, words: str) -> Iterator[None]:
        """Say what is waited for, with something that turns in a terminal."""
        if self._console.is_terminal:
            with self._console.status(Text(words)):
                yield
        else:
            self.say(words)
            yield

    @contextmanager
    def living(self) -> Iterator[None]:
        """While this lasts, ``show`` is called again and again."""
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
        """Show how far the work is. In a terminal the last figures are left out where there is no room.

        Args:
            progress: share that is done.
            title: what is done.
            figures: with their units, what matters most first.
            left_s: seconds until the work is done; None: not known yet.
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
        """Show the progress of work that is counted.

        Args:
            title: what is done, such as "matching".
            things: what is counted, such as "pairs".

        Returns:
            A context manager that gives a function to call with how many are done and how many there
            are; 0 for the second where that is unknown.
        """
        began = time.monotonic()

        def report(done: int, total: int) -> None:
            spent_s = time.monotonic() - began
            if spent_s < _SHOWN_AFTER_S or not self.is_due:
                return
            rate = done / spent_s
            of = f"{done:,} of {total:,}" if total else f"{done:,}"
            telling = total and done and done >= min(_TELLING_COUNT, _TELLING_SHARE * total)
            self.show(
                done / total if total else 0.0,
                f"{title}: {of} {things}",
                [f"{rate:.1f}/s"] if rate else [],
                left_s=(total - done) / rate if telling else None,
            )

        with self.living():
            yield report


def _fitting(words: Sequence[str], width: int) -> str:
    """As many words, from the first, as fit a line; the first one in any case."""
    line = words[0]
    for word in words[1:]:
        longer = f"{line}{_SEPARATOR}{word}"
        if len(longer) > width:
            break
        line = longer
    return line


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
