"""Kill a command at random moments, or damage what it left, and see that the same command mends it.

    python tools/crash/kill_and_damage.py kill   --kills 200 --scratch /tmp/k -- sfumato sfm VIDEO -o {out}
    python tools/crash/kill_and_damage.py damage --times 20  --scratch /tmp/d -- sfumato sfm VIDEO -o {out}

The command runs once undisturbed, into ``SCRATCH/reference``; its files that match ``--compare`` are what
every other run has to end with. ``{out}`` stands for the output folder.

kill: the command's whole process group gets SIGKILL at a random moment, and the command is given again, with
``--again`` at its end, until one run ends before its moment comes.

damage: of every kind of file in the output folder (names that differ in their numbers alone are of one kind),
files are damaged one at a time in a copy of it: one bit flipped, the end cut off, the file removed. The
command is given again, or ``--check`` where another one reads the files. It must end with 0 and the same
files, or with 2 and one line.

Exit code 1 if anything else happened; the folder of each failure is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ERROR = "sfumato: error: "
DAMAGES = ("flip", "cut", "gone")


@dataclass(frozen=True)
class Ended:
    """How a run ended; ``code`` is None where it was killed."""

    code: int | None
    words: str


def run(command: list[str], out: Path, after_s: float | None = None) -> Ended:
    """Run a command in a session of its own; kill it, and what it started, after so many seconds."""
    filled = [word.replace("{out}", str(out)) for word in command]
    with (
        open(out.with_name(f"{out.name}.log"), "w+b") as log,
        subprocess.Popen(filled, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        try:
            code = process.wait(after_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = None
        log.seek(0)
        return Ended(code, log.read().decode("utf-8", "backslashreplace"))


def content(path: Path, ignored: set[str]) -> object:
    """What is compared of a file: its bytes, or of JSON what is left without some keys."""
    if path.suffix != ".json":
        return path.read_bytes()

    def kept(value: object) -> object:
        if isinstance(value, dict):
            return {key: kept(item) for key, item in value.items() if key not in ignored}
        return [kept(item) for item in value] if isinstance(value, list) else value

    return kept(json.loads(path.read_bytes()))


def compared(out: Path, given: argparse.Namespace) -> dict[str, object]:
    """The files that have to be the same, by name."""
    paths = {path for pattern in given.compare for path in out.glob(pattern) if path.is_file()}
    return {path.relative_to(out).as_posix(): content(path, set(given.ignore)) for path in sorted(paths)}


def differing(out: Path, expected: dict[str, object], given: argparse.Namespace) -> list[str]:
    """Names of the files that are not as expected, or missing, or too many."""
    try:
        found = compared(out, given)
    except ValueError as error:
        return [f"unreadable: {error}"]
    return sorted(n for n in found.keys() | expected.keys() if found.get(n) != expected.get(n))


def keep(out: Path, number: int) -> Path:
    """Move a folder and its log away, to be looked at."""
    kept = out.with_name(f"failure-{number}")
    shutil.rmtree(kept, ignore_errors=True)
    out.rename(kept)
    out.with_name(f"{out.name}.log").rename(kept.with_name(f"{kept.name}.log"))
    return kept


def kill(given: argparse.Namespace, expected: dict[str, object], whole_s: float) -> int:
    """Kill and begin again; how many times that went wrong."""
    out, chance, kills, failures = given.scratch / "run", random.Random(given.seed), 0, 0
    moments: list[float] = []
    while kills < given.kills or moments:
        is_over = kills >= given.kills
        moment = None if is_over else chance.uniform(0.0, 1.1 * whole_s)
        ended = run([*given.command, *(given.again if moments else [])], out, moment)
        if ended.code is None:
            kills += 1
            moments.append(round(moment, 2))
            continue
        wrong = differing(out, expected, given)
        if ended.code or wrong:
            failures += 1
            kept = keep(out, failures)
            last = ended.words.strip().splitlines()[-1:]
            print(f"killed after {moments} s: code {ended.code}, {wrong} differ, {last}: {kept}", flush=True)
        elif moments:
            print(f"{kills} kills, {failures} failures; after {len(moments)}: the same", flush=True)
        shutil.rmtree(out, ignore_errors=True)
        moments = []
    print(f"{kills} kills, {failures} failures")
    return failures


def kinds(folder: Path) -> dict[str, list[Path]]:
    """The files below a folder that hold anything, by kind."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_size:
            kind = re.sub(r"\d+", "*", path.relative_to(folder).as_posix())
            found.setdefault(kind, []).append(path.relative_to(folder))
    return found


