"""The envelope: quality against distance, recommended photographs, and the command."""

import json
import math

import pytest
import torch

import sfumato
from sfumato.cli import main
from sfumato.envelope.candidates import beside, low_resolution
from sfumato.envelope.curve import curve, distance_from
from sfumato.envelope.error_calibration import ViewErrors
from sfumato.envelope.next_photographs import CandidateRender, best_views, render_candidate
from sfumato.envelope.trust import Calibration
from sfumato.scene.cameras import Camera
from support.commands import train
from support.trusted import SIZE, camera_at, gaussians_at, trust_of


def turned(degrees):
    """A camera at the origin, turned about its y axis."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    pose = torch.eye(4, dtype=torch.float64)
    pose[0, 0] = pose[2, 2] = cosine
    pose[0, 2], pose[2, 0] = sine, -sine
    return Camera(pose, (20.0, 20.0), (12.0, 8.0), SIZE)


def test_a_view_is_placed_beside_the_nearest_training_view():
    place = distance_from(turned(30), [camera_at(3.0), camera_at(0.5)])
    assert place.distance == pytest.approx(0.5) and place.angle_deg == pytest.approx(30)


def test_the_curve_distinguishes_measured_and_expected_errors():
    measured = [ViewErrors(camera_at(0.08), torch.full((5,), 0.02), torch.full((5,), 0.1))]
    renders = [
        CandidateRender(camera_at(x), torch.zeros(1), torch.full((2, 4), value), 1.0)
        for x, value in ((0.09, 0.02), (4.0, 0.2))
    ]
    near, far = curve(Calibration(), [camera_at()], 2.0, measured, renders)
    # Measurements on photographs take precedence over expectations for virtual views.
    assert near["pixels"] == 5 and near["distance"] == pytest.approx(0.08)
    assert near["measured_psnr"] == pytest.approx(20.0)
    assert far["measured_psnr"] is None and far["pixels"] == 8
    assert far["expected_psnr"] < near["expected_psnr"]


def test_candidates_look_at_the_point_that_the_photograph_shows():
    for candidate in beside([camera_at(1.0)], [4.0], 12):
        pose = candidate.camera.camera_from_world
        point = pose[:3, :3] @ torch.tensor([1.0, 0.0, 4.0], dtype=torch.float64) + pose[:3, 3]
        wanted = torch.tensor([0.0, 0.0, candidate.distance], dtype=torch.float64)
        torch.testing.assert_close(point, wanted, atol=1e-9, rtol=0)
        moved = candidate.camera.centre_world - camera_at(1.0).centre_world
        assert float(moved.norm()) == pytest.approx(4.0 * candidate.share)
    assert beside([camera_at()], [float("nan")], 12) == []


def looks(trust, *places):
    return [render_candidate(trust, low_resolution(camera_at(x))) for x in places]


def test_the_next_photograph_shows_what_was_only_seen_from_far_away():
    left, right = (-3.0, 0.0, 4.0), (3.0, 0.0, 4.0)
    trust = trust_of(gaussians_at(left, right), [[1, 0], [0, 1]], [[-3.0, 0, 0], [-9.0, 0, 0]])
    chosen = best_views(trust, looks(trust, -3.0, 3.0, 3.1), 3)
    assert chosen[0].row in (1, 2) and chosen[0].gain > 0
    # After the first one, there is little left to gain nearby.
    assert len(chosen) == 1 or chosen[1].gain < 0.5 * chosen[0].gain


def test_gains_are_decreases_of_the_mean_over_candidate_views():
    scene = gaussians_at((0.0, 0.0, 4.0), (0.5, 0.2, 5.0))
    places = [[-9.0, 0.0, 0.0]]
    trust = trust_of(scene, [[1], [1]], places)
    (look,) = looks(trust, 0.0)
    (chosen,) = best_views(trust, [look], 1)
    after = trust_of(scene, [[1, 1], [1, 1]], [*places, [0.0, 0.0, 0.0]])
    (seen,) = looks(after, 0.0)
    assert chosen.gain == pytest.approx(float(look.values.mean() - seen.values.mean()), rel=1e-4)
    assert not best_views(after, [seen], 1), "repeating a photograph gains nothing"


def test_a_candidate_view_has_the_depth_of_what_it_shows():
    trust = trust_of(gaussians_at((0.0, 0.0, 4.0), scale=1.0), [[1]], [[-9.0, 0.0, 0.0]])
    (look,) = looks(trust, 0.0)
    assert look.distance == pytest.approx(4.0, rel=1e-3)
    torch.testing.assert_close(look.values, trust.values_of_pixels(look.camera))
    assert not best_views(trust, [look], 1, [False])


@pytest.mark.slow
def test_the_command_writes_the_envelope_and_python_reads_it(data, tmp_path, capsys):
    run = tmp_path / "run"
    assert train(data, run, "--steps", "4", "--test-every", "2") == 0
    (run / "scene.html").write_text("of the training", "utf-8")
    assert main(["eval", str(run), "--envelope"]) == 0
    assert 'id="data-trust"' in (run / "scene.html").read_text("utf-8")
    document = json.loads((run / "envelope.json").read_text("utf-8"))
    assert document["version"] == 1
    assert set(document["curve"][0]) == {"distance", "angle_deg", "expected_psnr", "measured_psnr", "pixels"}
    floaters = document["floaters"]
    assert {"count", "share", "in_front", "isolated"} <= set(floaters)
    if floaters["share"] < 1:
        assert floaters["psnr"] > 0 and floaters["psnr_without"] > 0
    for row in document["calibration"]:
        assert 0 <= row["stated"] <= 1 and 0 <= row["measured"] <= 1
    for one in document["next_photographs"]:
        assert len(one["centre"]) == len(one["direction"]) == 3 and one["gain"] > 0 and one["says"]
    assert "expected PSNR" in capsys.readouterr().out
    camera = sfumato.load_capture(data).views[0].camera
    image = sfumato.trust(run).render(camera)
    assert image.shape == (camera.height, camera.width) and bool((image > 0).all() & (image <= 1).all())


def test_a_run_without_an_envelope_says_how_to_make_one(data, tmp_path):
    assert train(data, tmp_path / "run", "--steps", "2") == 0
    with pytest.raises(sfumato.FormatError, match="--envelope"):
        sfumato.trust(tmp_path / "run")
