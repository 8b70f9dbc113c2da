"""What the benchmarks share: timing, tables, variants of the machine, and results on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sfumato import machine
from sfumato.outputs import write_json

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
# An AVX2 machine as Numba sees it, on any x86 machine that has at least that.
AVX2 = {
    "NUMBA_CPU_NAME": "znver3",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+bmi,+bmi2,+popcnt,+lzcnt,+f16c,+sse4.2",
    "SFUMATO_CACHE": str(HERE.parent / ".cache" / "avx2"),
}
_MARK = "result: "


def best_seconds(work: Callable[[], object], *, seconds: float = 1.0, least: int = 3) -> float:
    """The shortest time of as many runs as fit into ``seconds``, at least ``least``, after one to warm up."""
    work()
    best, spent, runs = float("inf"), 0.0, 0
    while spent < seconds or runs < least:
        start = time.perf_counter()
        work()
        taken = time.perf_counter() - start
        best, spent, runs = min(best, taken), spent + taken, runs + 1
    return best


def variants() -> dict[str, dict[str, str]]:
    """Environments to measure in, by name: threads, and AVX2 alone where the machine has more."""
    cores = machine.cores()
    found = {"1 thread": {"NUMBA_NUM_THREADS": "1"}}
    if cores > 1:
        found[f"{cores} threads"] = {"NUMBA_NUM_THREADS": str(cores)}
    if "avx512f" in machine.cpu_features():
        found |= {f"{name}, AVX2 only": {**environment, **AVX2} for name, environment in found.items()}
    return found


def in_process(script: str, arguments: Sequence[str], environment: dict[str, str] | None = None) -> Any:
    """Run a benchmark's script in a process of its own and return what it gave to :func:`hand_over`."""
    # torch's own threads would only take turns with the kernels': training keeps it to one, too.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
    command = [sys.executable, script, *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    (line,) = (line for line in done.stdout.splitlines() if line.startswith(_MARK))
    return json.loads(line.removeprefix(_MARK))


def hand_over(result: Any) -> None:
    """Give a result to the process that called :func:`in_process`."""
    print(_MARK + json.dumps(result))


def print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; floats get three significant digits."""
    table = Table(title=title, title_justify="left")
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*map(_cell, row))
    Console(width=140).print(table)


def save(name: str, results: Any, *, quick: bool) -> None:
    """Keep results as JSON with a description of the machine; those of a quick trial are not kept."""
    if quick:
        print("a quick trial: nothing is saved")
        return
    RESULTS.mkdir(exist_ok=True)
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    path = RESULTS / f"{name}.json"
    write_json(path, {"machine": machine.environment(), "load_of_last_minute": busy, "results": results})
    print(f"kept in {path}")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
