"""The verdict and the report."""

import json
import math

import pytest
from conftest import QUICK
from found import dataset

from sfumato.sfm.report import GOOD, POOR, USABLE, Quality

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
    ],
)
def test_verdict(change, verdict, words):
    found, against = Quality(**{**FINE, **change}).verdict()
    assert found == verdict and len(against) == len(words)
    assert all(word in reason for word, reason in zip(words, against, strict=True))


def test_the_report_of_a_good_run(solved):
    text = (solved.out / "sfm.json").read_text("utf-8")

    def refused(name):
        raise AssertionError(f"{name} is no JSON")

    report = json.loads(text, parse_constant=refused)
    model = dataset(solved.out)
    assert set(report) == {
        *("version", "verdict", "against", "pictures", "registered", "registered_share", "points"),
        *("mean_track_length", "mean_reprojection_error_px", "median_triangulation_angle_deg"),
        *("found_by", "other_models", "cameras", "missing", "left_out", "world", "seconds", "options"),
        "versions",
    }
    assert (report["version"], report["verdict"], report["against"]) == (1, GOOD, [])
    assert (report["pictures"], report["registered"], report["registered_share"]) == (12, 12, 1.0)
    assert report["points"] == model.num_points3D() and report["missing"] == report["left_out"] == []
    assert report["mean_track_length"] == pytest.approx(model.compute_mean_track_length(), abs=1e-3)
    assert 0.05 < report["mean_reprojection_error_px"] < 0.6
    assert 10 < report["median_triangulation_angle_deg"] < 60
    assert report["options"]["sfm"]["max_features"] == QUICK.max_features
    assert list(report["seconds"]) == ["frames", "features", "pairs", "cameras", "dataset"]
    assert all(math.isfinite(value) for value in report["seconds"].values())
    assert [camera["pictures"] for camera in report["cameras"]] == [12]
    assert solved.result.verdict == GOOD and solved.result.quality.registered == 12
    assert report["versions"]["numpy"]
