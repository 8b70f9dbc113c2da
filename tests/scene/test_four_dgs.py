"""The compact format of dynamic scenes: precision, bytes, and refusal of invalid files."""

import dataclasses
import io
import json
import math
import zipfile
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings

import sfumato
from sfumato.errors import ConfigError, FormatError
from sfumato.scene.files import load, save
from sfumato.scene.files.dynamic_files import holds_motion, load_dynamic, save_dynamic
from support.moving_scenes import brief_scene
from support.scene_files import assert_scene_or_format_error, changed, changes

NAMES = ["meta.json", "scene.spz", "motion.bin"]


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The bytes of a small file."""
    path = tmp_path_factory.mktemp("4dgs") / "a.4dgs"
    save_dynamic(brief_scene(), path)
    return path.read_bytes()


@pytest.fixture
def members(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archived(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def with_meta(path, members, **values):
    meta = {**json.loads(members["meta.json"]), **values}
    return archived(path, {**members, "meta.json": json.dumps(meta).encode()})


def test_poses_lifetimes_and_times_come_back(tmp_path):
    scene = brief_scene()
    save_dynamic(scene, tmp_path / "a.4dgs")
    back = load_dynamic(tmp_path / "a.4dgs")
    assert torch.equal(back.birth, scene.birth) and torch.equal(back.death, scene.death)
    assert torch.equal(back.times, scene.times)
    assert back.ids.tolist() == list(range(len(scene) - len(scene.ids), len(scene)))
    exists = scene.means.isfinite().all(2)
    assert torch.equal(back.means.isfinite().all(2), exists)
    box = scene.means[exists]
    quantum = float((box.amax(0) - box.amin(0)).max()) / 65535
    # Half a quantum, and float32 rounding errors at the size of the box.
    assert (back.means - scene.means)[exists].abs().max() < 0.5 * quantum + 1e-6
    cosine = (back.quats * scene.quats).sum(2)[exists].abs()
    # Each of four components has an error of at most half a step of 1/2047.
    assert torch.acos(cosine.clamp(max=1)).max() < 2 * 0.5 / 2047 + 1e-3


def test_gaussians_are_those_of_an_spz_file(tmp_path):
    scene = brief_scene()
    save_dynamic(scene, tmp_path / "a.4dgs")
    back = load_dynamic(tmp_path / "a.4dgs").gaussians
    still = [row for row in range(len(scene)) if row not in scene.ids.tolist()]
    order = torch.tensor([*still, *scene.ids.tolist()])
    save(scene.gaussians.select(order), tmp_path / "a.spz")
    expected = load(tmp_path / "a.spz")
    for name in ("log_scales", "logit_opacities", "sh"):
        assert torch.equal(getattr(back, name), getattr(expected, name))
    assert torch.equal(back.means[: len(still)], expected.means[: len(still)])
    # At the first step of each, with the precision of any step.
    torch.testing.assert_close(back.means, scene.gaussians.means[order], atol=2e-4, rtol=0)


def test_the_bytes_agree_with_the_documentation(members):
    """Decoded by a few lines written from the documentation."""
    scene = brief_scene()
    assert list(members) == NAMES
    meta = json.loads(members["meta.json"])
    assert meta["format"] == "sfumato-4dgs" and meta["version"] == 1
    assert (meta["gaussians"], meta["moving"], meta["times"]) == (9, 6, scene.times.tolist())
    assert meta["fps"] == pytest.approx(1 / float(scene.times.diff().median()), rel=0.2)
    data = zlib.decompress(members["motion.bin"])
    m, t = 6, 5
    assert len(data) == 4 * m + t * m * (6 + 8)
    assert np.frombuffer(data[:24], "<u2").tolist() == [*scene.birth.tolist(), *scene.death.tolist()]
    low, high = data[24 : 24 + m], data[24 + m : 24 + 2 * m]
    x = [meta["origin"][0] + meta["quantum"] * (a + 256 * b) for a, b in zip(low, high, strict=True)]
    for column in (0, 2, 3, 4, 5):
        assert x[column] == pytest.approx(float(scene.means[0, column, 0]), abs=meta["quantum"])
    assert low[1] == high[1] == 0, "a Gaussian that is not born yet has no difference"
    start = 24 + 6 * m * t
    w = [a + 256 * b for a, b in zip(data[start : start + m], data[start + m :], strict=False)]
    w = [(value - 65536 if value >= 32768 else value) / 2047 for value in w[:m]]
    assert w[0] == pytest.approx(float(scene.quats[0, 0, 0]), abs=1 / 2047)
    second = start + 8 * m
    later = data[second] + 256 * data[second + m]
    later = w[0] + (later - 65536 if later >= 32768 else later) / 2047
    assert abs(later) == pytest.approx(abs(float(scene.quats[1, 0, 0])), abs=1 / 2047)


def test_signs_of_rotations_do_not_jump(tmp_path):
    scene = brief_scene()
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0])[:, None, None]
    save_dynamic(dataclasses.replace(scene, quats=scene.quats * signs), tmp_path / "a.4dgs")
    back = load_dynamic(tmp_path / "a.4dgs").quats
    dots = (back[1:] * back[:-1]).sum(2)
    assert (dots[dots.isfinite()] > 0).all()


def test_the_same_scene_gives_the_same_bytes(tmp_path, content):
    save_dynamic(brief_scene(), tmp_path / "b.4dgs")
    assert (tmp_path / "b.4dgs").read_bytes() == content


@pytest.mark.parametrize("moving", [0, 1])
def test_few_moving_gaussians_and_a_single_step(tmp_path, moving):
    scene = brief_scene()
    one = dataclasses.replace(
        scene, ids=scene.ids[:moving], times=scene.times[:1], means=scene.means[:1, :moving],
        quats=scene.quats[:1, :moving], birth=scene.birth[:moving], death=scene.birth[:moving] + 1,
    )  # fmt: skip
    save_dynamic(one, tmp_path / "a.4dgs")
    back = load_dynamic(tmp_path / "a.4dgs")
    torch.testing.assert_close(back.means, one.means)
    assert len(back) == 9 and back.num_steps == 1


def test_points_can_be_followed_in_it(tmp_path):
    save_dynamic(brief_scene(), tmp_path / "a.4dgs")
    tracked = sfumato.load_tracked(tmp_path / "a.4dgs")
    points = tracked.means[0, :1]
    torch.testing.assert_close(tracked.track(points, 0)[:, 0], tracked.means[:, 0])


def test_a_folder_is_written_unrounded(tmp_path):
    scene = brief_scene()
    save_dynamic(scene, tmp_path / "folder")
    back = load_dynamic(tmp_path / "folder")
    torch.testing.assert_close(back.means, scene.means, atol=0, rtol=0, equal_nan=True)
    assert torch.equal(back.gaussians.sh, scene.gaussians.sh) and torch.equal(back.ids, scene.ids)


def test_readers_of_still_scenes_say_what_to_do(tmp_path, content):
    (tmp_path / "a.4dgs").write_bytes(content)
    (tmp_path / "renamed.sog").write_bytes(content)
    for name in ("a.4dgs", "renamed.sog"):
        assert holds_motion(tmp_path / name)
        with pytest.raises(FormatError, match=r"is dynamic: sfumato\.load_tracked reads it"):
            load(tmp_path / name)


def test_names_that_tell_no_format_of_motion(tmp_path):
    with pytest.raises(FormatError, match=r"\.spz files hold no motion.*\.4dgs"):
        save_dynamic(brief_scene(), tmp_path / "a.spz")
    with pytest.raises(ConfigError, match="scene"):
        save_dynamic(brief_scene().gaussians, tmp_path / "a.4dgs")
    assert not list(tmp_path.iterdir())


def test_other_files_are_refused(tmp_path):
    save(brief_scene().gaussians, tmp_path / "a.ply")
    assert not holds_motion(tmp_path / "a.ply") and not holds_motion(tmp_path)
    for path in (tmp_path / "a.ply", tmp_path / "none.4dgs", tmp_path):
        with pytest.raises(FormatError, match=r"is not a dynamic scene|missing"):
            load_dynamic(path)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"version": 2}, "version 1 can be read"),
        ({"format": "other"}, "does not say"),
        ({"gaussians": 10}, "declares 10 Gaussians but holds 9"),
        ({"gaussians": 10**30, "moving": 10**30}, "too much"),
        ({"moving": 10}, "declares 9 Gaussians, of which 10 move"),
        ({"moving": -1}, "of which -1 move"),
        ({"moving": True}, "of which True move"),
        ({"moving": 5}, "does not end after|birth or death|ends before"),
        ({"times": []}, "0 times"),
        ({"times": [0, 0, 1, 2, 3]}, "ascending"),
        ({"times": [0, 1, 2, 3]}, "birth or death"),
        ({"times": [*range(6)]}, "ends before"),
        ({"times": [*range(65536)]}, "65536 times"),
        ({"times": [*range(60_000)]}, "too short for"),
        ({"gaussians": 10**7, "moving": 10**6, "times": [*range(300)]}, "too much"),
        ({"times": [0, 1, 2, 3, math.inf]}, "not finite"),
        ({"times": [0, 1, 2, 3, 10**400]}, "not finite"),
        ({"times": "01234"}, "not numbers"),
        ({"origin": [0, 0]}, "origin of 2 numbers"),
        ({"quantum": 0}, "quantum of 0"),
        ({"quantum": None}, "not numbers"),
        ({"quantum": 1e36}, "too large"),
    ],
)
def test_descriptions_that_are_wrong_are_refused(tmp_path, members, values, words):
    with pytest.raises(FormatError, match=words):
        load_dynamic(with_meta(tmp_path / "a.4dgs", members, **values))


@pytest.mark.parametrize("name", NAMES)
def test_missing_or_truncated_members_are_refused(tmp_path, members, name):
    with pytest.raises(FormatError, match=name):
        load_dynamic(archived(tmp_path / "a.4dgs", {k: v for k, v in members.items() if k != name}))
    with pytest.raises(FormatError):
        load_dynamic(archived(tmp_path / "a.4dgs", {**members, name: members[name][:-9]}))


def test_motion_that_is_too_long_or_without_rotation(tmp_path, members):
    data = zlib.decompress(members["motion.bin"])
    start = 24 + 6 * 6 * 5
    for wrong, words in (
        (data + b"\0", "does not end after"),
        (bytes(12) + data[12:24] + data[24:start] + bytes(len(data) - start), "rotation of zeros"),
        (b"\xff" * 24 + data[24:], "birth or death"),
    ):
        with pytest.raises(FormatError, match=words):
            load_dynamic(archived(tmp_path / "a.4dgs", {**members, "motion.bin": zlib.compress(wrong)}))


@pytest.mark.slow
def test_a_short_stream_that_inflates_to_a_lot(tmp_path, members):
    """A hundred megabytes of zeros after the declared data."""
    bomb = zlib.compress(zlib.decompress(members["motion.bin"]) + bytes(100 << 20))
    with pytest.raises(FormatError, match="does not end after"):
        load_dynamic(archived(tmp_path / "a.4dgs", {**members, "motion.bin": bomb}))


@settings(max_examples=40)
@given(edits=changes)
def test_damaged_files(tmp_path_factory, content, edits):
    path = tmp_path_factory.getbasetemp() / "damaged.4dgs"
    path.write_bytes(changed(content, edits))
    assert_scene_or_format_error(lambda path: load_dynamic(path).gaussians, path)


@settings(max_examples=40)
@given(edits=changes)
def test_damaged_members(tmp_path_factory, content, edits):
    """With valid checksums of the archive and of the stream."""
    path = tmp_path_factory.getbasetemp() / "damaged.4dgs"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    motion = changed(zlib.decompress(members["motion.bin"]), edits)
    archived(path, {**members, "motion.bin": zlib.compress(motion)})
    assert_scene_or_format_error(lambda path: load_dynamic(path).gaussians, path)
    archived(path, {**members, "meta.json": changed(members["meta.json"], edits)})
    assert_scene_or_format_error(lambda path: load_dynamic(path).gaussians, path)
