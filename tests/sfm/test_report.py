"""The verdict and the report."""

import json
import logging
import math
from dataclasses import replace

import numpy as np
import pycolmap
import pytest

from sfumato.footage import Dropped, read_footage
from sfumato.footage.frames_file import LEFT_OUT
from sfumato.sfm import report, summary
from sfumato.sfm.report import GOOD, POOR, USABLE, SfmQuality, arc_deg, measure
from sfumato.sfm.upright import IDENTITY, Gravity
from support.found import Watch, dataset
from support.shots import QUICK
from support.worlds import any_rotation, looking

FINE = {
    "pictures": 20,
    "registered": 20,
    "points": 4000,
    "track_length": 4.0,
    "error_px": 0.5,
    "angle_deg": 12.0,
}


@pytest.mark.parametrize(
    ("change", "verdict", "words"),
    [
        ({}, GOOD, []),
        ({"registered": 18}, GOOD, []),
        ({"registered": 17}, USABLE, ["only 17 of 20"]),
        ({"registered": 10}, USABLE, ["only 10 of 20"]),
        ({"registered": 9}, POOR, ["only 9 of 20"]),
        ({"pictures": 8, "registered": 8}, GOOD, []),
        ({"pictures": 7, "registered": 7}, USABLE, ["7 pictures are few"]),
        ({"points": 400}, GOOD, []),
        ({"points": 399}, USABLE, ["only 399 points"]),
        ({"track_length": 2.9}, USABLE, ["2.9 pictures only"]),
        ({"angle_deg": 2.9}, USABLE, ["2.9 degrees"]),
        ({"angle_deg": 2.9, "pictures": 7, "registered": 7}, POOR, ["7 pictures are few", "2.9 degrees"]),
        ({"points": 50, "pictures": 7, "registered": 7}, POOR, ["7 pictures are few", "only 50 points"]),
        ({"odd_focal_px": (1624.0, 1458.0)}, USABLE, ["1624 and 1458 px"]),
        ({"arc_deg": 84.0}, GOOD, []),
    ],
)
def test_verdict(change, verdict, words):
    found, against = SfmQuality(**{**FINE, **change}).verdict()
    assert found == verdict and len(against) == len(words)
    assert all(word in reason for word, reason in zip(words, against, strict=True))


@pytest.mark.parametrize(("arc", "words"), [(84.2, "over 84 of 360 degrees"), (340.0, None), (None, None)])
def test_one_sided_captures_are_reported(arc, words):
    said = SfmQuality(**FINE, arc_deg=arc).remark()
    assert said is None if words is None else words in said


def around(degrees, count=30, *, outwards=False):
    """(rotations, centres) of cameras on an arc, at varying heights."""
    angles = np.radians(np.linspace(0, degrees, count, endpoint=degrees < 360))
    places = np.array([[3 * np.sin(a), -1 - 0.3 * np.sin(5 * a), 3 * np.cos(a)] for a in angles])
    poses = np.array([looking(p, 2 * p if outwards else np.zeros(3)) for p in places])
    return poses[:, :3, :3], places


@pytest.mark.parametrize(("degrees", "wanted"), [(84, 84), (200, 200), (360, 348)])
@pytest.mark.parametrize("seed", range(2))
def test_the_arc_covered_by_the_cameras(degrees, wanted, seed):
    rotations, centres = around(degrees)
    turn = any_rotation(seed)
    assert arc_deg(rotations @ turn.T, 7 * centres @ turn.T + 3) == pytest.approx(wanted, abs=2)


def test_cameras_that_look_outwards_or_ahead_have_no_arc():
    assert arc_deg(*around(300, outwards=True)) is None
    walk = np.array([[0.0, 0, 0.1 * i] for i in range(20)])
    assert arc_deg(np.stack([np.eye(3)] * 20), walk) is None
    assert arc_deg(around(300, outwards=True)[0], np.zeros((30, 3))) is None


def test_implausible_focal_lengths_are_reported_unless_given(solved):
    model = pycolmap.Reconstruction(solved.out / "work/model")
    assert measure(model, 12).odd_focal_px is None
    for camera in model.cameras.values():
        camera.params = [1624.0, 1458.0, *camera.params[2:]]
    assert measure(model, 12).odd_focal_px == (1624.0, 1458.0)
    assert measure(model, 12, is_given=True).odd_focal_px is None


