"""Images of our own renderer: valid requests, results, and their share of training time."""

import io
import json
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from sfumato import rasterize, raytrace
from sfumato.edit.clean import floaters
from sfumato.errors import ConfigError
from sfumato.evaluation.saved_images import colour_map
from sfumato.render.settings import TraceSettings
from sfumato.training.config import TrainConfig
from sfumato.training.step import StepStats
from sfumato.viewer.allowance import Allowance
from sfumato.viewer.exact import ExactRenderer, RenderRequest, read_request
from sfumato.viewer.live import LiveTraining
from sfumato.viewer.page import Payload
from sfumato.viewer.request_slot import RequestSlot
from sfumato.viewer.server import PageServer
from support.small_scenes import SIZE_PX, camera_at, drawn, psnr, small_scene, small_subject
from support.watched import NoPhotographs, State


@pytest.fixture(scope="module")
def subject():
    return small_subject()


@pytest.fixture(scope="module")
def renderer(subject):
    return ExactRenderer(subject.photographs, subject.settings, lambda: floaters(subject.gaussians))


def asked_from(camera, **also):
    """The request of the page for the view of a camera."""
    pose = torch.linalg.inv(camera.camera_from_world.double())
    turn = Rotation.from_matrix(pose[:3, :3].numpy() * [1.0, -1.0, -1.0]).as_quat()
    request = {
        "show": "colour",
        "size": list(camera.size_px),
        "at": pose[:3, 3].tolist(),
        "turn": turn.tolist(),
        "focal": list(camera.focal_px),
        "centre": list(camera.centre_px),
        "fine": True,
    }
    return json.dumps(request | also).encode()


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture.jpeg)))


def test_the_picture_is_the_render_from_the_view_of_the_page(subject, renderer):
    camera = camera_at(0.7, roll=0.3).resized(4 * SIZE_PX[0], 4 * SIZE_PX[1])
    request = read_request(asked_from(camera), subject.photographs)
    assert torch.allclose(request.camera.camera_from_world, camera.camera_from_world, atol=1e-9)
    picture = renderer.render(request, subject.gaussians)
    assert psnr(pixels(picture), drawn(subject.gaussians, camera)) > 38
    assert picture.seconds > 0 and picture.range is None


def test_a_crop_box_cuts(subject, renderer):
    camera = camera_at(0.7)
    body = asked_from(camera, crop=[-1e30, -1e30, -1e30, 0.0, 1e30, 1e30])
    left = subject.gaussians.select(subject.gaussians.means[:, 0] <= 0)
    picture = renderer.render(read_request(body, subject.photographs), subject.gaussians)
    assert psnr(pixels(picture), drawn(left, camera)) > 32


def test_the_error_is_that_of_the_photograph(subject, renderer):
    request = read_request(b'{"show": "error", "camera": 1, "size": [96, 72]}', subject.photographs)
    same = pixels(renderer.render(request, subject.gaussians)).astype(int)
    assert np.abs(same - colour_map(np.zeros((72, 96)))).mean() < 3
    other = pixels(renderer.render(request, small_scene(seed=9)))
    assert other.mean() > same.mean() + 30


def test_nearer_is_lighter_and_the_range_is_returned(renderer):
    gaussians = small_scene(200)
    picture = renderer.render(RenderRequest("depth", camera_at(0.0)), gaussians)
    near, far = picture.range
    assert 2.0 < near < far < 7.0
    farther = renderer.render(RenderRequest("depth", camera_at(0.0, distance=6.0)), gaussians)
    assert farther.range[0] > near + 1.5
    wall = small_scene(200)
    wall.means[:100] = torch.tensor([-0.8, 0.0, -1.0]) + 0.1 * wall.means[:100]
    wall.means[100:] = torch.tensor([1.2, 0.0, 3.0]) + 0.1 * wall.means[100:]
    light = pixels(renderer.render(RenderRequest("depth", camera_at(0.0)), wall)).astype(int).sum(axis=2)
    assert light[:, :40].max() > 550 and 60 < np.percentile(light[:, 60:], 99) < 450


def test_normals_face_the_camera(renderer):
    flat = small_scene(60)
    flat.log_scales[:, 2] = -6.0
    flat.quats[:] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    flat.logit_opacities[:] = 6.0
    middle = pixels(renderer.render(RenderRequest("normals", camera_at(0.0)), flat))[30:40, 45:55].reshape(
        -1, 3
    )
    # Their shortest axis is z, and the camera is at -z.
    assert (np.abs(np.median(middle, axis=0) - [128, 128, 0]) < 30).all()


def test_floaters_glow(subject, renderer):
    picture = pixels(
        renderer.render(RenderRequest("colour", camera_at(0.0), floaters=True), subject.gaussians)
    ).astype(int)
    pink = (picture[..., 0] - picture[..., 1] > 60) & (picture[..., 2] > picture[..., 1])
    assert 0.002 < pink.mean() < 0.5
    plain = pixels(renderer.render(RenderRequest("colour", camera_at(0.0)), subject.gaussians))
    assert psnr(picture, plain) < 20


@pytest.mark.parametrize(
    "change",
    [
        {"show": "../etc"},
        {"size": [0, 10]},
        {"size": [5000, 10]},
        {"size": [4000, 4000]},
        {"size": [1e999, 3]},
        {"size": None},
        {"turn": [0, 0, 0, 0]},
        {"turn": [0, 0, 1]},
        {"at": [0, 0, float("nan")]},
        {"at": "abc"},
        {"focal": [0, 10]},
        {"focal": [True, 10]},
        {"centre": [[], 1]},
        {"crop": [1, 2, 3]},
        {"upright": {}},
        {"show": "error", "camera": 4},
        {"show": "error", "camera": -1},
        {"show": "error", "camera": "0"},
    ],
)
def test_an_invalid_request_is_refused(subject, change):
    body = json.dumps(json.loads(asked_from(camera_at(0.0))) | change).encode()
    with pytest.raises(ConfigError):
        read_request(body, subject.photographs)


