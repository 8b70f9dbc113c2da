"""What files say of a scene beside its Gaussians: read, written, carried, and where scenes disagree."""

import json
import logging
import zipfile

import pytest
import torch

from sfumato import RasterSettings, rasterize
from sfumato.edit import recolour
from sfumato.errors import FormatError, ShapeError
from sfumato.scene import changes
from sfumato.scene.files import load, save
from sfumato.scene.scene import Metadata, Scene, metadata_of, with_metadata
from support.ply_files import columns_of, random_scene, write
from support.scene_files import blob, camera

UP = (0.0, 0.6, -0.8)


@pytest.mark.parametrize(
    "suffix", ["ply", "compressed.ply", "spz", "sog", "json", "glb", "gltf", "usda", "usdz"]
)
@pytest.mark.parametrize("antialiased", [False, True])
def test_files_say_whether_a_scene_is_for_anti_aliased_rendering(tmp_path, suffix, antialiased):
    if suffix.startswith("usd"):
        pytest.importorskip("pxr")
    scene = with_metadata(blob(20, 0), Metadata(antialiased=antialiased))
    path = tmp_path / ("meta.json" if suffix == "json" else f"a.{suffix}")
    save(scene, path)
    assert load(path).metadata.antialiased is antialiased


def test_an_option_overrules_what_the_scene_says(tmp_path):
    scene = with_metadata(blob(20, 0), Metadata(antialiased=True))
    for suffix in ("spz", "sog"):
        save(scene, tmp_path / f"a.{suffix}", antialiased=False)
        assert not load(tmp_path / f"a.{suffix}").metadata.antialiased


@pytest.mark.parametrize(
    ("comments", "antialiased"),
    [
        (["SplatRenderMode: mip"], True),
        (["splatrendermode: Mip"], True),
        (["SplatRenderMode: default"], False),
        (["SplatRenderMode: 2dgs"], False),
        (["antialiased 1"], True),
        (["antialiased 0"], False),
        (["antialiased 0", "SplatRenderMode: mip"], True),
        (["SplatRenderMode: mip", "antialiased 0"], False),
        (["not antialiased 1", "antialiased 10", "made by somebody"], False),
    ],
)
def test_comments_of_other_programs_are_understood(tmp_path, comments, antialiased):
    before = "".join(f"comment {text}\n" for text in comments)
    path = write(tmp_path / "a.ply", columns_of(random_scene(3, 0)), before=before)
    assert load(path).metadata.antialiased is antialiased
    save(load(path), tmp_path / "b.compressed.ply")
    assert load(tmp_path / "b.compressed.ply").metadata.antialiased is antialiased


@pytest.mark.parametrize(
    ("text", "up"),
    [
        ("Vertical Axis: z", (0, 0, 1)),
        ("Vertical axis: -y", (0, -1, 0)),
        ("Vertical axis: 0 0 -2", (0, 0, -1)),
        ("Vertical axis: y", None),
        ("Vertical axis: 0 0 0", None),
        ("Vertical axis: nan 0 1", None),
        ("Vertical axis: 1 2", None),
    ],
)
def test_the_vertical_axis_is_read_where_it_has_a_sign(tmp_path, text, up):
    path = write(tmp_path / "a.ply", columns_of(random_scene(3, 0)), before=f"comment {text}\n")
    assert load(path).metadata.up == up


def test_a_ply_keeps_all_that_is_known(tmp_path):
    known = Metadata(True, UP, 0.01)
    save(with_metadata(blob(5, 0), known), tmp_path / "a.ply")
    got = load(tmp_path / "a.ply").metadata
    assert (got.antialiased, got.metres_per_unit) == (True, 0.01) and got.up == pytest.approx(UP)
    assert b"comment SplatRenderMode: mip\n" in (tmp_path / "a.ply").read_bytes()
    save(blob(5, 0), tmp_path / "b.ply")
    written = (tmp_path / "b.ply").read_bytes()
    assert [line.split()[1] for line in written.split(b"\n") if line.startswith(b"comment")] == [b"crc32"]


def test_a_filter_beside_the_scales_makes_a_scene_for_anti_aliased_rendering(tmp_path):
    columns = columns_of(random_scene(3, 0))
    filtered = columns | {"filter_3D": 0.1 * abs(columns["x"])}
    assert load(write(tmp_path / "a.ply", filtered)).metadata.antialiased
    plain = write(tmp_path / "b.ply", filtered, before="comment SplatRenderMode: default\n")
    assert not load(plain).metadata.antialiased


