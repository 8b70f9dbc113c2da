"""`sfumato view`: view a run or a scene in the browser, or export it as a self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from sfumato.cli.arguments import parse
from sfumato.cli.help import Help
from sfumato.cli.pages import serve
from sfumato.display import Display
from sfumato.errors import ConfigError

_HELP = Help(examples=("sfumato view out/mine",))


@dataclass(frozen=True)
class ViewCommand:
    """View a run folder or a scene file in the browser; dynamic scenes are played.

    If the browser has no WebGL, or for the exact view, this process renders the images. The page is served
    to this machine only, at an address that contains a secret, until Ctrl-C. Nothing is served with --export:
    page and scene are written as one file, which opens without a network. For a lod-meta.json the page loads
    only what it shows, at the level of detail that the view needs; a page exported into the same folder does
    so from any web server.

    Attributes:
        path: run folder of train or track, or a scene file of any format that can be read.
        data: the dataset of the run, if it has moved since training.
        repair: skip broken Gaussians of the scene file, such as NaN, and report their number.
        export: page to write, such as scene.html; an existing one is replaced.
        url: address at which an exported page will be published, such as https://example.org/mine/; a preview
            image for links to it is then written beside the page.
        port: port to listen on; by default a free one.
        no_browser: print the address and open no browser.
    """

    path: Annotated[Positional[Path], arg(metavar="RUN|SCENE")]
    data: Path | None = None
    repair: FlagCreatePairsOff[bool] = False
    export: Path | None = None
    url: str | None = None
    port: int = 0
    no_browser: FlagCreatePairsOff[bool] = False


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and show the scene; the exit code."""
    given = parse(ViewCommand, "view", arguments, shown=_HELP)
    from rich.console import Console

    display = Display(Console())
    if given.url is not None and (given.export is None or not given.url.startswith(("http://", "https://"))):
        raise ConfigError(
            f"--url {given.url}: give the address of a page that --export writes, with https://"
        )
    if given.export is None:
        _serve(given, display)
        return 0
    if given.export.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--export {given.export}: give a name that ends in .html")
    from sfumato.viewer.page import write_page
    from sfumato.viewer.streamed_subject import is_streamed, write_streaming_page
    from sfumato.viewer.tracked_subject import open_any

    if is_streamed(given.path) and given.export.resolve().parent == given.path.resolve().parent:
        write_streaming_page(given.path, given.export)
        display.say(f"{given.export} streams the scene once its folder is on a web server of static files")
        return 0

    with display.waiting(f"writing {given.export}"):
        floating = write_page(
            open_any(given.path, data=given.data, repair=given.repair), given.export, url=given.url
        )
    if floating:
        display.say(f"{floating}; sfumato edit --clean removes them")
    display.say(f"{given.export} opens in any browser, without a network")
    return 0


def _serve(given: ViewCommand, display: Display) -> None:
    from sfumato.viewer.server import PageServer
    from sfumato.viewer.showing import show_path
    from sfumato.viewer.streamed_subject import is_streamed, show_streamed

    server = PageServer(given.port)
    with display.waiting(f"reading {given.path}"):
        if is_streamed(given.path):
            show_streamed(server, given.path)
        else:
            show_path(server, given.path, data=given.data, repair=given.repair)
    serve(server, given.path, display, with_browser=not given.no_browser)