def test_integers_beyond_the_float_range_are_limited(subject):
    request = read_request(asked_from(camera_at(0.0), at=[10**400, 0, 0]), subject.photographs)
    assert torch.isfinite(request.camera.camera_from_world).all()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b"[" * 1000, b"null"])
def test_invalid_json_is_refused(body):
    with pytest.raises(ConfigError):
        read_request(body, ())


def test_the_newest_request_replaces_older_ones():
    slot, found = RequestSlot(threading.Condition()), {}
    first, second = (RenderRequest("colour", camera_at(angle)) for angle in (0.0, 1.0))

    def ask(name, request):
        found[name] = slot.ask(request, 10)

    threads = [threading.Thread(target=ask, args=pair) for pair in (("first", first), ("second", second))]
    for thread in threads:
        thread.start()
        while not slot.has_request:
            time.sleep(0.001)
        time.sleep(0.02)
    threads[0].join(5)
    assert found == {"first": None}
    assert slot.serve(lambda request: "picture" if request is second else "old")
    threads[1].join(5)
    assert found["second"] == "picture"
    assert not slot.serve(lambda request: "none is asked for")


def test_requests_time_out_and_errors_propagate():
    slot = RequestSlot(threading.Condition())
    assert slot.ask(RenderRequest("colour", camera_at(0.0)), 0.01) is None
    assert not slot.has_request

    def fail(request):
        raise ConfigError("no")

    def serve():
        while not slot.serve(fail):
            time.sleep(0.001)

    threading.Thread(target=serve, daemon=True).start()
    with pytest.raises(ConfigError, match="no"):
        slot.ask(RenderRequest("colour", camera_at(0.0)), 10)


def test_spending_is_limited_to_the_share_and_the_last_expense():
    now, spent = [0.0], 0.0
    allowance = Allowance(0.04, 1.0, lambda: now[0])
    assert not allowance.is_there()
    for _ in range(3000):
        now[0] += 0.1
        if allowance.is_there():
            allowance.spend(0.3)
            spent += 0.3
        assert spent <= 0.04 * now[0] + 0.3
    assert spent > 0.9 * 0.04 * now[0]
    # A long pause accumulates at most one second.
    now[0] += 1e6
    burst = 0
    while allowance.is_there():
        allowance.spend(0.1)
        burst += 1
    assert burst in (10, 11) and allowance.spent_s == pytest.approx(spent + 0.1 * burst)


@pytest.mark.slow
def test_images_are_rendered_between_training_steps_within_the_share(tmp_path, monkeypatch):
    server = PageServer()
    live = LiveTraining(server, tmp_path, NoPhotographs(), TrainConfig(steps=10))
    state, over, found = State(small_scene()), threading.Event(), []
    live(state, None)
    # As a page without WebGL: it listens, requests images again and again, and fetches no scene. The one
    # snapshot that is made for it costs nothing here.
    monkeypatch.setattr("sfumato.viewer.live.packed", lambda gaussians: Payload(b"", "spz", "rub"))
    heard = []
    threading.Thread(target=lambda: heard.extend(server.answer("events").data), daemon=True).start()
    body = asked_from(camera_at(0.0).resized(384, 288))

    def watch():
        while not over.is_set():
            found.append(server.post("exact", body))

    threading.Thread(target=watch, daemon=True).start()
    began, steps = time.monotonic(), 0
    while time.monotonic() - began < 3.0 or len(found) < 2:
        live(state, StepStats(0.1, 80, 80, None))
        steps += 1
        time.sleep(0.002)
    taken = time.monotonic() - began
    over.set()
    assert steps > 100 and not any(b'"version": 2' in part for part in heard)
    assert 0 < live.spent_s < 0.04 * taken + max(float(one.headers["X-Seconds"]) for one in found) + 0.2
    expected = drawn(state.gaussians, camera_at(0.0).resized(384, 288), state.background)
    assert psnr(np.asarray(Image.open(io.BytesIO(found[-1].data))), expected) > 38


def test_scenes_trained_with_the_tracer_are_traced(subject):
    traced = replace(subject, settings=TraceSettings(background=subject.settings.background))
    camera = camera_at(0.7).resized(*SIZE_PX)
    request = read_request(asked_from(camera), subject.photographs)
    found = pixels(ExactRenderer((), traced.settings).render(request, subject.gaussians)).astype(float)
    wanted = raytrace(subject.gaussians, camera, traced.settings).image
    other = rasterize(subject.gaussians, camera, subject.settings).image
    error = np.abs(found - 255 * wanted.clamp(0, 1).numpy()).mean()
    assert error < 2 and error < np.abs(found - 255 * other.clamp(0, 1).numpy()).mean()


def test_a_background_is_drawn_and_a_wrong_one_refused(subject, renderer):
    camera = camera_at(0.7)
    request = read_request(asked_from(camera, background=[1, 0, 0]), subject.photographs)
    found = pixels(renderer.render(request, subject.gaussians))
    assert psnr(found, drawn(subject.gaussians, camera, background=(1.0, 0.0, 0.0))) > 25
    for wrong in ([1, 0], [1, 0, 2], "red", [None] * 3):
        with pytest.raises(ConfigError, match="background"):
            read_request(asked_from(camera, background=wrong), subject.photographs)
