"""`sfumato report`: one page about a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from sfumato.cli.arguments import parse
from sfumato.cli.help import Help

_HELP = Help(examples=("sfumato report out/mine", "sfumato report out/mine -o mine.html"))


@dataclass(frozen=True)
class ReportCommand:
    """Write one page about a run: quality, cameras, training, time and memory.

    The page needs no network and no other file. Training writes it too.

    Attributes:
        run: run folder.
        out: the page; None: report.html in the run folder.
        data: the dataset, if it has moved since training.
        overwrite: replace a file that is given by --out.
    """

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    out: Annotated[Path | None, arg(aliases=["-o"])] = None
    data: Path | None = None
    overwrite: FlagCreatePairsOff[bool] = False


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and write the report; the exit code."""
    given = parse(ReportCommand, "report", arguments, shown=_HELP)
    from rich.console import Console

    from sfumato.cli.existing_files import refuse_to_replace
    from sfumato.cli.pages import write_report_of
    from sfumato.display import Display
    from sfumato.runs.folder import RunFolder

    if given.out is not None:
        refuse_to_replace([given.out], overwrite=given.overwrite)
    folder = RunFolder(given.run)
    folder.check_own()
    write_report_of(folder, Display(Console()), path=given.out, data=given.data)
    return 0
