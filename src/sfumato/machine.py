"""Resources available to this process: cores, memory, vector units, versions."""

from __future__ import annotations

import ctypes
import math
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("sfumato", "torch", "numba", "llvmlite", "numpy", "scipy", "pillow", "pycolmap", "av")
VECTOR_FEATURES = ("sse4.2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "neon", "sve")
ROOT = Path("/")
# Time over which busy cores are counted, seconds.
_SAMPLE_S = 0.5


@dataclass(frozen=True)
class Memory:
    """Main memory as this process sees it.

    Attributes:
        total_bytes: of the machine, or of the container if that is less.
        available_bytes: free for use without swapping, within the container's limit.
        limited: whether the bound is a container's limit.
    """

    total_bytes: int
    available_bytes: int
    limited: bool


def cores(root: Path = ROOT) -> int:
    """Number of cores this process may use: its affinity and the container's quota, at least 1."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:
        allowed = os.cpu_count() or 1
    quotas = [_cpu_quota(folder) for folder in _control_groups(root, "cpu")]
    return max(1, math.floor(min([float(allowed), *quotas])))


def busy_cores(root: Path = ROOT) -> float:
    """Number of cores that programs keep busy while this process waits for half a second.

    Where there is no /proc/stat it is the mean of the last minute.
    """
    before, began = _busy_ticks(root), time.monotonic()
    if before is None:
        return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    time.sleep(_SAMPLE_S)
    ticks = (_busy_ticks(root) or before) - before
    return ticks / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began)


def memory(root: Path = ROOT) -> Memory:
    """Total and available main memory, respecting the limits of control groups."""
    total, available = _machine_memory(root)
    limited = False
    for folder in _control_groups(root, "memory"):
        limit = _number(folder / "memory.max") or _number(folder / "memory.limit_in_bytes")
        if limit is None or limit >= total:
            continue
        total, limited = limit, True
        used = _number(folder / "memory.current") or _number(folder / "memory.usage_in_bytes") or 0
        available = min(available, max(0, limit - used + _reclaimable_bytes(folder)))
    return Memory(total, available, limited)


def peak_memory_bytes() -> int:
    """Peak resident memory of this process."""
    # getrusage would include the parent's memory before exec, so on Linux /proc is read.
    status = _fields(ROOT / "proc/self/status")
    if "VmHWM" in status:
        return status["VmHWM"] * 1024
    if sys.platform == "win32":
        return _windows_peak_bytes()
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def cpu_name() -> str:
    """The processor's model name, or its architecture if the name is unknown."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def cpu_features() -> list[str]:
    """The vector instruction sets of this processor that matter to the kernels."""
    from llvmlite import binding

    present = binding.get_host_cpu_features()
    return [name for name in VECTOR_FEATURES if present.get(name)]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages whose numbers could change a result."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def environment() -> dict[str, object]:
    """Versions and hardware that results may depend on, ready for JSON."""
    return {
        **versions(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cpu_features": cpu_features(),
        "cores": cores(),
        "memory_bytes": memory().total_bytes,
    }


def _busy_ticks(root: Path) -> int | None:
    """Clock ticks that all cores spent on programs and the system since the start of the machine."""
    with suppress(OSError, ValueError, IndexError):
        user, nice, system, _, _, irq, soft_irq = map(int, (root / "proc/stat").read_text().split()[1:8])
        return user + nice + system + irq + soft_irq
    return None


def _machine_memory(root: Path) -> tuple[int, int]:
    fields = _fields(root / "proc/meminfo")
    if "MemTotal" in fields:
        available = fields.get("MemAvailable", fields.get("MemFree", fields["MemTotal"]))
        return fields["MemTotal"] * 1024, available * 1024
    if sys.platform == "win32":
        return _windows_memory()
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # macOS reports no available memory; half of it is typically free on a desktop.
    return total, total // 2


def _fields(path: Path) -> dict[str, int]:
    """Lines such as ``MemTotal:  123 kB`` as a table of numbers; empty if there is no such file."""
    table = {}
    with suppress(OSError):
        for line in path.read_text().splitlines():
            words = line.replace(":", " ").split()
            if len(words) > 1 and words[1].isdigit():
                table[words[0]] = int(words[1])
    return table


def _number(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_text())
    return None


def _control_groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the control groups of this process: its own first, then the enclosing ones."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        hierarchy, controllers, inside = [*line.split(":", 2), "", ""][:3]
        if hierarchy != "0" and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("" if hierarchy == "0" else controller)
        # In a container the path may be that on the host; then only the mount itself exists.
        own = mount / inside.lstrip("/")
        yield from (
            folder for folder in (own, *own.parents) if folder.is_relative_to(mount) and folder.is_dir()
        )


def _cpu_quota(folder: Path) -> float:
    with suppress(OSError, ValueError):
        most, each = (folder / "cpu.max").read_text().split()
        return float(most) / float(each) if most != "max" else math.inf
    quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else math.inf


def _reclaimable_bytes(folder: Path) -> int:
    """Cached file pages, which the system frees on demand."""
    table = _fields(folder / "memory.stat")
    return table.get("total_inactive_file", table.get("inactive_file", 0))


def _windows_memory() -> tuple[int, int]:
    assert sys.platform == "win32"

    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
            (name, ctypes.c_ulonglong)
            for name in ("total", "free", "page", "page_free", "virtual", "virtual_free", "extended")
        ]

    status = Status(length=ctypes.sizeof(Status))
    windll: Any = vars(ctypes)["windll"]  # exists on Windows only
    windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return int(status.total), int(status.free)


def _windows_peak_bytes() -> int:
    assert sys.platform == "win32"

    class Counters(ctypes.Structure):
        _fields_ = [("size", ctypes.c_ulong), ("faults", ctypes.c_ulong)] + [
            (f"bytes_{i}", ctypes.c_size_t) for i in range(8)
        ]

    counters = Counters(size=ctypes.sizeof(Counters))
    windll: Any = vars(ctypes)["windll"]  # exists on Windows only
    kernel = windll.kernel32
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.GetCurrentProcess())
    windll.psapi.GetProcessMemoryInfo(handle, ctypes.byref(counters), counters.size)
    return int(counters.bytes_0)
