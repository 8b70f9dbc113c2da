"""Training in blocks while workers and schedulers are killed and the network between them is cut.

    python benchmarks/cluster_faults.py --scratch out/faults

A town (``blocks.py``) is trained in blocks once undisturbed, then by two real Dask workers: with workers
killed at random moments, with the scheduler killed and started again, and with every connection to the
scheduler silent for half a minute. The scenes must have the same bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from harness import print_table, save

from blocks import make_capture

SCHEDULER_PORT, PROXY_PORT = 18796, 18797
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
ADDRESS = ["--host", "127.0.0.1", "--no-dashboard"]


class Cluster:
    """A Dask scheduler and two workers of one thread each, whose connections to it pass a proxy."""

    def __init__(self) -> None:
        self._silent = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()
        self._scheduler = self._started_scheduler()
        self._workers = [self._started_worker() for _ in range(2)]

    def kill_worker(self, chance: random.Random) -> None:
        """Kill the process of a worker, which its nanny replaces."""
        subprocess.run(["pkill", "-9", "-P", str(chance.choice(self._workers).pid)], check=False)

    def kill_scheduler(self) -> None:
        """Kill the scheduler, and start it and workers again: those of a lost scheduler end."""
        self._scheduler.kill()
        self._scheduler.wait()
        self._scheduler = self._started_scheduler()
        for worker in self._workers:
            worker.terminate()
            worker.wait()
        self._workers = [self._started_worker() for _ in range(2)]

    def cut(self, seconds: float) -> None:
        """Deliver nothing between scheduler and workers for some time."""
        self._silent.set()
        time.sleep(seconds)
        self._silent.clear()

    def close(self) -> None:
        """End all processes."""
        for process in (*self._workers, self._scheduler):
            process.terminate()
            process.wait()

    def _started_scheduler(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", str(SCHEDULER_PORT)]
        started = subprocess.Popen([*command, *ADDRESS], **QUIET)
        time.sleep(4)
        return started

    def _started_worker(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli.dask_worker", f"tcp://127.0.0.1:{PROXY_PORT}"]
        environment = {**os.environ, "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        return subprocess.Popen([*command, *ADDRESS, "--nthreads", "1"], env=environment, **QUIET)

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connect, "127.0.0.1", PROXY_PORT)
        await server.serve_forever()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", SCHEDULER_PORT)
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                while self._silent.is_set():
                    await asyncio.sleep(0.1)
                target.write(data)
                await target.drain()
        target.close()


def trained(
    data: Path, out: Path, options: list[str], disturb: Callable[[Cluster], int] | None
) -> tuple[str, float, int]:
    """Train; digest of the scene and its blocks, wall seconds, number of disturbances and of restarts."""
    code = "import sys; from sfumato.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "train", str(data), "-o", str(out), *options]
    began, faults = time.monotonic(), 0
    if disturb is None:
        subprocess.run(command, check=True)
    else:
        cluster = Cluster()
        command += ["--cluster", f"tcp://127.0.0.1:{SCHEDULER_PORT}"]
        try:
            # The same command again, as a person would repeat it, if a run ended.
            for _ in range(10):
                process = subprocess.Popen(command)
                while not (out / "blocks.json").exists() and process.poll() is None:
                    time.sleep(0.1)
                while process.poll() is None:
                    faults += disturb(cluster)
                if process.returncode == 0:
                    break
        finally:
            cluster.close()
    digest = hashlib.sha256()
    for scene in sorted(out.rglob("scene.ply")):
        digest.update(scene.read_bytes())
    return digest.hexdigest()[:16], time.monotonic() - began, faults


def main() -> None:
    """Train with each kind of fault; print a table and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--worker-kills", type=int, default=20)
    parser.add_argument("--scheduler-kills", type=int, default=5)
    parser.add_argument("--cut-s", type=float, default=30.0)
    parser.add_argument("--quick", action="store_true", help="keep no results")
    given = parser.parse_args()
    data, chance, left = given.scratch / "town", random.Random(0), {}
    make_capture(data, 160, 128, 4000)
    options = ["--steps", str(given.steps), "--blocks", str(given.blocks), "--checkpoint-every", "100"]

    def some(name: str, count: int, wait_s: Callable[[], float], act: Callable[[Cluster], None]) -> Callable:
        left[name] = count

        def disturb(cluster: Cluster) -> int:
            time.sleep(wait_s())
            if not left[name]:
                return 0
            left[name] -= 1
            act(cluster)
            return 1

        return disturb

    kinds = {
        "undisturbed": None,
        "workers killed": some(
            "workers", given.worker_kills, lambda: chance.uniform(1, 8), lambda it: it.kill_worker(chance)
        ),
        "scheduler killed": some("scheduler", given.scheduler_kills, lambda: 12.0, Cluster.kill_scheduler),
        "network cut": some("cut", 1, lambda: 8.0, lambda it: it.cut(given.cut_s)),
    }
    rows = []
    for number, (name, disturb) in enumerate(kinds.items()):
        digest, seconds, faults = trained(data, given.scratch / f"run_{number}", options, disturb)
        rows.append({"run": name, "faults": faults, "seconds": seconds, "scenes": digest})
        print(rows[-1], flush=True)
    print_table("Faults", list(rows[0]), [list(row.values()) for row in rows])
    save("cluster_faults", rows, quick=given.quick)
    if len({row["scenes"] for row in rows}) > 1:
        raise SystemExit("the scenes differ")


if __name__ == "__main__":
    main()