def test_sog_of_splat_transform_names_its_model(tmp_path):
    save(blob(20, 0), tmp_path / "a.sog")
    with zipfile.ZipFile(tmp_path / "a.sog") as old, zipfile.ZipFile(tmp_path / "b.sog", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "meta.json":
                data = json.dumps(json.loads(data) | {"model": "antialiased"})
            new.writestr(name, data)
    assert load(tmp_path / "b.sog").metadata.antialiased


def test_units_and_axes_of_usd_are_kept(tmp_path):
    pytest.importorskip("pxr")
    save(with_metadata(blob(5, 0), Metadata(metres_per_unit=0.01)), tmp_path / "a.usda")
    assert "metersPerUnit = 0.01" in (tmp_path / "a.usda").read_text()
    assert load(tmp_path / "a.usda").metadata == Metadata(False, (0.0, -1.0, 0.0), 0.01)
    save(blob(5, 0), tmp_path / "b.usda")
    assert "metersPerUnit = 1" in (tmp_path / "b.usda").read_text()


@pytest.mark.parametrize(
    ("suffix", "known", "said"),
    [
        ("splat", Metadata(antialiased=True), ".splat does not say that a scene is made for anti-aliased"),
        ("glb", Metadata(antialiased=True), "glTF does not say"),
        ("glb", Metadata(up=(0.0, 0.0, 1.0)), "takes (0, -1, 0) for up, which in this scene is (0, 0, 1)"),
        ("glb", Metadata(metres_per_unit=0.01), "sfumato edit --scale 0.01"),
        ("glb", Metadata(up=(0.0, -0.999, 0.04), metres_per_unit=1.0), None),
        ("ply", Metadata(True, UP, 0.01), None),
        ("spz", Metadata(True, UP, 0.01), None),
        ("sog", Metadata(True, UP, 0.01), None),
    ],
)
def test_what_a_format_has_no_place_for_is_said(tmp_path, suffix, known, said, caplog):
    with caplog.at_level(logging.WARNING, "sfumato"):
        save(with_metadata(blob(20, 0), known), tmp_path / f"a.{suffix}")
    assert (said in caplog.text) if said else not caplog.records


def test_a_scene_is_drawn_as_it_says_unless_told_otherwise():
    # Small ones: there the filter tells.
    scene = blob(200, 0).map(lambda tensor: tensor)
    scene.log_scales.sub_(3)
    mip = with_metadata(scene, Metadata(antialiased=True))
    plain, filtered = (
        rasterize(scene, camera(), RasterSettings(antialiased=wished)).image for wished in (False, True)
    )
    assert not torch.allclose(plain, filtered, atol=0.05)
    assert torch.equal(rasterize(scene, camera()).image, plain)
    assert torch.equal(rasterize(mip, camera()).image, filtered)
    assert torch.equal(rasterize(mip, camera(), RasterSettings(antialiased=False)).image, plain)


def test_edits_carry_what_is_known_and_turn_what_is_up():
    scene = with_metadata(blob(6, 1), Metadata(True, (0.0, -1.0, 0.0), 2.0))
    turned = changes.transformed(scene, changes.rotation((90, 0, 0)))
    assert turned.metadata == Metadata(True, (0.0, 0.0, -1.0), 2.0)
    moved = changes.transformed(scene, changes.translation((1, 2, 3)))
    for changed in (moved, recolour.faded(scene, 0.5), changes.with_degree(scene, 3), scene.select([1, 2])):
        assert changed.metadata == scene.metadata
    assert changes.merged(scene, moved).metadata == scene.metadata


def test_scenes_that_disagree_are_named(caplog):
    one = with_metadata(blob(3, 0), Metadata(True, None, 1.0))
    other = with_metadata(blob(3, 0), Metadata(False, UP, 2.0))
    with caplog.at_level(logging.WARNING, "sfumato"):
        whole = changes.merged(one, other)
    assert whole.metadata == Metadata(True, UP, 1.0)
    assert (
        "1 of 2 are made for anti-aliased rendering" in caplog.text and "length of their unit" in caplog.text
    )
    assert "up" not in caplog.text.replace("sfumato", "")
    caplog.clear()
    assert metadata_of(changes.merged(blob(3, 0), blob(2, 0))) == Metadata() and not caplog.records


def moving(n=5):
    """A scene of one moment, whose Gaussians can be told from each other at the next."""
    return Scene(**blob(n, 1).tensors(), metadata=Metadata(time=0.1), identities=10 * torch.arange(n) + 2**30)


def test_identities_stay_with_their_gaussians():
    scene = moving()
    assert scene.select(torch.tensor([3, 1])).identities.tolist() == [2**30 + 30, 2**30 + 10]
    assert scene.select(scene.identities > 2**30 + 20).identities.tolist() == [2**30 + 30, 2**30 + 40]
    for other in (scene.detach(), scene.to(torch.float64), with_metadata(scene, Metadata())):
        assert torch.equal(other.identities, scene.identities)
    turned = changes.transformed(scene, changes.rotation((0, 90, 0)))
    assert torch.equal(turned.identities, scene.identities) and turned.metadata.time == 0.1
    assert changes.merged(scene, scene).identities is None
    assert changes.merged(scene, scene).metadata.time == 0.1


@pytest.mark.parametrize("bad", [torch.arange(4), torch.arange(5.0), torch.zeros(5, 1, dtype=torch.int64)])
def test_identities_are_a_whole_number_for_each_gaussian(bad):
    with pytest.raises(ShapeError, match="identities"):
        Scene(**blob(5, 1).tensors(), identities=bad)


def test_a_ply_keeps_identities_and_time_to_the_bit(tmp_path):
    save(moving(), tmp_path / "a.ply")
    back = load(tmp_path / "a.ply")
    assert torch.equal(back.identities, moving().identities) and back.metadata.time == 0.1
    assert all(torch.equal(back.tensors()[name], tensor) for name, tensor in moving().tensors().items())
    save(blob(5, 1), tmp_path / "still.ply")
    assert load(tmp_path / "still.ply").identities is None
    assert b"identity" not in (tmp_path / "still.ply").read_bytes()


@pytest.mark.parametrize("identity", [-1, 2**31])
def test_identities_that_do_not_fit_are_no_others(tmp_path, identity):
    scene = Scene(**blob(2, 0).tensors(), identities=torch.tensor([0, identity]))
    with pytest.raises(FormatError, match="identities are 0 to"):
        save(scene, tmp_path / "a.ply")


@pytest.mark.parametrize(("suffix", "says"), [("spz", 2), ("compressed.ply", 1), ("splat", 2)])
def test_formats_without_a_place_for_motion_say_so(tmp_path, suffix, says, caplog):
    save(moving(), tmp_path / f"a.{suffix}")
    lost = [text for text in caplog.messages if "identities" in text or "moment" in text]
    assert len(lost) == says