def damage(path: Path, how: str, chance: random.Random) -> None:
    """Flip one bit of a file, cut it off somewhere, or remove it."""
    data = bytearray(path.read_bytes())
    path.unlink()
    if how == "flip":
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    if how != "gone":
        path.write_bytes(data if how == "flip" else data[: chance.randrange(len(data))])


def judged(ended: Ended, wrong: list[str]) -> str:
    """What became of a damaged file, in a word or two; capitals where that is a fault."""
    if "Traceback" in ended.words or "@ 0x" in ended.words or "terminate called" in ended.words:
        return "TRACEBACK"
    errors = [line for line in ended.words.splitlines() if line.startswith(ERROR)]
    if ended.code == 0:
        return "OTHER RESULT" if wrong else "mended"
    return "refused" if ended.code == 2 and len(errors) == 1 else f"CODE {ended.code}"


def damage_all(given: argparse.Namespace, expected: dict[str, object]) -> int:
    """Damage each kind of file in each way; how many times that went wrong."""
    reference, out = given.scratch / "reference", given.scratch / "run"
    chance, failures = random.Random(given.seed), 0
    chosen = {kind: files for kind, files in kinds(reference).items() if re.search(given.only, kind)}
    for kind, files in chosen.items():
        for how in DAMAGES:
            became: Counter[str] = Counter()
            for _ in range(1 if how == "gone" else given.times):
                shutil.rmtree(out, ignore_errors=True)
                shutil.copytree(reference, out, symlinks=True)
                damage(out / (which := chance.choice(files)), how, chance)
                ended = run(given.check or [*given.command, *given.again], out)
                word = judged(ended, differing(out, expected, given))
                became[word] += 1
                if not word.islower():
                    failures += 1
                    last = ended.words.strip().splitlines()[-1:]
                    print(f"  {how} {which}: {word}, {last}: {keep(out, failures)}", flush=True)
            print(f"{kind} {how}: {', '.join(f'{n} {word}' for word, n in became.items())}", flush=True)
    print(f"{failures} failures")
    return failures


def main() -> int:
    """Read the arguments and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("mode", choices=("kill", "damage"))
    parser.add_argument("--scratch", type=Path, required=True, help="folder for all runs")
    parser.add_argument("--kills", type=int, default=20, help="how many")
    parser.add_argument("--times", type=int, default=20, help="flips, and cuts, of each kind of file")
    parser.add_argument("--only", default="", help="kinds of files to damage, a regular expression")
    parser.add_argument(
        "--compare",
        nargs="+",
        default=["sparse/0/*.bin", "images/**/*", "sfm.json"],
        help="files that have to be the same, by patterns below the output folder",
    )
    parser.add_argument("--ignore", nargs="*", default=["seconds"], help="keys of JSON that may differ")
    parser.add_argument("--again", nargs="*", default=[], help="what is added when the command is repeated")
    parser.add_argument("--check", default="", help="what reads damaged files, one string, with {out}")
    parser.add_argument("--seed", type=int, default=0)
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    given = parser.parse_args(sys.argv[1:at])
    given.command, given.check = sys.argv[at + 1 :], given.check.split()
    if not any("{out}" in word for word in given.command):
        parser.error("give a command after --, with {out} in it")
    given.scratch = given.scratch.resolve()
    given.scratch.mkdir(parents=True, exist_ok=True)
    reference = given.scratch / "reference"
    shutil.rmtree(reference, ignore_errors=True)
    shutil.rmtree(given.scratch / "run", ignore_errors=True)
    began = time.monotonic()
    ended = run(given.command, reference)
    expected = compared(reference, given) if ended.code == 0 else {}
    if not expected:
        print(f"the command itself ends with {ended.code} and {len(expected)} files:\n{ended.words}")
        return 1
    whole_s = time.monotonic() - began
    print(f"undisturbed: {whole_s:.1f} s, {len(expected)} files to compare", flush=True)
    is_kill = given.mode == "kill"
    return int(bool(kill(given, expected, whole_s) if is_kill else damage_all(given, expected)))


if __name__ == "__main__":
    sys.exit(main())
