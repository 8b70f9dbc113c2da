"""Edits of dynamic scenes: a selection at one moment applies to all times."""

import json
from dataclasses import replace

import pytest
import torch

from sfumato.cli import main
from sfumato.edit.leaders import leaders
from sfumato.edit.script import ARGUMENTS, EDITS, Edit, edit_from_plain, read_script, replay, write_script
from sfumato.errors import ConfigError
from sfumato.maths.sh import SH_C0
from sfumato.scene import changes
from sfumato.scene.dynamic_changes import composed
from sfumato.scene.files import load, save
from sfumato.scene.files.dynamic_files import load_dynamic, save_dynamic
from sfumato.scene.scene import Metadata, metadata_of, with_metadata
from support.moving_scenes import MOVING, brief_scene, tracked_scene

# Around the ball at the first step, and around where it is at the last.
BALL = {"sphere": {"centre": [0, 0, 0], "radius": 1}}
LATER = {"sphere": {"centre": [0.24, 0.09, -0.15], "radius": 1}}


def edited(scene, **plain):
    return edit_from_plain(plain, "here")(scene)


def test_deleting_and_keeping_apply_to_all_times():
    scene = tracked_scene()
    without = edited(scene, do="delete", where=BALL)
    assert len(without.ids) == 0 and len(without) == len(scene) - MOVING
    ball = edited(scene, do="keep", where=LATER, at=0.1)
    assert len(ball) == len(ball.ids) == MOVING
    torch.testing.assert_close(ball.means, scene.means)


def test_selections_are_made_at_their_moment():
    """The ball moves through a box, so other rows are inside at the end than at the beginning."""
    scene = tracked_scene()
    box = {"box": {"low": [0.5, -9, -9], "high": [2, 9, 9]}}
    first, last = (edited(scene, do="delete", where=box, at=at) for at in (0.0, 0.1))
    for time, some in ((0.0, first), (0.1, last)):
        x = scene.at(time).means[:, 0]
        gone = int(((x >= 0.5) & (x <= 2)).sum())
        assert 0 < gone < len(scene) and len(some) == len(scene) - gone
    assert len(first) != len(last)


def growing_ball():
    """The ball of the tracked scene. Three Gaussians are born in step 1 beside the others, one in step 2
    beside the first of them, and one in step 1 at the wall."""
    scene = tracked_scene()
    means, quats, birth = scene.means.clone(), scene.quats.clone(), scene.birth.clone()
    birth[:3], birth[3] = 1, 2
    means[:, 3] = means[:, 0]
    means[:, 4] = scene.gaussians.means[5]
    birth[4] = 1
    for column in range(5):
        means[: birth[column], column], quats[: birth[column], column] = torch.nan, torch.nan
    scene = replace(scene, means=means, quats=quats, birth=birth)
    return replace(scene, gaussians=scene.at_birth())


def test_gaussians_born_beside_others_belong_to_them():
    scene = growing_ball()
    found = leaders(scene)
    assert (found[:3] >= 5).all(), "the nearest that existed before"
    assert found[3] == 0 and found[4] == -1 and (found[5:] == -1).all()


@pytest.mark.parametrize("at", [0.0, 0.1])
def test_what_is_born_later_is_selected_with_its_object(at):
    scene = growing_ball()
    here = BALL if at == 0.0 else LATER
    without = edited(scene, do="delete", where=here, at=at)
    assert len(without.ids) == 1 and int(without.birth[0]) == 1, "the one beside the wall is left"
    assert len(edited(scene, do="keep", where=here, at=at).ids) == MOVING - 1


def test_what_belongs_to_nothing_is_selected_only_where_it_exists():
    scene = growing_ball()
    everything = {"size": {"low": 0}}
    assert len(edited(scene, do="delete", where=everything)) == 1
    assert len(edited(scene, do="delete", where=everything, at=0.1)) == 0