@pytest.mark.parametrize(
    ("missing", "others", "words"),
    [(3, 3, "form a group"), (2, 2, None), (9, 2, "form 2 groups"), (0, 0, None), (0, 1, None)],
)
def test_only_pictures_without_a_camera_are_grouped(solved, caplog, monkeypatch, missing, others, words):
    model = pycolmap.Reconstruction(solved.out / "work/model")
    footage = read_footage(solved.out / "work/frames")
    monkeypatch.setattr(report, "why_missing", lambda *_: {f"{i}": "" for i in range(missing)})
    outcome = summary.summarised(
        footage, model, solved.out / "work/database.db", other_models=others, is_given=False
    )
    with caplog.at_level(logging.WARNING):
        summary.say(outcome, summary.WorldFrame(IDENTITY, Gravity(None, "")), 1.0, Watch())
    assert words in caplog.text if words else not caplog.text


@pytest.mark.parametrize(
    ("torn", "spared", "verdict", "words"),
    [
        (0, 0, GOOD, []),
        (0, 5, GOOD, []),
        (3, 0, USABLE, ["similar places may have been confused"]),
        (3, 5, USABLE, ["similar places", "5 pictures are left out: give more --minutes"]),
    ],
)
def test_folds_and_pictures_left_out_count_against_the_verdict(solved, torn, spared, verdict, words):
    model = pycolmap.Reconstruction(solved.out / "work/model")
    footage = read_footage(solved.out / "work/frames")
    out = [Dropped(f"{i}.jpg", f"{i}.jpg", f"{LEFT_OUT}no time for its features") for i in range(spared)]
    footage = replace(footage, dropped=(*out, Dropped("dark.jpg", "dark.jpg", "too dark")))
    outcome = summary.summarised(
        footage,
        model,
        solved.out / "work/database.db",
        other_models=0,
        torn_pairs=torn,
        is_given=False,
    )
    assert outcome.verdict == verdict and len(outcome.against) == len(words)
    assert all(word in reason for word, reason in zip(words, outcome.against, strict=True))


def test_the_report_of_a_good_run(solved):
    text = (solved.out / "sfm.json").read_text("utf-8")

    def refused(name):
        raise AssertionError(f"{name} is not JSON")

    found = json.loads(text, parse_constant=refused)
    model = dataset(solved.out)
    assert set(found) == {
        *("version", "verdict", "against", "pictures", "registered", "registered_share", "points"),
        *("mean_track_length", "mean_reprojection_error_px", "median_triangulation_angle_deg"),
        "arc_deg",
        "torn_pairs",
        "reprojection_errors_px",
        *("found_by", "other_models", "cameras", "missing", "left_out", "world", "seconds", "options"),
        "versions",
    }
    assert (found["version"], found["verdict"], found["against"]) == (1, GOOD, [])
    assert (found["pictures"], found["registered"], found["registered_share"]) == (12, 12, 1.0)
    assert found["points"] == model.num_points3D() and found["missing"] == found["left_out"] == []
    assert found["mean_track_length"] == pytest.approx(model.compute_mean_track_length(), abs=1e-3)
    assert 0.05 < found["mean_reprojection_error_px"] < 0.6
    errors = found["reprojection_errors_px"]
    assert list(errors) == sorted(model.images[i].name for i in model.reg_image_ids())
    # The mean over points is not that over pictures, but both are of the same distances.
    assert min(errors.values()) <= found["mean_reprojection_error_px"] <= max(errors.values())
    assert 10 < found["median_triangulation_angle_deg"] < 60
    assert found["options"]["sfm"]["max_features"] == QUICK.max_features
    assert list(found["seconds"]) == ["frames", "features", "pairs", "cameras", "dataset"]
    assert all(math.isfinite(value) for value in found["seconds"].values())
    assert [camera["pictures"] for camera in found["cameras"]] == [12]
    assert solved.result.verdict == GOOD and solved.result.quality.registered == 12
    assert found["versions"]["numpy"]
