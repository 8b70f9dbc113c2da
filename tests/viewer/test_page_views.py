"""Saving the view with which a scene opens, from the page."""

import json

import numpy as np
import pytest

from sfumato.errors import FormatError
from sfumato.paths.view_file import read_view
from sfumato.scene.files import save
from sfumato.viewer.extent import place
from sfumato.viewer.opening import opening_of
from sfumato.viewer.page_views import SAVE_VIEW, offer_views
from sfumato.viewer.poster import poster_of
from sfumato.viewer.server import PageServer
from sfumato.viewer.showing import show_path
from sfumato.viewer.subject import open_subject
from support.browser import Browser
from support.small_scenes import small_scene
from support.tool_steps import press_button

KEY = {"position": [0.5, -1, -4], "look_at": [0, 0, 0], "up": [0, -1, 0], "fov_deg": 40}
DOCUMENT = {"version": 1, "keyframes": [KEY]}


@pytest.fixture
def path(tmp_path):
    save(small_scene(), tmp_path / "blobs.ply")
    return tmp_path / "blobs.ply"


def test_the_server_writes_views_and_nothing_else(path):
    server = PageServer()
    offer_views(server, path)
    told = json.loads(server.post(SAVE_VIEW, json.dumps(DOCUMENT).encode()).data)
    assert told["view"] == str(path.with_name("blobs-view.json"))
    assert read_view(path.with_name("blobs-view.json")).fov_deg == 40
    for body in (b"{", b"[]", json.dumps({"version": 1, "keyframes": [{**KEY, "fov_deg": "x"}]}).encode()):
        assert server.post(SAVE_VIEW, body) == 400
    assert read_view(path.with_name("blobs-view.json")).fov_deg == 40


def test_a_scene_opens_with_the_view_beside_it(path):
    path.with_name("blobs-view.json").write_text(json.dumps(DOCUMENT))
    subject = open_subject(path)
    told = opening_of(subject, place(subject.gaussians, []))
    assert told == {
        "first": -1,
        "opening": {"at": [0.5, -1, -4], "to": [0, 0, 0], "fov_deg": 40},
        "fov_deg": 40,
    }
    assert poster_of(subject, {**told, "up": (0.0, -1.0, 0.0)})
    path.with_name("blobs-view.json").write_text("{}")
    with pytest.raises(FormatError, match="is not a file of a view"):
        open_subject(path)


@pytest.mark.browser
@pytest.mark.slow
def test_a_view_saved_in_the_page_is_the_first_one_next_time(path):
    server = PageServer()
    show_path(server, path)
    with server, Browser((900, 560)) as page:
        page.open(server.url)
        page.drag((400, 260), (520, 230))
        page.settle()
        press_button(page, "save-view")
        page.wait("document.getElementById('toast').textContent.startsWith('The scene opens')")
        stood = page.run(
            "[sfumato.camera.position.toArray(), sfumato.camera.quaternion.toArray(), sfumato.fovNow()]"
        )
    view = read_view(path.with_name("blobs-view.json"))
    assert np.allclose(view.fov_deg, stood[2], atol=0.01)
    again = PageServer()
    show_path(again, path)
    with again, Browser((900, 560)) as page:
        page.open(again.url)
        found = page.run(
            "[sfumato.camera.position.toArray(), sfumato.camera.quaternion.toArray(), sfumato.fovNow()]"
        )
    assert np.allclose(stood[0], found[0], atol=2e-3) and abs(stood[2] - found[2]) < 0.01
    # Quaternions of opposite signs are the same rotation.
    assert abs(np.dot(stood[1], found[1])) > 1 - 1e-6
