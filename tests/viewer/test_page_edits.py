"""Saving what the page edits: what is written, and what is refused."""

import http.client
import json

import pytest
import torch

from sfumato.edit.script import read_script, replay
from sfumato.errors import ConfigError, SfumatoError
from sfumato.scene.files import load, save
from sfumato.viewer.page_edits import SAVE, EditedScenes, free_names, offer_saving, read_edits
from sfumato.viewer.server import HOST, PageServer
from support.editable import assert_same, crowd

BOX = {"box": {"low": [-1, -1, -1], "high": [1, 1, 1]}}
KEEP = {"version": 1, "edits": [{"do": "keep", "where": BOX}]}


@pytest.fixture
def scene(tmp_path):
    save(crowd(), tmp_path / "cup.ply")
    return load(tmp_path / "cup.ply")


def post(server, body, **headers):
    connection = http.client.HTTPConnection(HOST, server.port, timeout=10)
    own = {"Origin": f"http://{HOST}:{server.port}", "X-Sfumato": "page", **headers}
    connection.request("POST", f"/{server.token}/{SAVE}", body, own)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_scene_and_script_are_written_beside_the_file_and_nothing_is_replaced(tmp_path, scene):
    with PageServer() as server:
        offer_saving(server, tmp_path / "cup.ply", scene, lambda: None)
        status, body = post(server, json.dumps(KEEP))
        again = json.loads(post(server, json.dumps(KEEP))[1])
    told = json.loads(body)
    assert status == 200 and told["scene"] == str(tmp_path / "cup-edited.ply")
    assert again["scene"] == str(tmp_path / "cup-edited-2.ply")
    edits = read_script(tmp_path / "cup-edits.json")
    saved = load(tmp_path / "cup-edited.ply")
    assert 0 < len(saved) == told["count"] < len(scene)
    assert_same(saved, replay(scene, edits), rtol=0, atol=0)


def test_floaters_are_those_that_the_page_shows(tmp_path, scene):
    floating = torch.zeros(len(scene), dtype=torch.bool)
    floating[5:9] = True
    with PageServer() as server:
        offer_saving(server, tmp_path, scene, lambda: floating)
        post(server, json.dumps({"version": 1, "edits": [{"do": "clean"}]}))
    assert_same(load(tmp_path / "scene-edited.ply"), scene.select(~floating), rtol=0, atol=0)


@pytest.mark.parametrize(
    "edit",
    [
        {"do": "add", "file": "/etc/passwd"},
        {"do": "ride", "file": "hat.ply", "where": BOX},
        {"do": "delete", "where": {"masks": {"data": "/etc", "masks": "/etc"}}},
        {"do": "keep", "where": {"not": {"and": [BOX, {"masks": {"data": "a", "masks": "b"}}]}}},
        {"do": "delete", "where": BOX, "at": 0.5},
        {"do": "scale", "factor": 2},
        {"do": "keep"},
        {"do": "keep", "where": {"sphere": {"centre": [1e400, 0, 0], "radius": 1}}},
        7,
    ],
)
def test_edits_of_other_kinds_are_refused(edit):
    with pytest.raises(ConfigError):
        read_edits(json.dumps({"version": 1, "edits": [edit]}).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b"{}",
        b'{"version": 1, "edits": []}',
        b'{"version": 1, "edits": {"do": "clean"}}',
        json.dumps({"version": 1, "edits": [{"do": "clean"}] * 1001}).encode(),
    ],
)
def test_what_is_no_script_is_refused(body):
    with pytest.raises(SfumatoError) as error:
        read_edits(body)
    assert "\n" not in str(error.value)


def test_hostile_requests_write_nothing(tmp_path, scene, caplog):
    everything = {"version": 1, "edits": [{"do": "delete", "where": {"opacity": {}}}]}
    before = sorted(tmp_path.iterdir())
    with PageServer() as server:
        offer_saving(server, tmp_path / "cup.ply", scene, lambda: None)
        assert post(server, json.dumps(everything))[0] == 400
        assert post(server, b"{" * 5000)[0] == 400
        assert post(server, json.dumps(KEEP), Origin="http://evil.example")[0] == 403
        assert post(server, b"", **{"Content-Length": str((1 << 22) + 1)})[0] == 413
        # Who does not know the address may send no more than a little.
        assert server.most_bytes("/x/save") == server.most_bytes(f"/{server.token}/exact") == 1024
    assert sorted(tmp_path.iterdir()) == before
    assert "leave nothing" in caplog.text


def test_edited_scenes_are_known_by_their_digest(scene):
    scenes = EditedScenes(scene)
    body = json.dumps(KEEP).encode()
    digest = scenes.take(body).data.decode()
    assert scenes.take(body).data.decode() == digest and scenes.of("") is scene
    edited = scenes.of(digest)
    deleted = {"version": 1, "edits": [{"do": "delete", "where": BOX}]}
    rest = scenes.of(scenes.take(json.dumps(deleted).encode()).data.decode())
    assert torch.equal(scene.means[rest.identities], rest.means) and len(rest) + len(edited) == len(scene)
    assert_same(edited, replay(scene, read_edits(body)), rtol=0, atol=0)
    # Each keeps its number, by which it is known whether it is a floater.
    assert torch.equal(scene.means[edited.identities], edited.means)
    for number in range(4):
        low, high = [-9.0 - number] * 3, [9.0] * 3
        edit = {"do": "keep", "where": {"box": {"low": low, "high": high}}}
        scenes.take(json.dumps({"version": 1, "edits": [edit]}).encode())
    with pytest.raises(ConfigError, match="post them again"):
        scenes.of(digest)


def test_a_run_is_saved_in_its_folder(tmp_path):
    ends = ("edited.ply", "edits.json")
    assert free_names(tmp_path, ends)[0] == tmp_path / "scene-edited.ply"
    (tmp_path / "scene-edits.json").write_text("mine")
    assert free_names(tmp_path, ends) == [tmp_path / "scene-edited-2.ply", tmp_path / "scene-edits-2.json"]
