"""One process against several that train a scene together: quality, time, and bytes that travel.

    python benchmarks/sharding.py DATA --scratch out/sharding --downscale 2 --steps 1000

All runs take as many photographs a step, the number of processes. Those of several processes differ from one
in rounding, in random numbers and in where Gaussians may be added, so that seeds show what is noise.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import fmean

from harness import print_table, save


def trained(data: Path, out: Path, options: list[str], environment: dict[str, str]) -> dict:
    """Train with the command line; the run's ``metrics.json``."""
    code = "import sys; from sfumato.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "train", str(data), "-o", str(out), *options]
    subprocess.run(command, check=True, env={**os.environ, **environment})
    return json.loads((out / "metrics.json").read_text("utf-8"))


def main() -> None:
    """Train with each number of processes and seed; print a table and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--downscale", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="keep no results")
    given = parser.parse_args()
    common = ["--steps", str(given.steps), "--downscale", str(given.downscale)]
    common += ["--batch-size", str(given.processes)]
    rows = []
    for count in (1, given.processes):
        runs = []
        for seed in given.seeds:
            options = [*common, "--seed", str(seed), "--processes", str(count)]
            # As many cores for one process as for each of several.
            threads = {"NUMBA_NUM_THREADS": "1"} if count == 1 else {}
            runs.append(trained(given.data, given.scratch / f"{count}_{seed}", options, threads))
        psnrs = [run["test"]["psnr"] for run in runs]
        facts = runs[0]["train"]
        rows.append(
            {
                "processes": count,
                "PSNR, mean": fmean(psnrs),
                "lowest": min(psnrs),
                "highest": max(psnrs),
                "Gaussians": facts["gaussians"],
                "seconds": fmean(run["train"]["seconds"] for run in runs),
                "MB a step": facts.get("moved_bytes_per_step", 0) / 1e6,
                "of parameters": facts.get("moved_share_of_parameters", 0.0),
            }
        )
    print_table("Processes that share a scene", list(rows[0]), [list(row.values()) for row in rows])
    options = {name: str(value) for name, value in vars(given).items() if name not in ("scratch", "quick")}
    save("sharding", {"options": options, "runs": rows}, quick=given.quick)


if __name__ == "__main__":
    main()
