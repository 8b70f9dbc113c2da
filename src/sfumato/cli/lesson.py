"""`sfumato lesson`: how Gaussian splatting works, in the browser or as a self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, arg

from sfumato.cli.arguments import parse
from sfumato.cli.pages import serve
from sfumato.display import Display
from sfumato.errors import ConfigError


@dataclass(frozen=True)
class LessonCommand:
    """Open the lesson: interactive 2D Gaussian splatting, and how 3D scenes are made, step by step.

    It is one page in English, Spanish, French and Italian, which runs in the browser and needs no network. It
    is served to this machine only, until Ctrl-C. With --out nothing is served: the page is written as one
    file, which can be opened from disk, sent to a class or put on any web site.

    Attributes:
        out: page to write, such as lesson.html; an existing one is replaced.
        port: port to listen on; by default a free one.
        no_browser: print the address and open no browser.
    """

    out: Annotated[Path | None, arg(aliases=["-o"])] = None
    port: int = 0
    no_browser: FlagCreatePairsOff[bool] = False


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and show the lesson; the exit code."""
    given = parse(LessonCommand, "lesson", arguments)
    from rich.console import Console

    from sfumato.lesson.page import assemble

    display = Display(Console())
    if given.out is None:
        from sfumato.viewer.server import Answer, PageServer

        server, page = PageServer(given.port), assemble().encode()
        server.add("", lambda: Answer("text/html; charset=utf-8", page))
        serve(server, "the lesson", display, with_browser=not given.no_browser)
        return 0
    if given.out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--out {given.out}: give a name that ends in .html")
    from sfumato.outputs import write_text

    write_text(given.out, assemble())
    display.say(f"{given.out} opens in any browser, without a network")
    return 0
