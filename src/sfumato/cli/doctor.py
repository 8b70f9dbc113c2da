"""`sfumato doctor`: what this machine can do, and what would make it faster."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from json import dumps, loads
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sfumato import machine
from sfumato.children import FOLDER, child_command
from sfumato.cli.arguments import parse
from sfumato.evaluation.lpips import find_lpips
from sfumato.ops.backend import why_no_gpu

GIB = 1024**3
PROBE_SECONDS = 0.25
PROBE_SIDE = 1024
PROBE_BYTES = 64 * 1024**2
THREAD_VARIABLES = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

# Runs in a new process, to find what a new training run would find. The module of the kernels is imported
# first because it prepares the threading layer.
THREADING_PROGRAM = """
import importlib, json
try:
    import sfumato.ops.cpu.jit
except ImportError:
    pass
import numba
from numba.np.ufunc import parallel
found = {}
for layer, module in (("tbb", "tbbpool"), ("omp", "omppool"), ("workqueue", "workqueue")):
    try:
        importlib.import_module("numba.np.ufunc." + module)
        found[layer] = True
    except ImportError as error:
        found[layer] = str(error)
parallel._launch_threads()
print(json.dumps({"layer": numba.threading_layer(), "layers": found, "threads": numba.get_num_threads()}))
"""

Facts = dict[str, Any]


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and report; the exit code."""
    parse(doctor, "doctor", arguments)
    return 0


def doctor(*, json: bool = False) -> None:
    """Measure what this machine can do and say what would make it faster.

    Args:
        json: print the facts as JSON instead of a table.
    """
    facts = gather(_progress(json))
    if json:
        print(dumps(facts, indent=2))
    else:
        _print_table(facts, Console())


def gather(progress: Callable[[str], None] = lambda step: None) -> Facts:
    """Collect all facts, measuring for about two seconds.

    Args:
        progress: called with the name of each step as it begins.

    Returns:
        Sections of facts by name, and ``advice``, a list of sentences; ready for JSON.
    """
    progress("checking the machine")
    facts: Facts = {
        "versions": machine.versions(),
        "machine": _machine_facts(),
        "torch": _torch_facts(),
        "kernels": kernel_cache(),
        "lpips": find_lpips()[1],
        "lpips_available": find_lpips()[0] is not None,
    }
    progress("starting Numba's threads")
    facts["threading"] = threading_layer()
    progress("multiplying and adding")
    facts["speed"] = {"fma_per_s": fma_rate(machine.cores()), "fma_per_s_one_core": fma_rate(1)}
    progress("moving memory")
    facts["speed"] |= {"copied_bytes_per_s": copy_rate()}
    facts["advice"] = advice(facts)
    return facts


