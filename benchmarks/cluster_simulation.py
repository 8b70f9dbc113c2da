"""Training in blocks on a cluster, simulated, and checked against small runs on real Dask workers.

    python benchmarks/cluster_simulation.py --scratch out/cluster

A town (``blocks.py``) is trained in blocks by a Dask scheduler and workers on this machine, one thread each:
by one worker, by two, and by two of which one is killed. The durations of the blocks with one worker go into
a discrete simulation of the same graph, which predicts the other two. Then it predicts clusters that are not
here, with blocks as varied as the measured ones, workers that end, and slow workers.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from harness import print_table, save

from blocks import make_capture
from sfumato.runs.folder import RunFolder

PORT = 18786
# Time between two checkpoints of a block, and until a worker that ended is replaced, seconds.
CHECKPOINT_S, REPLACED_S = 60.0, 30.0
DRAWS = 20


@dataclass(frozen=True)
class Outcome:
    """What a simulated run took.

    Attributes:
        wall_s: from the first block to the last.
        failures: number of workers that ended.
        lost_s: work that was done twice.
    """

    wall_s: float
    failures: int
    lost_s: float


def simulated(
    blocks_s: Sequence[float],
    speeds: Sequence[float],
    next_failure_s: Callable[[int, float], float],
    checkpoint_s: float = CHECKPOINT_S,
    replaced_s: float = REPLACED_S,
    start_s: float = 0.0,
) -> Outcome:
    """Run a graph of independent blocks: each free worker takes the next one.

    A block whose worker ends goes back to the queue, with the work since its last checkpoint lost.

    Args:
        blocks_s: duration of each block on a worker of speed 1, in the order of the queue.
        speeds: of the workers.
        next_failure_s: time at which a worker, which is busy from the given time on, ends.
        checkpoint_s: time between two checkpoints.
        replaced_s: time until a worker that ended is replaced.
        start_s: what a new worker needs before its first block, to import and to load its kernels.
    """
    queue = deque((number, 0.0) for number in range(len(blocks_s)))
    free = [(start_s, worker) for worker in range(len(speeds))]
    heapq.heapify(free)
    # Blocks that come back to the queue, by time.
    returning: list[tuple[float, int, float]] = []
    wall_s = lost_s = 0.0
    failures = done = 0
    while done < len(blocks_s):
        now_s, worker = heapq.heappop(free)
        while returning and returning[0][0] <= now_s:
            _, number, finished_s = heapq.heappop(returning)
            queue.append((number, finished_s))
        if not queue:
            # Idle until a block comes back; blocks that run elsewhere may still fail.
            until_s = returning[0][0] if returning else min((when for when, _ in free), default=now_s)
            heapq.heappush(free, (max(until_s, now_s + 1e-6), worker))
            continue
        number, finished_s = queue.popleft()
        end_s = now_s + (blocks_s[number] - finished_s) / speeds[worker]
        failure_s = next_failure_s(worker, now_s)
        if failure_s >= end_s:
            wall_s, done = max(wall_s, end_s), done + 1
            heapq.heappush(free, (end_s, worker))
            continue
        worked_s = finished_s + (failure_s - now_s) * speeds[worker]
        kept_s = checkpoint_s * math.floor(worked_s / checkpoint_s)
        failures, lost_s = failures + 1, lost_s + worked_s - max(kept_s, finished_s)
        heapq.heappush(returning, (failure_s, number, max(kept_s, finished_s)))
        heapq.heappush(free, (failure_s + replaced_s + start_s, worker))
    return Outcome(wall_s, failures, lost_s)


def never(worker: int, now_s: float) -> float:
    """Workers that never end."""
    return math.inf


@contextmanager
def workers(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """A Dask scheduler and workers of one thread each, on the loopback address."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = {**os.environ, "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    address = ["--host", "127.0.0.1"]
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    started = [subprocess.Popen([*dask, *address, "--port", str(PORT), "--no-dashboard"], **quiet)]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", f"tcp://127.0.0.1:{PORT}"]
    time.sleep(3)
    for _ in range(count):
        options = [*address, "--nthreads", "1", "--no-dashboard"]
        started.append(subprocess.Popen([*worker, *options], env=environment, **quiet))
    try:
        yield started[1:]
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait()


