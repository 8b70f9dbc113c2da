"""What a run shows while it goes on: one living line in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_LIVE_EVERY_S = 0.25
_PLAIN_EVERY_S = 10.0


@dataclass(frozen=True)
class Figures:
    """A run at one moment.

    Attributes:
        progress: share that is done.
        budget: what is done of what, in words.
        rate: steps a second; 0: not known yet.
        loss: smoothed.
        gaussians: number of them.
        size_px: (width, height) of the pictures now.
        psnr: last on held-out views, decibels, or None.
        remaining_s: estimated rest.
    """

    progress: float
    budget: str
    rate: float
    loss: float
    gaussians: int
    size_px: tuple[int, int]
    psnr: float | None
    remaining_s: float

    def words(self) -> list[str]:
        """Each figure with its unit."""
        words = [
            self.budget,
            *([f"{self.rate:.1f} steps/s"] if self.rate else []),
            f"loss {self.loss:.4f}",
            f"{self.gaussians:,} Gaussians",
            f"{self.size_px[0]}x{self.size_px[1]}",
        ]
        if self.psnr is not None:
            words.append(f"{self.psnr:.2f} dB")
        return [*words, f"{clock(self.remaining_s)} left"] if self.rate else words


class Display:
    """Shows a run on a console.

    Args:
        console: where; None shows nothing.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(quiet=True)
        self._live: Live | None = None
        self._last = 0.0

    def say(self, words: str) -> None:
        """Print a line."""
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
    def training(self) -> Iterator[None]:
        """While this lasts, ``show`` is called after each step."""
        self._last = time.monotonic()
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as self._live:
            yield
        self._live = None

    @property
    def is_due(self) -> bool:
        """Whether it is time to show the next figures."""
        return time.monotonic() - self._last >= (_LIVE_EVERY_S if self._live else _PLAIN_EVERY_S)

    def show(self, figures: Figures) -> None:
        """Show how far the run is."""
        self._last = time.monotonic()
        if self._live is None:
            self.say(f"{figures.progress:4.0%}  " + "  ".join(figures.words()))
            return
        line = Table.grid(padding=(0, 1))
        line.add_column(width=20)
        line.add_column(no_wrap=True)
        words = Text(f"{figures.progress:4.0%}  ")
        words.append("  ".join(figures.words()), style="dim")
        line.add_row(ProgressBar(total=1.0, completed=figures.progress, width=20), words)
        self._live.update(line, refresh=True)


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
