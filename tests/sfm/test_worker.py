"""Workers that die or hang: the result is the same, and no process is left behind."""

import _thread
import json
import logging
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pycolmap
import pytest
from PIL import Image

from sfumato import machine
from sfumato.children import child_command
from sfumato.errors import SfumatoError
from sfumato.footage import read_footage
from sfumato.sfm import features, matching, worker_pool
from sfumato.sfm.pipeline import structure_from_motion
from sfumato.sfm.progress import silent
from support.found import model_bytes

SETTINGS = features.FeatureSettings(320, 700, True)
# Programs that replace the normal handling of a request.
DOES_HALF_AND_DIES = """
if request["work"] == "import":
    return real["import"](request, tell)
key = "names" if "names" in request else "pairs"
half = {**request, key: request[key][: len(request[key]) // 2]}
real[request["work"]](half, tell)
os.abort()
"""
HANGS = "time.sleep(600)"
REFUSES = 'raise ValueError("out of luck")'
DIES = 'os.write(2, b"no memory")\nos._exit(3)'


def doing(words):
    """Command of a process with a replaced request handler."""
    lines = [
        "import os, sys, time",
        "from sfumato.sfm import worker",
        "real = dict(worker._WORK)",
        "def work(request, tell):",
        *(f"    {line}" for line in words.strip().splitlines()),
        "worker._WORK = dict.fromkeys(real, work)",
        "worker.main()",
    ]
    return child_command("\n".join(lines))