def trained(data: Path, out: Path, options: Sequence[str], count: int, kill_s: float | None) -> list[float]:
    """Train on ``count`` workers; when each block was done, seconds after the first could begin, in order.

    Args:
        data: the dataset.
        out: run folder.
        options: of the command.
        count: number of workers.
        kill_s: when one worker is killed.
    """
    code = "import sys; from sfumato.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "train", str(data), "-o", str(out), *options]
    with workers(count) as there:
        process = subprocess.Popen([*command, "--cluster", f"tcp://127.0.0.1:{PORT}"])
        plan = out / "blocks.json"
        while not plan.exists() and process.poll() is None:
            time.sleep(0.05)
        if kill_s is not None:
            time.sleep(kill_s)
            # The process that its nanny replaces.
            subprocess.run(["pkill", "-9", "-P", str(there[0].pid)], check=True)
        if process.wait():
            raise SystemExit(f"training in {out} failed")
    began_s = plan.stat().st_mtime
    folders = sorted((out / "blocks").glob("block_*"))
    return sorted(RunFolder(folder).metrics.stat().st_mtime - began_s for folder in folders)


def confirmed(given: argparse.Namespace) -> tuple[list[dict], np.ndarray]:
    """Real runs beside their simulations; durations of the blocks with one worker, seconds."""
    data = given.scratch / "town"
    make_capture(data, given.views, given.side, given.points)
    options = ["--steps", str(given.steps), "--blocks", str(given.blocks), "--overwrite"]
    options += ["--checkpoint-every", str(given.checkpoint_every)]
    ends = {
        name: trained(data, given.scratch / name, options, count, kill_s)
        for name, count, kill_s in (("one", 1, None), ("two", 2, None), ("killed", 2, given.kill_s))
    }
    blocks_s = np.diff([0.0, *ends["one"]])
    # The first block of a worker takes longer.
    start_s = max(0.0, float(blocks_s[0] - np.median(blocks_s[1:])))
    blocks_s[0] -= start_s
    a_block = (given.steps * 0.85) / given.blocks
    checkpoint_s = float(blocks_s.mean()) * given.checkpoint_every / a_block

    def once(worker: int, now_s: float) -> float:
        return given.kill_s if worker == 0 and now_s < given.kill_s else math.inf

    expected = {
        "one": simulated(blocks_s, [1.0], never, start_s=start_s),
        "two": simulated(blocks_s, [1.0] * 2, never, start_s=start_s),
        # A nanny replaces its worker in about this time.
        "killed": simulated(blocks_s, [1.0] * 2, once, checkpoint_s, replaced_s=2.0, start_s=start_s),
    }
    rows = [
        {"run": name, "real_s": ends[name][-1], "simulated_s": expected[name].wall_s} for name in expected
    ]
    return rows, blocks_s


def predicted(blocks_s: np.ndarray) -> list[dict]:
    """Clusters that are not here: mean wall time of several draws, relative to one without trouble."""
    chance = np.random.default_rng(0)
    spread = float(np.log(blocks_s).std())
    rows = []
    for count, blocks, hours in ((10, 40, 1.0), (100, 1000, 1.0), (100, 1000, 6.0)):
        for an_hour, slow in ((0.0, 0.0), (0.01, 0.0), (0.1, 0.0), (1.0, 0.0), (0.0, 0.05), (0.1, 0.05)):
            found = []
            for _ in range(DRAWS):
                durations = 3600 * hours * np.exp(chance.normal(scale=spread, size=blocks))
                speeds = np.where(chance.random(count) < slow, 1 / 3, 1.0)

                def fails(worker: int, now_s: float, rate: float = an_hour) -> float:
                    return now_s + chance.exponential(3600 / rate) if rate else math.inf

                outcome = simulated(durations, speeds, fails)
                ideal_s = durations.sum() / count
                found.append((outcome.wall_s / ideal_s, outcome.failures, outcome.lost_s / durations.sum()))
            wall, failures, lost = np.mean(found, axis=0)
            rows.append(
                {
                    "workers": count,
                    "blocks": blocks,
                    "hours a block": hours,
                    "ends an hour": an_hour,
                    "slow workers": slow,
                    "wall against ideal": float(wall),
                    "failures": float(failures),
                    "work lost": float(lost),
                }
            )
    return rows


def main() -> None:
    """Run, simulate, predict; print tables and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--steps", type=int, default=14_000)
    parser.add_argument("--views", type=int, default=160)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--points", type=int, default=4000)
    parser.add_argument("--checkpoint-every", type=int, default=200)
    parser.add_argument("--kill-s", type=float, default=50.0)
    parser.add_argument("--quick", action="store_true", help="keep no results")
    given = parser.parse_args()
    # Ctrl-C ends all processes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows, blocks_s = confirmed(given)
    print_table("Real and simulated, seconds", list(rows[0]), [list(row.values()) for row in rows])
    print(json.dumps({"blocks_s": blocks_s.round(1).tolist()}))
    larger = predicted(blocks_s)
    print_table("Predicted", list(larger[0]), [list(row.values()) for row in larger])
    results = {"real": rows, "blocks_s": blocks_s.tolist(), "predicted": larger}
    save("cluster_simulation", results, quick=given.quick)


if __name__ == "__main__":
    main()