@pytest.mark.parametrize(
    ("plain", "matrix"),
    [
        ({"do": "translate", "by": [1, 2, 3]}, changes.translation((1, 2, 3))),
        ({"do": "rotate", "degrees": [0, 0, 90]}, changes.rotation((0, 0, 90))),
        ({"do": "scale", "factor": 2}, changes.scaling(2)),
        ({"do": "transform", "matrix": changes.rotation((90, 0, 0)).tolist()}, changes.rotation((90, 0, 0))),
    ],
)
def test_moves_apply_to_whole_tracks(plain, matrix):
    scene = tracked_scene()
    some, everything = edited(scene, **plain, where=BALL), edited(scene, **plain)
    for time in (0.0, 0.05, 0.1):
        now, expected = scene.at(time), changes.transformed(scene.at(time), matrix)
        torch.testing.assert_close(everything.at(time).means, expected.means, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(everything.at(time).quats, expected.quats, atol=1e-5, rtol=1e-5)
        found = some.at(time)
        torch.testing.assert_close(found.means[-MOVING:], expected.means[-MOVING:], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found.log_scales[-MOVING:], expected.log_scales[-MOVING:])
        assert torch.equal(found.means[:-MOVING], now.means[:-MOVING])


def test_only_a_rotation_of_the_whole_scene_rotates_the_up_axis():
    scene = tracked_scene()
    scene = replace(scene, gaussians=with_metadata(scene.gaussians, Metadata(up=(0.0, -1.0, 0.0))))
    turn = {"do": "rotate", "degrees": [0, 0, 90]}
    ups = [metadata_of(edited(scene, **turn, **where).gaussians).up for where in ({}, {"where": BALL})]
    # A quarter turn about z takes -y to x.
    assert ups == [(1.0, 0.0, 0.0), (0.0, -1.0, 0.0)]


def test_a_copy_moves_with_its_original():
    scene = tracked_scene()
    two = edited(scene, do="duplicate", by=[0, 2, 0], where=BALL)
    assert len(two.ids) == 2 * MOVING
    for time in (0.0, 0.08):
        found = two.at(time).means
        expected = found[-2 * MOVING : -MOVING] + torch.tensor([0.0, 2.0, 0.0])
        torch.testing.assert_close(found[-MOVING:], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "plain",
    [
        {"do": "paint", "rgb": [1, 0, 0]},
        {"do": "tint", "gain": [1, 1, 0.5]},
        {"do": "saturate", "factor": 0},
        {"do": "fade", "factor": 0.5},
    ],
)
def test_colours_change_throughout(plain):
    scene = tracked_scene()
    some = edited(scene, **plain, where=BALL)
    expected = edit_from_plain({**plain, "where": BALL}, "here")(scene.gaussians)
    for field in ("sh", "logit_opacities"):
        assert torch.equal(getattr(some.at(0.1), field), getattr(expected, field))
    assert not torch.equal(some.gaussians.sh, scene.gaussians.sh) or plain["do"] == "fade"
    torch.testing.assert_close(some.means, scene.means)


def test_degrees_are_reduced_and_floaters_removed():
    scene = brief_scene()
    assert edited(scene, do="degree", degree=0).gaussians.sh_degree == 0
    corner = {"box": {"low": [8, -9, -9], "high": [9, 9, 9]}}
    far = edited(tracked_scene(), do="duplicate", by=[500, 0, 0], where=corner)
    assert len(far) > len(tracked_scene())
    assert len(edited(far, do="clean")) == len(tracked_scene())


def test_scenes_are_added_and_ride(tmp_path):
    scene, other = tracked_scene(), brief_scene()
    save(other.gaussians, tmp_path / "hat.ply")
    save_dynamic(other, tmp_path / "other")
    still = edited(scene, do="add", file=str(tmp_path / "hat.ply"))
    assert torch.equal(still.ids, scene.ids) and len(still) == len(scene) + 9
    both = edited(scene, do="add", file=str(tmp_path / "other"))
    torch.testing.assert_close(both.at(0.07).means, composed(scene, other).at(0.07).means)
    ridden = edited(scene, do="ride", file=str(tmp_path / "hat.ply"), by=[0, 1, 0], where=BALL)
    first = ridden.at(0.0).means[-9:]
    torch.testing.assert_close(
        first, other.gaussians.means + torch.tensor([0.0, 1.0, 0.0]), atol=1e-5, rtol=0
    )
    centre = scene.means.mean(1)
    near, far = (ridden.means[step, -9:] - centre[step] for step in (0, 3))
    torch.testing.assert_close(near.norm(dim=1), far.norm(dim=1), atol=1e-4, rtol=0)
    assert (near - far).norm(dim=1).max() > 0.1, "it turns with the ball"


def test_a_mesh_rides(tmp_path):
    """A triangle above the ball keeps its place on it."""
    scene = tracked_scene()
    (tmp_path / "hat.obj").write_text("v 0 1 0 1 0 0\nv 0.2 1 0 1 0 0\nv 0 1 0.2 1 0 0\nf 1 2 3\n")
    ridden = edited(scene, do="ride", file=str(tmp_path / "hat.obj"), where=BALL)
    hat = ridden.means[:, MOVING:]
    assert hat.shape[1] > 1000 and torch.allclose(hat[0, :, 1], torch.tensor(1.0), atol=1e-4)
    centre = scene.means.mean(1, keepdim=True)
    torch.testing.assert_close(
        (hat - centre).norm(dim=2)[3], (hat - centre).norm(dim=2)[0], atol=1e-3, rtol=0
    )
    colour = 0.5 + SH_C0 * ridden.gaussians.sh[-hat.shape[1] :, 0]
    assert torch.allclose(colour, torch.tensor([1.0, 0.0, 0.0]), atol=0.01)
    still = edited(scene.gaussians, do="add", file=str(tmp_path / "hat.obj"))
    assert len(still) == len(scene) + hat.shape[1]


def test_time_is_cut():
    scene = tracked_scene()
    some = edited(edited(scene, do="from", seconds=0.02), do="until", seconds=0.08)
    assert (float(some.times[0]), float(some.times[-1])) == (0.02, 0.08)


def test_edits_that_do_not_fit_are_refused():
    still, moving = brief_scene().gaussians, brief_scene()
    with pytest.raises(ConfigError, match="from is for dynamic scenes"):
        edited(still, do="from", seconds=1)
    with pytest.raises(ConfigError, match="at is for dynamic scenes"):
        edited(still, do="fade", factor=1, at=0.5)
    with pytest.raises(ConfigError, match="ride needs a selection"):
        edited(moving, do="ride", file="hat.ply")
    with pytest.raises(ConfigError, match="until is for the whole scene"):
        edited(moving, do="until", seconds=1, where=BALL)
    with pytest.raises(ConfigError, match="5 s: the scene lasts from 0 to"):
        edited(moving, do="fade", factor=1, at=5)
    with pytest.raises(ConfigError, match="added to all of a dynamic scene"):
        edited(moving, do="add", file="hat.ply", where=BALL)
    with pytest.raises(ConfigError, match="not a finite number"):
        edited(moving, do="fade", factor=1, at="now")


def test_scripts_keep_moments_and_paths(tmp_path):
    edits = [
        Edit("delete", {}, edit_from_plain({"do": "delete", "where": BALL}, "here").where, at=0.1),
        edit_from_plain({"do": "until", "seconds": 0.05}, "here"),
    ]
    write_script(tmp_path / "edits.json", edits)
    assert json.loads((tmp_path / "edits.json").read_text())["edits"][0]["at"] == 0.1
    again = replay(tracked_scene(), read_script(tmp_path / "edits.json"))
    assert again.num_steps == 3 and len(again) < len(tracked_scene())
    assert set(ARGUMENTS) > set(EDITS)


def test_the_command_edits_runs_into_any_format(tmp_path, capsys):
    save_dynamic(tracked_scene(), tmp_path / "run")
    save(brief_scene().gaussians, tmp_path / "still.ply")
    words = [
        tmp_path / "run",
        tmp_path / "still.ply",
        "--at",
        "0.1",
        "--delete",
        "sphere:0.24,0.09,-0.15,0.7",
    ]
    words += ["--until", "0.05", "--save-script", tmp_path / "edits.json"]
    assert main(["edit", *map(str, words), "-o", str(tmp_path / "out")]) == 0
    out = load_dynamic(tmp_path / "out")
    assert len(out) < len(tracked_scene()) + 9 - MOVING + 10 and float(out.times[-1]) == 0.05
    assert "at" in json.loads((tmp_path / "edits.json").read_text())["edits"][0]
    script = ["edit", tmp_path / "run", tmp_path / "still.ply", "--script", tmp_path / "edits.json"]
    assert main([*map(str, script), "-o", str(tmp_path / "again.4dgs")]) == 0
    assert len(load_dynamic(tmp_path / "again.4dgs")) == len(out)
    capsys.readouterr()
    assert main(["edit", str(tmp_path / "run"), "-o", str(tmp_path / "a.spz"), "--fade", "1"]) == 2
    assert "hold no motion" in capsys.readouterr().err
    assert main(["edit", str(tmp_path / "still.ply"), "-o", str(tmp_path / "a.ply"), "--until", "1"]) == 2
    assert "until is for dynamic scenes" in capsys.readouterr().err
    assert main(["edit", str(tmp_path / "run"), "-o", str(tmp_path / "out"), "--fade", "1"]) == 2
    assert "exists" in capsys.readouterr().err
    assert len(load(tmp_path / "out" / "scene.ply")) == len(out)
