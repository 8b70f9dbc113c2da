"""Runs in blocks over workers of Dask, which are processes of this machine."""

import os
import signal
import threading
import time

import pytest

from sfumato.blocks.block_task import BlockTask, from_plain, to_plain
from sfumato.blocks.dask_client import ClusterSpec, declared_memory
from sfumato.blocks.dask_worker import StopCheck, run_block
from sfumato.errors import ConfigError
from sfumato.runs.run_options import RunOptions
from sfumato.training.config import TrainConfig
from support.commands import OPTIONS, train

TWO = (*OPTIONS, "--blocks", "2")


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("local", ClusterSpec()),
        ("local:3", ClusterSpec(workers=3)),
        ("tcp://10.0.0.5:8786", ClusterSpec("tcp://10.0.0.5:8786")),
        ("tls://host.example:1", ClusterSpec("tls://host.example:1")),
    ],
)
def test_places_are_named(words, place):
    assert ClusterSpec.of(words) == place


@pytest.mark.parametrize(
    "words", ["", "local:", "local:0", "local:-1", "local:x", "10.0.0.5:8786", "tcp://a b:1"]
)
def test_what_names_no_place_is_refused(words):
    with pytest.raises(ConfigError, match="give local, local:N"):
        ClusterSpec.of(words)


def test_memory_counts_only_where_all_workers_declare_it():
    known = {"resources": {"MEMORY": 5.0}}
    assert declared_memory([known, {"resources": {"MEMORY": 3}}]) == [5.0, 3.0]
    assert declared_memory([known, {}]) is None and declared_memory([]) is None


def test_a_task_travels_as_plain_values(tmp_path):
    options = RunOptions(tmp_path / "data", train=TrainConfig(steps=7), block=tmp_path / "block.json")
    task = BlockTask("block_00", tmp_path / "block_00", options, 12)
    assert from_plain(to_plain(task)) == task


def test_a_worker_names_what_is_wrong_with_a_task():
    assert '"failed"' in (answer := run_block('{"name": "block_07"}'))
    assert "block_07" in answer and "KeyError" in answer


def test_workers_stop_when_the_file_is_there(tmp_path):
    stopping = StopCheck(tmp_path / "stop")
    assert not stopping()
    (tmp_path / "stop").touch()
    time.sleep(0.6)
    assert stopping()


@pytest.mark.slow
def test_workers_train_what_one_process_trains_and_a_killed_one_changes_nothing(data, tmp_path, monkeypatch):
    from sfumato.blocks import dask_engine

    plain, over = tmp_path / "plain", tmp_path / "over"
    assert train(data, plain, *TWO) == 0
    killed = []

    def kill_one(local):
        """Kill a worker as soon as a block has begun."""
        until_s = time.monotonic() + 60
        while not list(over.glob("blocks/block_*/config.json")) and time.monotonic() < until_s:
            time.sleep(0.01)
        killed.append(local.workers[0].pid)
        os.kill(killed[0], signal.SIGKILL)

    start = dask_engine.start_local

    def started(place):
        local = start(place)
        threading.Thread(target=kill_one, args=(local,), daemon=True).start()
        return local

    monkeypatch.setattr(dask_engine, "start_local", started)
    assert train(data, over, *TWO, "--cluster", "local:2") == 0
    assert killed
    for name in ("scene.ply", "blocks/block_00/scene.ply", "blocks/block_01/scene.ply"):
        assert (over / name).read_bytes() == (plain / name).read_bytes()


@pytest.mark.slow
def test_an_address_without_a_scheduler_is_an_error(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sfumato.blocks.dask_client._CONNECT_S", 0.5)
    assert train(data, tmp_path / "run", *TWO, "--cluster", "tcp://127.0.0.1:9") == 2
    assert "no scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err
