"""Progress: an updating line in a terminal, occasional lines elsewhere."""

import io

import pytest
from rich.console import Console

from sfumato import display as module
from sfumato.display import Display, clock

WORDS = "training", ["12,345 Gaussians", "25 of 100 steps"]


class Clock:
    """A clock that is set manually."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


def console(terminal, width=160):
    return Console(file=io.StringIO(), force_terminal=terminal, width=width)


def test_a_terminal_gets_one_updating_line():
    screen = console(True)
    shown = Display(screen)
    with shown.live_updates():
        shown.show(0.25, *WORDS)
        assert not shown.is_due
    assert "12,345 Gaussians" in screen.file.getvalue() and "━" in screen.file.getvalue()
    with shown.waiting("thinking"):
        pass


def test_logs_get_occasional_lines(monkeypatch):
    time = Clock()
    monkeypatch.setattr(module, "time", time)
    shown = Display(console(False))
    with shown.live_updates():
        time.now = 9.0
        assert not shown.is_due
        time.now = 10.0
        assert shown.is_due
        shown.show(0.25, *WORDS)
        assert not shown.is_due


def test_counted_work_shows_rate_remaining_time_and_total(monkeypatch):
    time, screen = Clock(), console(False)
    monkeypatch.setattr(module, "time", time)
    shown = Display(screen)
    shown.set_overall_progress(lambda: "total 0:20/2:00")
    with shown.counting("matching", "pairs") as report:
        report(0, 1000)
        time.now = 20.0
        report(250, 1000)
    said = screen.file.getvalue()
    assert said.split("\n") == [
        " 25%  matching: 250 of 1,000 pairs · 1:00 left · total 0:20/2:00 · 12.5/s",
        "",
    ]


def test_the_remaining_time_is_shown_once_it_can_be_estimated(monkeypatch):
    time, screen = Clock(), console(False)
    monkeypatch.setattr(module, "time", time)
    with Display(screen).counting("mapping", "pictures") as report:
        for done, total in ((0, 2000), (1, 2000), (9, 2000), (10, 2000), (1, 8)):
            time.now += 20.0
            report(done, total)
    assert [" left" in line for line in screen.file.getvalue().splitlines()] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_a_narrow_terminal_shows_remaining_time_total_and_quality():
    screen = console(True, width=80)
    shown = Display(screen)
    shown.set_overall_progress(lambda: "total 1:40/2:00")
    with shown.live_updates():
        shown.show(0.67, "training", ["28.1 dB on 4 views", "29,345 Gaussians"], left_s=14)
    said = screen.file.getvalue()
    assert "training · 0:14 left · total 1:40/2:00 · 28.1 dB on 4 views\x1b" in said


def test_the_terminal_works_after_an_error():
    screen = console(True)
    shown = Display(screen)
    with pytest.raises(ValueError), shown.live_updates():
        raise ValueError
    shown.show(0.5, "half")
    assert "half" in screen.file.getvalue()


def test_clock_reads_like_one():
    assert [clock(s) for s in (0, 59.6, 61, 3725, -3)] == ["0:00", "1:00", "1:01", "1:02:05", "0:00"]
