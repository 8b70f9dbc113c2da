"""Machine facts, on this machine and on simulated ones."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from sfumato import machine

GIB = 1024**3


def make_machine(root, group, **files):
    """A small /proc and /sys: 16 GiB of memory, 10 available, and one control group."""
    contents = {
        "proc/meminfo": f"MemTotal: {16 * GIB // 1024} kB\nMemAvailable: {10 * GIB // 1024} kB\n",
        "proc/self/cgroup": group,
        **{name.replace("__", "/"): text for name, text in files.items()},
    }
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_without_a_limit_memory_is_the_machines(tmp_path):
    assert machine.memory(make_machine(tmp_path, "0::/\n")) == machine.Memory(16 * GIB, 10 * GIB, False)


def test_busy_cores_are_counted_while_this_process_waits(tmp_path, monkeypatch):
    ticks = os.sysconf("SC_CLK_TCK")
    root = make_machine(tmp_path, "0::/\n", proc__stat="cpu  100 20 30 5000 60 7 8 0 0 0\ncpu0 1 2 3 4\n")

    def work(seconds):
        (root / "proc/stat").write_text(f"cpu  {100 + 3 * ticks} 20 30 9000 99 7 8 0 0 0\n")
        clock.append(clock[-1] + 2.0)

    clock = [5.0]
    monkeypatch.setattr(machine.time, "monotonic", lambda: clock[-1])
    monkeypatch.setattr(machine.time, "sleep", work)
    assert machine.busy_cores(root) == pytest.approx(1.5)


@pytest.mark.parametrize("content", ["", "cpu  1 2\n", "cpu a b c d e f g\n"])
def test_without_counts_the_load_is_that_of_the_last_minute(content, tmp_path):
    root = make_machine(tmp_path, "0::/\n", proc__stat=content)
    assert machine.busy_cores(root) == pytest.approx(os.getloadavg()[0], abs=1.0)


def test_unified_groups_limit_memory_and_cores(tmp_path):
    root = make_machine(tmp_path, "0::/box/inner\n")
    outer = root / "sys/fs/cgroup/box"
    (outer / "inner").mkdir(parents=True)
    (outer / "inner/memory.max").write_text("max\n")
    (outer / "memory.max").write_text(f"{4 * GIB}\n")
    (outer / "memory.current").write_text(f"{3 * GIB}\n")
    (outer / "memory.stat").write_text(f"anon 5\ninactive_file {GIB}\n")
    (outer / "inner/cpu.max").write_text("150000 100000\n")
    assert machine.memory(root) == machine.Memory(4 * GIB, 2 * GIB, True)
    assert machine.cores(root) == 1


def test_older_groups_limit_memory(tmp_path):
    root = make_machine(tmp_path, "4:memory:/docker/abc\n1:cpu,cpuacct:/\n0::/\n")
    folder = root / "sys/fs/cgroup/memory"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text(f"{2 * GIB}")
    (folder / "memory.usage_in_bytes").write_text(f"{GIB // 2}")
    assert machine.memory(root) == machine.Memory(2 * GIB, 3 * GIB // 2, True)


def test_an_unlimited_older_group_is_no_limit(tmp_path):
    root = make_machine(tmp_path, "4:memory:/\n")
    folder = root / "sys/fs/cgroup/memory"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("9223372036854771712")
    assert not machine.memory(root).limited


def test_this_machine():
    assert 1 <= machine.cores() <= 4096
    here = machine.memory()
    assert 0 < here.available_bytes <= here.total_bytes
    facts = json.loads(json.dumps(machine.environment()))
    assert {"sfumato", "torch", "numba", "python", "cpu", "cores"} <= facts.keys()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count what the parent held")
@pytest.mark.slow
def test_peak_memory_follows_what_was_held_and_stays():
    program = (
        "import numpy as np; from sfumato.machine import peak_memory_bytes as peak\n"
        "before = peak(); held = np.ones(25_000_000); del held; print(peak() - before)"
    )
    parent_holds = np.ones(30_000_000)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert parent_holds[0] == 1
    assert 190e6 < int(done.stdout) < 260e6
