"""Trust data for the page, and protection against hostile files."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from sfumato.envelope.trust_file import write_trust
from sfumato.paths.best_view import orbit_of_best_view
from sfumato.scene.files import load, save
from sfumato.viewer.extent import place
from sfumato.viewer.opening import opening, opening_of
from sfumato.viewer.page import describe, pack, pack_subject
from sfumato.viewer.subject import open_subject
from sfumato.viewer.trusted import KnownTrust, pack_trust, read_known_trust
from support.small_scenes import small_scene, small_subject
from support.small_trust import small_trust


@pytest.fixture
def folder(tmp_path):
    """A scene with its trust."""
    save(small_scene(), tmp_path / "scene.ply")
    write_trust(small_trust(small_scene()), tmp_path / "trust.npz")
    return tmp_path


def errors_of(payload, means, place):
    """Errors as computed by the page."""
    told, n = payload.manifest, len(means)
    seen = np.frombuffer(payload.data[: 8 * n], "<u8")
    codes = np.frombuffer(payload.data[8 * n :], np.uint8)
    terms = told["term"]["low"] * np.exp(codes * told["term"]["log_step"])
    nearest = np.full(n, told["displacement"]["farthest"])
    for bit, other in enumerate(np.array(told["places"])):
        near = np.minimum(np.linalg.norm(means - place, axis=1), np.linalg.norm(means - other, axis=1))
        away = np.linalg.norm(other - place) / near
        has_seen = (seen >> np.uint64(bit)) & np.uint64(1) == 1
        nearest = np.where(has_seen, np.minimum(nearest, away), nearest)
    value = terms * (nearest + told["displacement"]["offset"]) ** told["displacement"]["exponent"]
    return np.minimum(told["scale"] * value ** told["power"], 1)


def test_the_page_can_compute_the_expected_errors():
    gaussians = small_scene()
    trust = small_trust(gaussians)
    place = torch.tensor([1.0, -2.0, 3.0])
    expected = trust.calibration.expected(trust.values(place)).numpy()
    payload = pack_trust(KnownTrust(trust))
    assert len(payload.data) == 9 * len(gaussians)
    found = errors_of(payload, gaussians.means.double().numpy(), place.double().numpy())
    # Codes are within half a step of the logarithm of the encoded value.
    step = trust.calibration.power * payload.manifest["term"]["log_step"]
    assert np.allclose(np.log(found), np.log(expected), atol=0.51 * step + 1e-4)
    assert expected.max() > 2 * expected.min()


def test_trust_data_has_the_order_of_the_scene(tmp_path):
    gaussians = small_scene()
    for exact_bytes in (0, 1 << 30):
        payload = pack(gaussians, exact_bytes=exact_bytes)
        (tmp_path / f"sent.{payload.type}").write_bytes(payload.data)
        sent = load(tmp_path / f"sent.{payload.type}")
        assert torch.allclose(sent.means, gaussians.means, atol=0.01)


def test_a_scene_file_uses_the_trust_in_its_folder(folder):
    subject = open_subject(folder / "scene.ply")
    manifest = describe(subject, pack_subject(subject), None)
    assert manifest["trust"]["missing"] is None and len(manifest["trust"]["places"]) == 4
    (folder / "scene.ply").rename(folder / "other.ply")
    other = open_subject(folder / "other.ply")
    assert "sfumato eval" in describe(other, pack_subject(other), None)["trust"]["missing"]


def test_trust_of_another_scene_is_ignored(folder, caplog):
    subject = open_subject(folder / "scene.ply")
    assert read_known_trust(folder, small_scene(79), subject.settings) is None
    assert "trust.npz has 80 Gaussians" in caplog.text
    (folder / "trust.npz").write_bytes(b"PK\x03\x04 nothing")
    assert read_known_trust(folder, small_scene(), subject.settings) is None


def test_extreme_numbers_of_a_file_do_not_break_the_page(folder):
    arrays = dict(np.load(folder / "trust.npz"))
    arrays["residuals"][:] = 3e38
    arrays["scale_and_power"][:] = 1e300
    np.savez(folder / "trust.npz", **arrays)
    subject = open_subject(folder / "scene.ply")
    json.dumps(pack_subject(subject).trust.manifest, allow_nan=False)
    arrays["places"][:] = 1e300
    np.savez(folder / "trust.npz", **arrays)
    assert open_subject(folder / "scene.ply").trust is None


def test_sentences_are_bounded(folder):
    good = {"centre": [0, 1, 2], "direction": [0, 0, 3], "says": "Go\n up " + "x" * 10_000}
    bad = [
        {**good, "centre": [0, 1, float("nan")]},
        {**good, "centre": [10**400, 0, 0]},
        {**good, "direction": [0, 0, 0]},
        {**good, "says": 3},
        7,
    ]
    settings = open_subject(folder / "scene.ply").settings

    def read(document):
        (folder / "envelope.json").write_text(json.dumps(document))
        return read_known_trust(folder, small_scene(), settings).next_photographs

    (found,) = read({"next_photographs": [*bad[:4], good]})
    assert found.direction == (0, 0, 1) and found.says.startswith("Go up xxx") and len(found.says) <= 240
    assert len(read({"next_photographs": [good] * 100})) == 5
    for document in ({}, [], {"next_photographs": {}}, {"next_photographs": bad}):
        assert not read(document)


def test_the_page_opens_with_the_least_expected_error():
    subject = small_subject()
    cameras = [(i, photograph.camera) for i, photograph in enumerate(subject.photographs)]
    trust = small_trust(subject.gaussians)
    for only in (0, 2):
        places = cameras[only][1].centre_world[None].float()
        seen = torch.ones(len(subject.gaussians), 1, dtype=torch.bool)
        evidence = replace(trust.evidence, places=places, seen=seen, residuals=torch.full((len(seen),), 0.2))
        assert opening(KnownTrust(replace(trust, evidence=evidence)), cameras, (0.0, 0.0, 0.0)) == only


def test_without_cameras_the_page_opens_with_the_best_view():
    subject = small_subject()
    with_cameras = opening_of(subject, place(subject.gaussians, [p.camera for p in subject.photographs]))
    assert with_cameras["opening"] is None and with_cameras["first"] == 0
    assert with_cameras["fov_deg"] == pytest.approx(2 * np.degrees(np.arctan(36 / 94)))
    bare = replace(subject, photographs=())
    told = opening_of(bare, place(bare.gaussians, []))
    assert told["fov_deg"] is None
    orbit = orbit_of_best_view(bare.gaussians)
    assert told["opening"] == {"at": orbit.start.tolist(), "to": orbit.target.tolist()}
