"""Data of dynamic scenes for the page, and images of our renderer."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.errors import ConfigError
from sfumato.scene.files import four_dgs
from sfumato.scene.files.dynamic_files import save_dynamic
from sfumato.viewer.exact import ExactRenderer, RenderRequest, read_request
from sfumato.viewer.overlays import highlighted
from sfumato.viewer.page import describe, pack_subject
from sfumato.viewer.tracked_subject import moving_subject, open_any
from support.small_moving_scene import MOVING, STEPS, small_moving_scene, small_moving_subject
from support.small_scenes import drawn, psnr


@pytest.fixture(scope="module")
def subject():
    return small_moving_subject()


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture.jpeg)))


def test_moving_gaussians_are_last_and_the_scene_is_unchanged(subject):
    scene, ordered = small_moving_scene(), subject.moving
    assert ordered.ids.tolist() == list(range(80 - MOVING, 80))
    before, now = scene.at(1.6), ordered.at(1.6)
    assert torch.equal(now.means.sort(dim=0)[0], before.means.sort(dim=0)[0])
    assert torch.equal(subject.gaussians.means, ordered.at_birth().means)
    assert subject.gaussians.means.isfinite().all()


def test_only_manifests_of_dynamic_scenes_describe_motion(subject):
    packed = pack_subject(subject)
    motion = describe(subject, packed, None, [0, 3])["motion"]
    assert (motion["count"], motion["still"], motion["photographs"]) == (MOVING, 80 - MOVING, [0, 3])
    assert motion["times"] == subject.moving.times.tolist()
    grid, data = four_dgs.packed_motion(subject.moving)
    assert data == packed.motion[1] and motion["quantum"] == grid.quantum
    still = moving_subject("still", without_motion())
    assert describe(still, pack_subject(still), None)["motion"] is None


def without_motion():
    scene = small_moving_scene()
    none = torch.zeros(0, dtype=torch.int64)
    nowhere = {"means": scene.means[:, :0], "quats": scene.quats[:, :0]}
    return replace(scene, ids=none, birth=none, death=none, **nowhere)


def test_our_renderer_draws_the_requested_time(subject):
    renderer = ExactRenderer(subject.photographs, subject.settings)
    camera = subject.photographs[2].camera
    for time in (1.3, 1.9):
        found = pixels(renderer.render(RenderRequest("colour", camera, time=time), subject.moving))
        assert psnr(found, drawn(small_moving_scene().at(time), camera)) > 33
        assert psnr(found, drawn(small_moving_scene().at(3.2 - time), camera)) < 25


def test_floaters_glow_though_not_all_exist(subject):
    mask = torch.arange(80) % 3 == 0
    renderer = ExactRenderer((), subject.settings, lambda: mask)
    camera = subject.photographs[0].camera
    found = pixels(renderer.render(RenderRequest("colour", camera, floaters=True, time=1.0), subject.moving))
    scene = subject.moving.at(1.0)
    assert len(scene) < 80
    assert psnr(found, drawn(highlighted(scene, mask[scene.identities]), camera)) > 30
    assert psnr(found, drawn(highlighted(scene, mask[: len(scene)]), camera)) < 25


def test_the_error_is_that_of_the_nearest_photograph_in_time(subject):
    renderer = ExactRenderer(subject.photographs, subject.settings)
    request = json.dumps({"show": "error", "camera": 1, "size": [96, 72], "time": 1.74}).encode()
    read = read_request(request, subject.photographs)
    at_once = pixels(renderer.render(read, subject.moving))
    last = pixels(renderer.render(RenderRequest("error", read.camera, 1, time=1.99), subject.moving))
    first = [replace(photograph, pixels_at=()) for photograph in subject.photographs]
    other = ExactRenderer(first, subject.settings)
    wrong = pixels(other.render(read, subject.moving))
    assert max(at_once.mean(), last.mean()) < wrong.mean() - 10


def test_a_missing_photograph_is_replaced_by_the_nearest_step(subject):
    one = subject.photographs[0]
    gaps = replace(one, pixels_at=(None, one.pixels_at[1], None, None, one.pixels_at[4]))
    assert [gaps.at(step) is gaps.pixels_at[1] for step in range(STEPS)] == [True, True, True, False, False]


@pytest.mark.parametrize("time", ["soon", None, [1], 1e999])
def test_an_invalid_time_is_refused(subject, time):
    request = json.dumps({"show": "error", "camera": 1, "size": [96, 72], "time": time}).encode()
    with pytest.raises(ConfigError, match="time"):
        read_request(request, subject.photographs)


def test_dynamic_files_are_opened_and_unsupported_options_refused(tmp_path):
    path = tmp_path / "blobs.4dgs"
    save_dynamic(small_moving_scene(), path)
    opened = open_any(path)
    assert opened.title == "blobs.4dgs" and len(opened.moving.ids) == MOVING and not opened.photographs
    with pytest.raises(ConfigError, match="no dataset"):
        open_any(path, data=tmp_path)
    with pytest.raises(ConfigError, match="--repair"):
        open_any(path, repair=True)
