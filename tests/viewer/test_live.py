"""Watched training: the page follows, pauses and stops it."""

import json
import threading
import time
from contextlib import closing

import pytest
import torch

from sfumato.training.config import TrainConfig
from sfumato.training.step import StepStats
from sfumato.viewer.live import LiveTraining
from sfumato.viewer.server import PageServer
from sfumato.viewer.watching import packed
from support.browser import PATIENCE_S, Browser
from support.small_scenes import SIZE_PX, psnr, small_scene
from support.watched import NoPhotographs, State


class Run:
    """A running training whose scene is changed by the test."""

    def __init__(self, folder, server):
        self.state, self.waited_s, self.over, self.steps = State(small_scene()), 0.0, False, 0
        self.server = server
        self.live = LiveTraining(server, folder, NoPhotographs(), TrainConfig(steps=10))
        self.live(self.state, None)
        self._thread = threading.Thread(target=self._go, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *ended):
        self.over = True
        self.server.post("control/resume", b"")
        self._thread.join()

    def _go(self):
        while not self.over:
            self.steps += 1
            self.waited_s += self.live(self.state, StepStats(0.1, 80, 80, None))
            time.sleep(0.01)


@pytest.fixture
def folder(tmp_path):
    lines = [{"step": 10 * i, "seconds": i, "gaussians": 80, "loss": 0.3 / (i + 1)} for i in range(6)]
    lines[3]["psnr"] = 21.5
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


@pytest.mark.browser
@pytest.mark.slow
def test_the_page_follows_a_training(folder):
    server = PageServer().__enter__()
    with Run(folder, server) as run, Browser((4 * SIZE_PX[0], 480)) as browser:
        browser.open(server.url)
        browser.wait("document.getElementById('live-psnr').textContent === '21.50 dB'")
        assert browser.run("document.getElementById('live-loss').textContent") == "0.0500"
        before = browser.canvas()

        run.state.gaussians = small_scene(40, seed=7)
        version = browser.run("sfumato.versionShown()")
        browser.wait(f"sfumato.versionShown() > {version + 1}")
        browser.settle()
        after = browser.canvas()
        assert psnr(before, after) < 25
        assert browser.run("document.getElementById('facts').textContent").startswith("40 Gaussians")

        with (folder / "events.jsonl").open("a") as file:
            line = {"step": 80, "seconds": 9, "gaussians": 40, "loss": 0.01, "progress": 0.25}
            file.write(json.dumps(line) + "\n")
        # A quarter took 9 seconds: three quarters take 27.
        words = "25% · step 80 · 0:09 · 0:27 left"
        browser.wait(f"document.getElementById('live-words').textContent === '{words}'")

        browser.run("document.getElementById('live-pause').click()")
        browser.wait("document.getElementById('live-state').textContent === 'Paused'")
        time.sleep(0.5)
        steps = run.steps
        time.sleep(0.5)
        assert run.steps == steps
        browser.run("document.getElementById('live-pause').click()")
        browser.wait("document.getElementById('live-state').textContent === 'Training'")
        time.sleep(0.5)
        assert run.steps > steps and run.waited_s > 0.9

        run.over = True
        run.live.finish("done", run.state.gaussians)
        browser.wait("document.getElementById('live-state').textContent === 'Done'")
        assert browser.run("document.getElementById('live-stop').disabled")
        (folder / "scene.html").write_text("<title>the finished scene</title>")
        run.live.offer_page(folder / "scene.html")
        browser.wait("!document.getElementById('live-open').hidden")
        server.__exit__()
        # The page is in the browser: it opens after the run and its server have ended.
        browser.click_element("#live-open a")
        deadline = time.monotonic() + PATIENCE_S
        while "the finished scene" not in browser.titles():
            assert time.monotonic() < deadline, browser.titles()
            time.sleep(0.1)
        assert not browser.complaints()


def test_scenes_are_packed_only_while_a_page_is_open(folder, monkeypatch):
    server, taken = PageServer(), threading.Event()
    live = LiveTraining(server, folder, NoPhotographs(), TrainConfig(steps=10))
    state = State(small_scene())
    live(state, None)

    def noted(gaussians):
        taken.set()
        return packed(gaussians)

    monkeypatch.setattr("sfumato.viewer.live.packed", noted)
    # Longer than the budget needs to accrue.
    for _ in range(5):
        assert live(state, None) == 0.0
        time.sleep(0.02)
    assert not taken.is_set()
    with closing(server.answer("events").data) as events:
        next(events)
        live(state, None)
        assert taken.wait(10)


def test_stop_raises_sigint_once(folder, monkeypatch):
    raised = []
    monkeypatch.setattr("signal.raise_signal", raised.append)
    server = PageServer()
    live = LiveTraining(server, folder, NoPhotographs(), TrainConfig(steps=10))
    live(State(small_scene()), None)
    server.post("control/stop", b"")
    for _ in range(3):
        live(State(small_scene()), None)
    assert len(raised) == 1


def test_ctrl_c_ends_a_pause(folder):
    import signal

    heard = []
    before = signal.signal(signal.SIGINT, lambda *given: heard.append(given[0]))
    try:
        server = PageServer()
        live = LiveTraining(server, folder, NoPhotographs(), TrainConfig(steps=10))
        live(State(small_scene()), None)
        server.post("control/pause", b"")
        threading.Timer(
            0.3, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        ).start()
        began = time.monotonic()
        live(State(small_scene()), None)
        assert 0.2 < time.monotonic() - began < 5 and heard == [signal.SIGINT]
        assert signal.getsignal(signal.SIGINT) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)


def test_waiting_does_not_count_as_training(tmp_path):
    from sfumato.training import loop

    clock = iter([0.0, 10.0, 20.0])

    class Capture:
        train_views = (None,)

        def read_ahead(self, views):
            list(views)

    class Sampler:
        def next(self):
            return 0

        def upcoming(self, count):
            return []

    class Steps:
        seconds, step, sampler, views, config = 0.0, 0, Sampler(), (None,), TrainConfig(steps=2)

        @property
        def progress(self):
            return self.step / 2

    def step(state, *rest):
        state.step += 1
        return StepStats(0.0, 1, 1, None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "train_step", step)
        patch.setattr(loop.time, "perf_counter", lambda: next(clock))
        state = loop.train(Capture(), Steps(), (lambda *given: 4.0,))
    # Twice ten seconds, minus four seconds of waiting between the steps.
    assert state.seconds == 16.0
    assert torch.get_num_threads() >= 1