@pytest.fixture
def started(monkeypatch):
    """All processes started by a pool."""
    found = []

    def noted(*arguments, **options):
        found.append(subprocess.Popen(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(worker_pool, "subprocess", type("Noting", (), {**vars(subprocess), "Popen": noted}))
    return found


@pytest.fixture
def first(monkeypatch):
    """Replace the request handler of the first processes."""
    real = worker_pool.command

    def make(words, count):
        left = [doing(words)] * count
        monkeypatch.setattr(worker_pool, "command", lambda: left.pop() if left else real())

    return make


@pytest.fixture
def imported(solved, tmp_path):
    """The pictures, and a database without features."""
    footage = read_footage(solved.out / "work/frames")
    features.import_pictures(tmp_path / "new.db", footage, solved.config)
    return footage, tmp_path / "new.db"


def features_in(database):
    with pycolmap.Database.open(database) as opened:
        return {
            image.name: (
                opened.read_keypoints(image.image_id).tobytes(),
                np.asarray(opened.read_descriptors(image.image_id).data).tobytes(),
            )
            for image in opened.read_all_images()
        }


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.slow
def test_a_process_that_dies_in_the_middle_is_replaced_and_changes_nothing(
    solved, tmp_path, first, started, caplog
):
    # Fewer than the attempts of one task, as a pool of one process repeats the same one.
    first(DOES_HALF_AND_DIES, 4)
    structure_from_motion([solved.shots.folder], tmp_path / "out", solved.config)
    assert model_bytes(tmp_path / "out") == model_bytes(solved.out)
    assert len(warnings_of(caplog)) == 3
    assert all(process.poll() is not None for process in started)
    assert not list((tmp_path / "out/work").glob("*parts*"))


@pytest.mark.slow
def test_a_process_that_hangs_is_replaced(solved, imported, first, monkeypatch, caplog):
    footage, database = imported
    first(HANGS, 1)
    monkeypatch.setattr(worker_pool, "allowed_s", lambda job, longest_s: 10.0)
    features.extract(database, footage, SETTINGS, silent)
    assert sum("no answer for 10 s" in message for message in warnings_of(caplog)) == 1
    assert features_in(database) == features_in(solved.out / "work/database.db")


@pytest.mark.slow
def test_the_last_attempt_counts(solved, imported, first, monkeypatch, caplog):
    footage, database = imported
    monkeypatch.setattr(machine, "cores", lambda: 1)
    first(REFUSES, 3)
    features.extract(database, footage, SETTINGS, silent)
    assert len(warnings_of(caplog)) == 3
    assert features_in(database) == features_in(solved.out / "work/database.db")


@pytest.mark.parametrize(
    ("words", "reason"),
    [(REFUSES, "ValueError: out of luck"), (DIES, "it ended with code 3: no memory")],
)
@pytest.mark.slow
def test_repeated_failures_are_one_line(imported, first, started, words, reason):
    footage, database = imported
    first(words, 100)
    with pytest.raises(SfumatoError, match=r"^finding features in .* failed .* 4 times; .*resumes") as raised:
        features.extract(database, footage, SETTINGS, silent)
    assert reason in str(raised.value) and "\n" not in str(raised.value)
    assert all(process.poll() is not None for process in started)


def test_failures_to_start_are_one_line(imported, monkeypatch):
    footage, database = imported
    monkeypatch.setattr(worker_pool, "command", lambda: ["no-such-program"])
    with pytest.raises(SfumatoError, match=r"^cannot start no-such-program: .*;"):
        features.extract(database, footage, SETTINGS, silent)


@pytest.fixture
def interruptible():
    """Enable Ctrl-C, which Python ignores if started with SIGINT ignored, as in a shell's background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("stage", ["features", "pairs"])
@pytest.mark.slow
def test_ctrl_c_leaves_no_process(solved, imported, first, started, interruptible, stage):
    footage, database = imported
    before = threading.active_count()
    first(HANGS, 100)
    timer = threading.Timer(1.5, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        if stage == "features":
            features.extract(database, footage, SETTINGS, silent)
        else:
            shutil.copyfile(solved.out / "work/database.db", database)
            with pycolmap.Database.open(database) as opened:
                opened.clear_matches()
                opened.clear_two_view_geometries()
            pairs = list(pairwise(picture.name for picture in footage.pictures))
            matching.match(database, pairs, database.parent, silent, 0, 2.0)
    timer.join()
    assert started and all(process.poll() is not None for process in started)
    assert threading.active_count() == before
    assert sorted(path.name for path in database.parent.iterdir()) == [database.name]


@pytest.mark.slow
def test_a_picture_without_features_is_processed_once(imported, tmp_path, started):
    """A uniformly grey picture, which a resumed run does not process again."""
    footage, database = imported
    folder = tmp_path / "grey"
    shutil.copytree(footage.folder, folder)
    name = footage.pictures[0].name
    with Image.open(folder / name) as picture:
        Image.new("RGB", picture.size, (128, 128, 128)).save(folder / name)
    footage = replace(footage, folder=folder)
    features.extract(database, footage, SETTINGS, silent)
    assert features_in(database)[name] == (b"", b"")
    before = len(started)
    features.extract(database, footage, SETTINGS, silent)
    assert len(started) == before


@pytest.fixture
def process():
    """A process that hangs at any request other than ``error``."""
    words = 'if request["work"] != "extract": time.sleep(600)\nraise ValueError("heard")'
    with subprocess.Popen(doing(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        yield running
        running.kill()


def ask(process, work):
    process.stdin.write(json.dumps({"work": work}).encode() + b"\n")
    process.stdin.flush()


def test_a_process_ends_when_its_parent_is_gone(process):
    ask(process, "extract")
    assert b"heard" in process.stdout.readline()
    ask(process, "match")
    process.stdin.close()
    assert process.wait(20) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signal to one process")
def test_ctrl_c_in_a_terminal_does_not_reach_worker_processes(process):
    ask(process, "extract")
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    ask(process, "extract")
    assert b"heard" in process.stdout.readline()


def test_a_process_loads_only_what_it_needs():
    lines = "import sys, sfumato.sfm.worker, sfumato.sfm.solving, pycolmap; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in found.stdout.split()}
    assert "pycolmap" in loaded and not loaded & {"torch", "numba", "scipy", "PIL", "av", "rich", "tyro"}


def test_tiles_keep_pairs_and_need_few_pictures():
    names = [f"{i:02d}" for i in range(24)]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    tiles = matching.in_tiles(pairs)
    assert sorted(tiles) == pairs
    whole = [pair for pair in tiles if int(pair[0]) < 8 and 8 <= int(pair[1]) < 16]
    start = tiles.index(whole[0])
    assert tiles[start : start + 64] == whole and len(whole) == 64