def fma_rate(threads: int) -> float:
    """Fused multiply-adds per second of a float32 matrix product on ``threads`` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        a, b = torch.ones(PROBE_SIDE, PROBE_SIDE), torch.ones(PROBE_SIDE, PROBE_SIDE)
        return PROBE_SIDE**3 / _best_seconds(lambda: a @ b)
    finally:
        torch.set_num_threads(before)


def copy_rate() -> float:
    """Bytes read and written per second when an array larger than the caches is copied."""
    source = torch.ones(PROBE_BYTES // 4)
    target = torch.empty_like(source)
    return 2 * PROBE_BYTES / _best_seconds(lambda: target.copy_(source))


def threading_layer() -> Facts:
    """The threading layers of Numba that load here, and the one that a run would use."""
    done = subprocess.run(
        child_command(THREADING_PROGRAM),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=FOLDER,
    )
    with suppress(ValueError):
        return loads(done.stdout)
    last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    return {"layer": None, "layers": {}, "threads": 0, "error": last}


def kernel_cache() -> Facts:
    """The folder of compiled kernels, and how many there are for this version of the sources."""
    from sfumato.ops.cpu.kernel_cache import cache_folder

    folder = cache_folder()
    files = [path for path in folder.rglob("*.nbc") if path.is_file()]
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    return {
        "folder": str(folder),
        "compiled": len(files),
        "bytes": sum(path.stat().st_size for path in files),
        "writable": os.access(nearest, os.W_OK),
    }


def advice(facts: Mapping[str, Any]) -> list[str]:
    """Suggestions that would make this machine faster or its reports more complete, as sentences.

    Args:
        facts: as returned by :func:`gather`.

    Returns:
        The most useful first; may be empty.
    """
    here, speed, kernels, threading = (facts[k] for k in ("machine", "speed", "kernels", "threading"))
    cores, said = here["cores"], []
    for name, value in here["thread_variables"].items():
        if value.isdigit() and int(value) < cores:
            said.append(f"{name}={value} leaves cores idle: unset it to use all {cores}.")
    busy = here["busy_cores"] > max(0.5, 0.25 * cores)
    if busy:
        said.append(f"Other programs keep {here['busy_cores']:.1f} of {cores} cores busy: close them.")
    if threading["layer"] in (None, "workqueue"):
        said.append("Numba has no good threading layer here: run `pip install tbb`, or install OpenMP.")
    if not {"avx2", "neon"} & set(here["features"]):
        said.append("The processor has neither AVX2 nor NEON: a machine that has is several times as fast.")
    if not kernels["writable"]:
        said.append(
            f"{kernels['folder']} is not writable: set SFUMATO_CACHE, or kernels compile at each start."
        )
    elif not kernels["compiled"]:
        said.append("The kernels are not compiled yet: the first run takes a while longer than later ones.")
    if cores > 1 and not busy and speed["fma_per_s"] < 0.6 * cores * speed["fma_per_s_one_core"]:
        gain = speed["fma_per_s"] / speed["fma_per_s_one_core"]
        said.append(f"{cores} cores do the work of {gain:.1f}: they are shared or hyper-threads.")
    if here["memory_available_bytes"] < 4 * GIB:
        said.append("Less than 4 GiB of memory is free: close programs, or train with --downscale 2.")
    if cores < 4:
        said.append("Training time falls almost with the number of cores: 4 or more are worth having.")
    if not facts["lpips_available"]:
        said.append(
            "Reports leave out LPIPS: put torchvision's alexnet-owt-7be5be79.pth and the lpips package's "
            "alex.pth into a folder and set SFUMATO_LPIPS to it."
        )
    return said


def _machine_facts() -> Facts:
    found = machine.memory()
    return {
        "platform": platform.platform(),
        "cpu": machine.cpu_name(),
        "features": machine.cpu_features(),
        "cores": machine.cores(),
        "busy_cores": round(machine.busy_cores(), 2),
        "memory_bytes": found.total_bytes,
        "memory_available_bytes": found.available_bytes,
        "memory_limited_by_container": found.limited,
        "thread_variables": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
    }


def _torch_facts() -> Facts:
    lacking = why_no_gpu()
    return {
        "version": torch.__version__,
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "gpu_lacks": lacking,
        "device": "cpu",
    }


def _best_seconds(work: Callable[[], object]) -> float:
    """The shortest of as many runs as fit into PROBE_SECONDS, after a warm-up run."""
    work()
    best, end = float("inf"), time.perf_counter() + PROBE_SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def _progress(quiet: bool) -> Callable[[str], None]:
    console = Console(stderr=True)
    return lambda step: None if quiet or not console.is_terminal else console.print(f"[dim]{step} ...")


def _print_table(facts: Facts, console: Console) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", justify="right", no_wrap=True)
    table.add_column()
    for name, value in (_machine_rows(facts) | _software_rows(facts)).items():
        table.add_row(name, Text(value))
    console.print(table)
    console.print("\n[bold]What would make it faster")
    sentences = Table.grid(padding=(0, 1))
    for sentence in facts["advice"] or ["Nothing that can be told from here."]:
        sentences.add_row(" -", Text(sentence))
    console.print(sentences)


def _machine_rows(facts: Facts) -> dict[str, str]:
    here, speed = facts["machine"], facts["speed"]
    gpu, lacking = facts["torch"]["gpu"], facts["torch"]["gpu_lacks"]
    total, free = here["memory_bytes"] / GIB, here["memory_available_bytes"] / GIB
    limit = ", limited by the container" if here["memory_limited_by_container"] else ""
    fma, fma_one_core = speed["fma_per_s"] / 1e9, speed["fma_per_s_one_core"] / 1e9
    return {
        "system": here["platform"],
        "processor": here["cpu"],
        "vector units": ", ".join(here["features"]) or "none known",
        "cores": f"{here['cores']} usable, {here['busy_cores']:.1f} busy",
        "memory": f"{free:.1f} of {total:.1f} GiB free{limit}",
        "multiply-adds": f"{fma:.0f} G/s, {fma_one_core:.0f} G/s on one core (float32, measured)",
        "memory traffic": f"{speed['copied_bytes_per_s'] / 1e9:.1f} GB/s (copy, measured)",
        "GPU": f"not used: {lacking}"
        if lacking
        else f"{gpu}; --device cuda uses it, which nobody has tried yet",
    }


def _software_rows(facts: Facts) -> dict[str, str]:
    kernels, threading, torch_facts = facts["kernels"], facts["threading"], facts["torch"]
    layers = ", ".join(name for name, state in threading["layers"].items() if state is True) or "none"
    used = (
        f"{threading['layer']} on {threading['threads']} cores" if threading["layer"] else threading["error"]
    )
    size = f"{kernels['compiled']} compiled, {kernels['bytes'] / 1e6:.1f} MB"
    return {
        "versions": ", ".join(f"{name} {version}" for name, version in facts["versions"].items()),
        "torch": f"{torch_facts['device']}, {torch_facts['threads']} threads",
        "Numba threads": f"{used}; layers that load: {layers}",
        "kernels": f"{size} in {_short(kernels['folder'])}",
        "LPIPS": facts["lpips"],
    }


def _short(path: str) -> str:
    home = os.path.expanduser("~")
    return "~" + path[len(home) :] if path.startswith(home + os.sep) else path
