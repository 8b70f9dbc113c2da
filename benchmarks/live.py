"""What being watched takes from a training: seconds a step with a page that is open, and without.

    python benchmarks/live.py DATA --downscale 2 --steps 600

Trains the same steps alone, watched by a page that draws the scene, and watched by one that lets the training
draw, in a process each, in turns. "more CPU" is of the training's process alone, whatever else the machine
does. Without a GPU, browsers draw on the same cores; "listener" asks for what a page asks for, no more.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import hand_over, in_process, print_table, save

from sfumato import load_capture, train
from sfumato.training.config import TrainConfig
from sfumato.viewer.live import LiveTraining
from sfumato.viewer.server import HOST, PageServer

WATCHERS = ("nobody", "listener", "page", "page without WebGL")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--hide-scrollbars",
    "--window-size=1280,800",
    "--remote-debugging-port=0",
)
SOFTWARE = (
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
)
NO_WEBGL = ("--disable-gpu", "--disable-software-rasterizer", "--disable-3d-apis")


@contextmanager
def watching(server: PageServer, watcher: str) -> Iterator[None]:
    """Look at the page as a watcher does, as long as this lasts."""
    if watcher == "listener":
        threading.Thread(target=_listen, args=(server,), daemon=True).start()
        yield
        return
    program = next(filter(None, map(shutil.which, BROWSERS)))
    flags = [*FLAGS, *(NO_WEBGL if "without" in watcher else SOFTWARE)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [program, *flags, f"--user-data-dir={folder}", server.url]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            browser.terminate()
            browser.wait()


def _listen(server: PageServer) -> None:
    """Take every scene that the training announces, as a page does that draws it elsewhere."""

    def get(name: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(HOST, server.port)
        connection.request("GET", f"/{server.token}/{name}")
        return connection.getresponse()

    get("scene").read()
    for line in get("events"):
        if line.startswith(b"event: scene"):
            get("scene").read()


def measure(data: Path, downscale: int, steps: int, watcher: str) -> dict[str, Any]:
    """Train and say how long a step took, and how much of it the training itself counts for its watcher."""
    capture, config = load_capture(data, downscale=downscale), TrainConfig(steps=steps)
    if watcher == "nobody":
        before_s: list[float] = []

        def note(state, stats):
            if not before_s:
                before_s.append(_cpu_s())

        state = train(capture, config, callbacks=(note,))
        cpu_s = _cpu_s() - before_s[0]
        return {"seconds": state.seconds, "cpu_s": cpu_s, "snapshots": 0, "pictures": 0, "counted_s": 0.0}
    with tempfile.TemporaryDirectory() as folder, PageServer() as server:
        seen = _Counted(server)
        live = LiveTraining(server, Path(folder), capture, config)
        opened: list[Any] = []
        before_s = []

        def watch(state, stats):
            waited_s = live(state, stats)
            if not opened:
                # The browser's own start is no part of training.
                began = time.perf_counter()
                opened.append(watching(server, watcher))
                opened[0].__enter__()
                while not seen.events:
                    time.sleep(0.05)
                waited_s += time.perf_counter() - began
                before_s.append(_cpu_s())
            return waited_s

        state = train(capture, config, callbacks=(watch,))
        cpu_s = _cpu_s() - before_s[0]
        opened[0].__exit__(None, None, None)
    return {"seconds": state.seconds, "cpu_s": cpu_s, **seen.counts(), "counted_s": live.spent_s}


def _cpu_s() -> float:
    """Of this process alone, whatever else the machine does."""
    return time.process_time()


class _Counted:
    """How often a server was asked for scenes and pictures."""

    def __init__(self, server: PageServer) -> None:
        self.events, self._scenes, self._pictures = 0, 0, 0
        answer, post = server.answer, server.post

        def counting_answer(name):
            self.events += name == "events"
            self._scenes += name == "scene"
            return answer(name)

        def counting_post(name, body):
            found = post(name, body)
            self._pictures += hasattr(found, "data")
            return found

        server.answer, server.post = counting_answer, counting_post

    def counts(self) -> dict[str, int]:
        return {"snapshots": self._scenes, "pictures": self._pictures}


def main() -> None:
    """Measure each watcher some times in turns, print a table and keep the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--downscale", type=int, default=2)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--watcher", choices=WATCHERS, help="measure this one alone, in this process")
    parser.add_argument("--quick", action="store_true", help="a trial whose numbers mean nothing")
    given = parser.parse_args()
    steps, repeats = (20, 1) if given.quick else (given.steps, given.repeats)
    if given.watcher:
        hand_over(measure(given.data, given.downscale, steps, given.watcher))
        return
    found: dict[str, list[dict[str, Any]]] = {watcher: [] for watcher in WATCHERS}
    common = [str(given.data), "--downscale", str(given.downscale), "--steps", str(steps)]
    for _ in range(repeats):
        for watcher in WATCHERS:
            found[watcher].append(in_process(__file__, [*common, "--watcher", watcher]))
            print(watcher, json.dumps(found[watcher][-1]), flush=True)
    alone_s, alone_cpu_s = (_median(found["nobody"], name) for name in ("seconds", "cpu_s"))
    rows = []
    for watcher, runs in found.items():
        seconds, cpu_s = _median(runs, "seconds"), _median(runs, "cpu_s")
        counted = statistics.median(one["counted_s"] / one["seconds"] for one in runs)
        more = [f"{seconds / alone_s - 1:+.1%}", f"{cpu_s / alone_cpu_s - 1:+.1%}", f"{counted:.1%}"]
        asked = [int(_median(runs, name)) for name in ("snapshots", "pictures")]
        rows.append([watcher, 1000 * seconds / steps, *more, *asked])
    headings = ["watched by", "ms a step", "slower", "more CPU", "counted", "snapshots", "pictures"]
    print_table(f"{given.data.name}, {steps} steps, medians of {repeats}", headings, rows)
    save("live", {"steps": steps, "downscale": given.downscale, "runs": found}, quick=given.quick)


def _median(runs: list[dict[str, Any]], name: str) -> float:
    return statistics.median(one[name] for one in runs)


if __name__ == "__main__":
    main()
