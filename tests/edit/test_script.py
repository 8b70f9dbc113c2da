import json
from pathlib import Path

import pytest
import torch

from sfumato.edit.clean import cleaned
from sfumato.edit.script import EDITS, Edit, edit_from_plain, read_script, replay, write_script
from sfumato.edit.selections import TESTS, selection_from_plain, selection_from_text
from sfumato.errors import ConfigError, FormatError, SfumatoError
from sfumato.scene import changes
from sfumato.scene.files import save
from support.editable import assert_same, crowd, scene_of

BOX = {"box": {"low": [-1, -1, -1], "high": [1, 1, 1]}}
PINHOLE = {
    "camera_from_world": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 5], [0, 0, 0, 1]],
    "focal_px": [90, 80],
    "centre_px": [50, 40],
}
EVERY_EDIT = [
    {"do": "keep", "where": {"or": [BOX, {"not": {"sphere": {"centre": [0, 0, 0], "radius": 2}}}]}},
    {"do": "delete", "where": {"and": [{"opacity": {"high": 0.2}}, {"size": {"low": 0.1}}]}},
    {"do": "clean", "reach": 3, "members": 2},
    {"do": "translate", "by": [1, 2, 3]},
    {"do": "rotate", "degrees": [0, 90, 0], "where": BOX},
    {"do": "scale", "factor": 2},
    {"do": "transform", "matrix": [[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]},
    {"do": "duplicate", "by": [0, 1, 0], "where": {"plane": {"normal": [0, 1, 0], "offset": 0}}},
    {"do": "paint", "rgb": [1, 0, 0], "where": {"colour": {"rgb": [0, 0, 0], "within": 0.5}}},
    {"do": "tint", "gain": [1, 1, 0.5], "where": {"largest": {"link": 1}}},
    {"do": "saturate", "factor": 0.5, "where": {"cluster": {"near": [0, 0, 0], "link": 1}}},
    {"do": "fade", "factor": 0.5, "where": {"floaters": {}}},
    {"do": "delete", "where": {"polygon": {**PINHOLE, "points_px": [[0, 0], [9, 0], [0, 9]]}}},
    {"do": "fade", "factor": 0.9, "where": {"brush": {**PINHOLE, "radius_px": 2, "points_px": [[50, 50]]}}},
    {"do": "degree", "degree": 1},
    {"do": "add", "file": "other.ply"},
]


def write(path, edits):
    path.write_text(json.dumps({"version": 1, "edits": edits}))
    return path


def test_every_edit_and_every_selection_is_tried():
    assert {edit["do"] for edit in EVERY_EDIT} == set(EDITS)
    assert all(f'"{name}"' in json.dumps(EVERY_EDIT) for name in TESTS if name != "masks")


def test_a_script_written_and_read_does_the_same(tmp_path):
    save(crowd(7, degree=2, seed=5), tmp_path / "other.ply")
    scene = crowd()
    edits = read_script(write(tmp_path / "edits.json", EVERY_EDIT))
    (tmp_path / "deeper").mkdir()
    write_script(tmp_path / "deeper/again.json", edits)
    again = read_script(tmp_path / "deeper/again.json")
    stored = json.loads((tmp_path / "deeper/again.json").read_text())
    assert stored["edits"][-1] == {"do": "add", "file": "../other.ply"}
    first, second = replay(scene, edits), replay(scene, again)
    assert len(first) > 7
    assert_same(first, second, rtol=0, atol=0)


def test_edits_call_the_functions_of_the_same_names():
    scene = crowd()
    box = selection_from_plain(BOX, "here")
    inside = box.mask(scene)
    assert 5 < int(inside.sum()) < len(scene)
    assert_same(Edit("keep", {}, box)(scene), scene.select(inside), rtol=0, atol=0)
    assert_same(Edit("delete", {}, box)(scene), scene.select(~inside), rtol=0, atol=0)
    assert_same(Edit("clean", {})(scene), cleaned(scene), rtol=0, atol=0)
    turned = Edit("rotate", {"degrees": (10, 20, 30)})(scene)
    assert_same(turned, changes.transformed(scene, changes.rotation((10, 20, 30))), rtol=0, atol=0)


def test_unselected_gaussians_are_not_moved():
    scene = crowd()
    box = selection_from_plain(BOX, "here")
    inside = box.mask(scene)
    moved = Edit("translate", {"by": (5.0, 0.0, 0.0)}, box)(scene)
    assert_same(moved.select(~inside), scene.select(~inside), rtol=0, atol=0)
    torch.testing.assert_close(moved.means[inside], scene.means[inside] + torch.tensor([5.0, 0, 0]))
    doubled = Edit("duplicate", {"by": (5.0, 0.0, 0.0)}, box)(scene)
    assert len(doubled) == len(scene) + int(inside.sum())
    flat = Edit("degree", {"degree": 0}, box)(scene)
    assert flat.sh_degree == 3 and not flat.sh[inside, 1:].any() and flat.sh[~inside, 1:].all()


def test_edits_do_not_change_their_input():
    scene, before = crowd(), crowd()
    for plain in EVERY_EDIT[:-1]:
        edit_from_plain(plain, "here")(scene)
    assert_same(scene, before, rtol=0, atol=0)


def test_command_line_edits_equal_json_edits():
    for words, plain in (
        ("box:-1,-1,-1,1,1,1", BOX),
        ("not sphere:0,0,0,2", {"not": {"sphere": {"centre": [0, 0, 0], "radius": 2}}}),
        ("opacity:..0.5", {"opacity": {"high": 0.5}}),
        ("opacity:0.5..", {"opacity": {"low": 0.5}}),
        ("size:1e-3..0.5", {"size": {"low": 0.001, "high": 0.5}}),
        ("floaters", {"floaters": {}}),
        ("floaters:members=5", {"floaters": {"members": 5}}),
        ("masks:a/b,c", {"masks": {"data": "a/b", "masks": "c"}}),
        (
            "size:..1 and not opacity:..0.5 or largest:2",
            {
                "or": [
                    {"and": [{"size": {"high": 1}}, {"not": {"opacity": {"high": 0.5}}}]},
                    {"largest": {"link": 2}},
                ]
            },
        ),
    ):
        assert selection_from_text(words, "--keep") == selection_from_plain(plain, "here")
        assert selection_from_text(words, "--keep").plain() == plain


def test_paths_are_relative_to_the_script(tmp_path):
    where = {"masks": {"data": "set", "masks": "marks"}}
    (edit,) = read_script(write(tmp_path / "edits.json", [{"do": "keep", "where": where}]))
    assert edit.where.values["data"] == tmp_path / "set"
    with pytest.raises(SfumatoError, match="set"):
        edit(scene_of([[0, 0, 0]]))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ("rotate", "'do'|\"do\""),
        ({"do": "twist"}, "no edit 'twist'.*rotate"),
        ({"do": ["keep"]}, "no edit"),
        ({"do": "keep"}, "needs a selection"),
        ({"do": "rotate"}, "lacks 'degrees'"),
        ({"do": "rotate", "degrees": [1, 2]}, "degrees must be a list of 3"),
        ({"do": "rotate", "degrees": [1, 2, "x"]}, "not a finite number"),
        ({"do": "rotate", "degrees": [1, 2, True]}, "not a finite number"),
        ({"do": "rotate", "degrees": [1, 2, float("nan")]}, "not a finite number"),
        ({"do": "rotate", "degrees": [1, 2, 10**400]}, "not a finite number"),
        ({"do": "rotate", "degrees": [1, 2, 3], "speed": 1}, "no 'speed'"),
        ({"do": "degree", "degree": 1.5}, "whole"),
        ({"do": "add", "file": 3}, "file must be a path"),
        ({"do": "transform", "matrix": [[1, 2], [3, 4]]}, "4 lists"),
        ({"do": "keep", "where": {}}, "one key"),
        ({"do": "keep", "where": {"box": {}, "sphere": {}}}, "one key"),
        ({"do": "keep", "where": {"cone": {}}}, "no selection 'cone'"),
        ({"do": "keep", "where": {"and": []}}, "list"),
        ({"do": "keep", "where": {"box": [1]}}, "object"),
    ],
)
def test_broken_edits_are_named(tmp_path, edit, words):
    path = write(tmp_path / "edits.json", [{"do": "clean"}, edit])
    with pytest.raises(ConfigError, match=words) as error:
        read_script(path)
    assert "\n" not in str(error.value)


def test_selections_nested_without_end_are_refused():
    nested = BOX
    for _ in range(200):
        nested = {"not": nested}
    with pytest.raises(ConfigError, match="deep"):
        selection_from_plain(nested, "here")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 2, "edits": []}', '{"version": 1}', "[" * 10**5]
)
def test_files_that_are_no_script_are_refused(tmp_path, text):
    path = tmp_path / "edits.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=r"edits\.json"):
        read_script(path)


def test_a_missing_script_is_refused():
    with pytest.raises(ConfigError, match="nix"):
        read_script(Path("nix.json"))


@pytest.mark.parametrize(
    "text", ["box", "box:1,2,3", "box:1,2,3,4,5,6,7", "opacity:a..b", "nix:1", "", "not "]
)
def test_words_that_are_no_selection_are_refused(text):
    with pytest.raises(ConfigError, match="--keep"):
        selection_from_text(text, "--keep")
