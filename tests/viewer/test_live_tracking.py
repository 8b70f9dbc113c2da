"""Watched tracking: the page loads new steps, and can go back in time."""

import json
import threading
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from sfumato.capture.multiview import RigCamera
from sfumato.training.config import TrainConfig
from sfumato.viewer.live import LiveTraining
from sfumato.viewer.live_tracking import LiveTracking
from sfumato.viewer.server import PageServer
from support.browser import Browser
from support.page_steps import WINDOW_PX, bare, stand
from support.small_moving_scene import LATE_BIRTH, MOVING, STEPS, small_moving_scene
from support.small_scenes import camera_at, drawn, psnr, small_scene
from support.watched import NoPhotographs, State

CAMERA = camera_at(0.4)


class Video:
    """The part of a multi-view video that the page uses; its camera has no photographs."""

    cameras = train_cameras = (RigCamera("cam0", CAMERA, (None,) * STEPS, False),)
    times = tuple(small_moving_scene().times.tolist())


def scene_until(steps):
    """The scene as known after some steps, without later births and deaths."""
    whole = small_moving_scene()
    known = whole.birth < steps
    keep = np.ones(len(whole), bool)
    keep[whole.ids[~known]] = False
    rows = np.cumsum(keep) - 1
    return replace(
        whole,
        gaussians=whole.gaussians.select(keep),
        ids=whole.ids[known].apply_(lambda row: rows[row]),
        times=whole.times[:steps],
        means=whole.means[:steps, known],
        quats=whole.quats[:steps, known],
        birth=whole.birth[known],
        death=whole.death[known].clamp(max=steps),
    )


def row(step):
    return {"step": step, "psnr": 20.0 + step, "psnr_changed": float("nan"), "gaussians": 80}


def take(live, step):
    live(lambda: scene_until(step + 1), row(step), 1.5 * step)


def picture(scene):
    return drawn(scene, CAMERA.resized(*WINDOW_PX), (0.0, 0.0, 0.0))


@pytest.mark.browser
@pytest.mark.slow
def test_the_page_loads_steps_and_goes_back_in_time(tmp_path):
    server = PageServer()
    training = LiveTraining(server, tmp_path, NoPhotographs(), TrainConfig(steps=10))
    training(State(small_scene()), None)
    with server, Browser(WINDOW_PX) as browser:
        browser.open(server.url)
        assert browser.run("document.getElementById('timeline').offsetHeight") == 0
        live = LiveTracking(server, "run", Video(), STEPS, training.hand_over)
        take(live, 0)
        # The page of the first step's training reloads by itself.
        browser.wait("window.sfumato?.stepsShown() === 1")
        take(live, 1)
        browser.wait("sfumato.stepsShown() === 2")
        assert browser.run("sfumato.timeNow().now") == 1.25
        take(live, LATE_BIRTH)
        browser.wait("sfumato.stepsShown() === 3 && sfumato.timeNow().now === 1.5")
        assert browser.run("document.getElementById('facts').textContent").startswith("80 Gaussians")
        browser.wait("document.getElementById('live-psnr').textContent.startsWith('22.00 dB')")
        bare(browser, True)
        whole = small_moving_scene()
        browser.run("sfumato.setTime(1.25)")
        stand(browser, 0)
        before = browser.canvas()
        assert psnr(before, picture(whole.at(1.25))) > 30
        take(live, 3)
        browser.wait("sfumato.stepsShown() === 4")
        assert browser.run("sfumato.timeNow().now") == 1.25
        live.finish("done", whole)
        browser.wait("document.getElementById('live-state').textContent === 'Done'")
        browser.wait(f"sfumato.stepsShown() === {STEPS}")
        browser.run("sfumato.setTime(2)")
        browser.settle()
        assert psnr(browser.canvas(), picture(whole.at(2.0))) > 30
        assert psnr(browser.canvas(), before) < 25
        assert not browser.complaints()


def test_pause_blocks_between_steps_and_stop_raises_sigint_once(monkeypatch):
    raised, done = [], threading.Event()
    monkeypatch.setattr("signal.raise_signal", raised.append)
    server = PageServer()
    live = LiveTracking(server, "run", Video(), STEPS)
    take(live, 0)
    server.post("control/pause", b"")

    def step():
        take(live, 1)
        done.set()

    threading.Thread(target=step, daemon=True).start()
    assert not done.wait(0.5)
    server.post("control/resume", b"")
    assert done.wait(10) and not raised
    server.post("control/stop", b"")
    for number in (2, 3):
        take(live, number)
    assert len(raised) == 1


def test_meshes_are_sent_again_only_after_births_and_deaths():
    server = PageServer()
    live = LiveTracking(server, "run", Video(), STEPS)
    versions = []
    take(live, 0)
    with closing(server.answer("events").data) as events:
        next(events)
        for number in range(1, STEPS):
            take(live, number)
            told = next(line for line in next(events).decode().splitlines() if '"version"' in line)
            versions.append(json.loads(told.removeprefix("data: "))["version"])
    # Births at step 2 are known at step 2, and deaths at step 3 at step 3.
    assert versions == [1, 2, 3, 3]
    data = np.frombuffer(server.answer("step-3").data, "<f4").reshape(MOVING, 7)
    scene = small_moving_scene()
    assert np.array_equal(data[:, :3], scene.means[3].numpy(), equal_nan=True)
