"""Reductions for a time budget, which an interrupted run keeps when it resumes."""

import json
import re
import shutil
import time
from dataclasses import replace
from itertools import combinations

import numpy as np
import pycolmap
import pytest
from PIL import Image

from sfumato.errors import ConfigError
from sfumato.footage import FrameOptions
from sfumato.sfm import features, matching, pace, pairs
from sfumato.sfm.config import SfmConfig
from sfumato.sfm.mapping import Task, incremental_options
from sfumato.sfm.pace import Costs
from sfumato.sfm.pipeline import structure_from_motion
from sfumato.sfm.time_plan import FEWEST_PICTURES, SfmPlan
from support.compared import descriptors, picture
from support.found import Stop, Watch, dataset
from support.worlds import noise


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Make the probe report a machine of two idle reference cores."""
    monkeypatch.setattr(pace, "probe_s", lambda: pace.PROBE_REFERENCE_S)
    monkeypatch.setattr(pace.machine, "cores", lambda: 2)


def files(folder, count, side=64):
    folder.mkdir(exist_ok=True)
    image = Image.fromarray((noise(0)[:side, :side] * 255).astype(np.uint8)).resize((side, side))
    for number in range(count):
        image.save(folder / f"{number:04d}.png")
    return sorted(folder.iterdir())


def plan(folder, minutes, frames=None):
    return SfmPlan(SfmConfig(minutes=minutes), frames or FrameOptions(), folder / "plan.json")


def test_photographs_are_used_unchanged_if_there_is_time(tmp_path):
    few, many, watch = files(tmp_path / "few", 30), files(tmp_path / "many", 350), Watch()
    assert plan(tmp_path, None).frame_options(many, watch) == FrameOptions()
    assert plan(tmp_path, 4.0).frame_options(few, watch) == FrameOptions()
    short = plan(tmp_path, 1.0).frame_options(many, watch)
    assert 60 < short.max_photos < 250 and short.max_frames is None
    assert plan(tmp_path, 30.0).frame_options(many, watch) == FrameOptions()
    given = FrameOptions(max_photos=340)
    assert plan(tmp_path, 1.0, given).frame_options(many, watch).max_photos == 340
    assert plan(tmp_path, 1.0, given).thinning() is None and plan(tmp_path, 1.0).thinning()
    assert not watch.lines


def test_large_photographs_are_downscaled_before_any_is_dropped(tmp_path):
    path = tmp_path / "large.png"
    Image.new("L", (4000, 3000)).save(path, compress_level=1)
    found = plan(tmp_path, 1.2).frame_options([path] * 80, Watch())
    assert found.max_side_px == 1600 and found.max_photos is None
    assert plan(tmp_path, 5.0).frame_options([path] * 80, Watch()) == FrameOptions()


def test_too_little_time_is_refused_at_once(tmp_path):
    watch = Watch()
    found = plan(tmp_path, 0.05).frame_options(files(tmp_path / "many", 60), watch)
    assert found.max_photos == FEWEST_PICTURES
    (line,) = watch.lines
    assert re.match("there are 0:0[23] for the cameras, and those of 30 pictures take about 0:", line)


def test_a_resumed_run_keeps_its_selection_whatever_the_load(tmp_path, monkeypatch):
    many = files(tmp_path / "many", 350)
    first = plan(tmp_path, 1.0).frame_options(many, Watch())
    again = plan(tmp_path, 1.0)
    again.pace.slowness = 7.0
    assert again.frame_options(many, Watch()) == first
    assert plan(tmp_path, 1.1).frame_options(many, Watch()) != first
    for damage in (b"", b"{", b'{"frames": 3}', b'{"frames": {"for": 1}}'):
        (tmp_path / "plan.json").write_bytes(damage)
        assert plan(tmp_path, 1.0).frame_options(many, Watch()).max_photos == first.max_photos


@pytest.mark.slow
def test_pictures_dropped_for_lack_of_time_return_with_more_time(solved, tmp_path, monkeypatch):
    out, watch = tmp_path / "out", Watch()
    monkeypatch.setattr(pace.Thinning, "is_enough", lambda self, begun, done: begun >= 8)
    config = replace(solved.config, minutes=10.0)
    structure_from_motion([solved.shots.folder], out, config, display=watch)
    (line,) = [line for line in watch.lines if line.startswith("using")]
    assert line.startswith("using 8 of 12 pictures to fit 10 minutes for the cameras")
    found = json.loads((out / "sfm.json").read_text())
    assert found["pictures"] == 8 and len(found["left_out"]) == 4 and not found["missing"]
    assert all(one["reason"] == "left out: no time for its features" for one in found["left_out"])
    assert dataset(out).num_reg_images() == 8 == len(list((out / "images").iterdir()))
    watch = Watch()
    structure_from_motion([solved.shots.folder], out, config, display=watch)
    assert not watch.titles, "no work is repeated"
    with pytest.raises(Stop):
        structure_from_motion(
            [solved.shots.folder], out, replace(config, minutes=20.0), display=Watch("finding features")
        )


def test_the_most_important_pairs_are_matched_first(monkeypatch):
    pictures = [picture(f"p/{number:03d}.jpg") for number in range(24)]
    of = descriptors(pictures, lambda name: int(name[2:5]) % 4)
    found = pairs.choose_pairs(pictures, of, SfmConfig(), exhaustive=True, by_worth=True)
    assert sorted(found) == list(combinations(range(24), 2))
    in_a_row = {(i, i + step) for i in range(24) for step in (1, 2) if i + step < 24}
    assert set(found[: len(in_a_row)]) == in_a_row
    alike = {pair for pair in found if (pair[1] - pair[0]) % 4 == 0}
    places = [found.index(pair) for pair in alike]
    others = [found.index(pair) for pair in set(found) - alike - in_a_row]
    assert np.median(places) < np.median(others)


@pytest.mark.slow
def test_matching_stops_when_time_is_up(solved, tmp_path):
    database = tmp_path / "database.db"
    shutil.copyfile(solved.out / "work/database.db", database)
    with pycolmap.Database.open(database) as opened:
        opened.clear_matches()
        opened.clear_two_view_geometries()
        names = sorted(image.name for image in opened.read_all_images())
    wanted = list(combinations(names, 2))[:48]
    matching.match(database, wanted, tmp_path, lambda *_: None, 0, 2.0, time.monotonic() - 1.0)
    with pycolmap.Database.open(database) as opened:
        assert opened.num_matched_image_pairs() == 24
    matching.match(database, wanted, tmp_path, lambda *_: None, 0, 2.0)
    with pycolmap.Database.open(database) as opened:
        assert opened.num_matched_image_pairs() == 48


def test_mapping_ends_in_time(tmp_path):
    task = Task(tmp_path, tmp_path, 9, 2.0, 0)
    assert incremental_options(task, relaxed=False).max_runtime_seconds == -1
    soon = incremental_options(replace(task, until_s=time.monotonic() + 60.0), relaxed=False)
    assert 55 <= soon.max_runtime_seconds <= 60
    late = incremental_options(replace(task, until_s=time.monotonic() - 60.0), relaxed=False)
    assert 0 < late.max_runtime_seconds <= 10


def test_mapping_gets_its_time_however_long_earlier_stages_took(tmp_path):
    late = plan(tmp_path, 1e-6)
    late.pace.slowness = 10.0
    needed_s = 10.0 * Costs().until_written(30)
    assert late.cameras_until_s(30) - time.monotonic() == pytest.approx(needed_s, abs=5.0)
    assert late.pairs_until_s(30) < time.monotonic()
    ample = plan(tmp_path, 60.0)
    assert 3500.0 < ample.cameras_until_s(30) - time.monotonic() < 3600.0


def test_slower_machines_detect_fewer_features():
    pictures = [picture(f"{number}.jpg") for number in range(100)]
    config = SfmConfig()
    sides = [
        features.FeatureSettings.chosen(pictures, config, budget).side_px for budget in (1e4, 100.0, 10.0)
    ]
    assert sides == [1600, 1280, 1000]
    assert features.FeatureSettings.chosen(pictures, config).side_px == 1280


def test_limits_of_too_few_photographs_are_refused():
    with pytest.raises(ConfigError, match="max_photos is 2; give at least 3"):
        FrameOptions(max_photos=2)
