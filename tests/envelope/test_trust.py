"""The expected error of a view: evidence of training views, displacement, calibration and its file."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from sfumato.envelope.error_calibration import ViewErrors, compare, fitted, rank_correlations, shares
from sfumato.envelope.floaters import floaters_by_support
from sfumato.envelope.sightings import MOST_PLACES, UNKNOWN, gather, representatives
from sfumato.envelope.trust import Calibration, displacement_term
from sfumato.envelope.trust_file import read_trust, write_trust
from sfumato.errors import FormatError
from sfumato.render.rasterize import rasterize
from sfumato.render.settings import TraceSettings
from support.trusted import SETTINGS, SIZE, camera_at, gaussians_at, trust_of, view_of


def test_residuals_are_errors_weighted_by_contributions():
    scene = gaussians_at((0.0, 0.0, 4.0), (0.0, 0.0, 40.0))
    # Brighter by 0.3, which is no error of the scene, and a chequerboard, which no affine map explains.
    rows, columns = torch.meshgrid(*map(torch.arange, SIZE[::-1]), indexing="ij")
    wrong = 0.3 + 0.2 * (1 - 2 * ((rows + columns) % 2))[..., None]
    views = [view_of(scene, camera_at(x), wrong_by=wrong) for x in (-0.2, 0.0, 0.2)]
    evidence = gather(scene, views, SETTINGS)
    torch.testing.assert_close(evidence.residuals, torch.full((2,), 0.2), atol=0.01, rtol=0)
    assert evidence.views.tolist() == [3, 3]


@pytest.mark.parametrize("settings", [SETTINGS, TraceSettings(depth=False)])
def test_hidden_gaussians_are_not_observed(settings):
    wall, hidden = (0.0, 0.0, 2.0), (0.0, 0.0, 4.0)
    scene = gaussians_at(wall, wall, wall, hidden, scale=1.0, opacity=0.99)
    scene = replace(scene, log_scales=torch.tensor([[3.0] * 3] * 3 + [[0.05] * 3]).log())
    evidence = gather(scene, [view_of(scene, camera_at())], settings)
    assert evidence.seen[:, 0].tolist()[0] and not evidence.seen[3, 0]
    assert evidence.views[3] == 0


def test_masked_pixels_are_ignored():
    scene = gaussians_at((-0.6, 0.0, 4.0), (0.6, 0.0, 4.0), scale=0.1)
    mask = np.zeros(SIZE[::-1], bool)
    mask[:, : SIZE[0] // 2] = True
    evidence = gather(scene, [view_of(scene, camera_at(), mask=mask)], SETTINGS)
    assert evidence.seen[:, 0].tolist() == [True, False]


def test_background_is_known_where_photographs_are_cut_out():
    scene = gaussians_at((0.0, 0.0, 4.0), scale=0.1)
    cut_out = gather(scene, [view_of(scene, camera_at())], SETTINGS)
    assert cut_out.uncovered == pytest.approx(0.01 * UNKNOWN, abs=0.002)
    covered = gaussians_at(*[(0.0, 0.0, 4.0)] * 5, scale=9.0)
    assert gather(covered, [view_of(covered, camera_at())], SETTINGS).uncovered > 0.2
    trust = replace(trust_of(scene, [[1]], [[0.0, 0.0, 0.0]]), evidence=cut_out)
    assert float(trust.render(camera_at())[0, 0]) < 0.01


def test_gaussians_in_front_of_a_wall_in_few_views_are_floaters():
    wall = [(x, y, 10.0) for x in np.linspace(-6, 6, 13) for y in np.linspace(-4, 4, 9)]
    scene = gaussians_at(*wall, (0.0, 0.0, 1.0), scale=1.0, opacity=0.95)
    log_scales = scene.log_scales.clone()
    log_scales[-1] = float(np.log(0.03))
    logits = scene.logit_opacities.clone()
    logits[-1] = -1.0
    scene = replace(scene, log_scales=log_scales, logit_opacities=logits)
    cameras = [camera_at()] + [camera_at(x) for x in np.linspace(2, 4, 20)]
    evidence = gather(scene, [view_of(scene, camera) for camera in cameras], SETTINGS)
    found = floaters_by_support(scene, evidence)
    assert found.in_front[-1] and not found.in_front[:-1].any()


def test_places_represent_nearby_cameras():
    centres = torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [5.0, 0, 0], [5.1, 0, 0]])
    owner, places = representatives(centres, 2)
    assert owner.tolist() == [0, 0, 1, 1] and places.tolist() == centres[[0, 3]].tolist()
    assert len(representatives(torch.rand(200, 3))[1]) == MOST_PLACES
    assert len(representatives(torch.zeros(5, 3))[1]) == 1


def test_displacement_uses_only_places_that_observed_the_gaussian():
    scene = gaussians_at((0.0, 0.0, 2.0), (0.0, 0.0, 2.0), (0.0, 0.0, 2.0))
    places = [[0.0, 0.0, 0.0], [1.0, 0.0, 2.0]]
    trust = trust_of(scene, [[1, 0], [0, 1], [0, 0]], places)
    # From (0, 0, 0): the same place; √5 from a place at distance 1 of the Gaussian; never observed.
    expected = torch.tensor([0.0, 5**0.5, 4.0])
    torch.testing.assert_close(trust.displacements(torch.zeros(3)), expected)
    # From (0, 0, 1.5), closer to the Gaussians than both places: distances 3/2 and √5/2, divided by 1/2.
    expected = torch.tensor([3.0, 5**0.5, 4.0])
    torch.testing.assert_close(trust.displacements(torch.tensor([0.0, 0.0, 1.5])), expected)


def test_the_expected_error_is_blended_and_background_is_not_trusted():
    scene = gaussians_at((0.0, 0.0, 2.0), scale=0.2)
    trust = trust_of(scene, [[1]], [[0.0, 0.0, 0.0]])
    near, far = trust.render(camera_at()), trust.render(camera_at(0.5))
    alpha = rasterize(scene, camera_at(), SETTINGS).alpha
    value = (0.02 + 0.005) * displacement_term(torch.tensor(0.0))
    wanted = Calibration().expected(alpha * value + UNKNOWN * (1 - alpha))
    torch.testing.assert_close(near, wanted)
    assert float(far.min()) > float(near.min())


def made_errors(scale, power, seed=0, views=6, pixels=4000):
    rng = np.random.default_rng(seed)
    found = []
    for number in range(views):
        values = np.exp(rng.uniform(np.log(0.004), np.log(0.05 + 0.02 * number), pixels))
        wrong = scale * values**power * np.exp(rng.logistic(0, 0.4, pixels))
        tensors = (torch.tensor(array, dtype=torch.float32) for array in (values, wrong))
        found.append(ViewErrors(camera_at(), *tensors))
    return found


def test_calibration_finds_the_law_that_errors_follow():
    calibration = fitted(made_errors(3.0, 1.3))
    assert calibration.power == pytest.approx(1.3, abs=0.05)
    value = torch.tensor([0.02])
    assert float(calibration.expected(value)) == pytest.approx(3.0 * 0.02**1.3, rel=0.05)
    rows = shares(calibration, made_errors(3.0, 1.3, seed=1))
    assert all(abs(row["stated"] - row["measured"]) < 0.05 for row in rows)
    assert rows[0]["stated"] < 0.3 < 0.7 < rows[-1]["stated"]
    pixels, views = rank_correlations(made_errors(3.0, 1.3))
    assert pixels > 0.7 and views > 0.9


def test_the_distribution_is_interpolated_between_groups_of_pixels():
    narrow, wide = (-0.1, 0.1), (-3.0, 3.0)
    calibration = Calibration(anchors=(0.01, 0.1), log_ratios=(narrow, wide))
    expected = torch.tensor([0.005, 0.01, math.sqrt(0.001), 0.1, 0.2])
    chances = [float(calibration.chance_within(e[None], float(e) * math.exp(0.1))) for e in expected]
    wide_chance = 0.25 + 0.5 * 3.1 / 6.0
    assert chances == pytest.approx([0.75, 0.75, (0.75 + wide_chance) / 2, wide_chance, wide_chance])
    squares = calibration.mean_square(expected)
    assert float(squares[0]) == pytest.approx(0.005**2 * math.cosh(0.2), rel=1e-4)
    assert float(squares[3]) == pytest.approx(0.5 * ((0.1 * math.exp(-3)) ** 2 + 1.0), rel=1e-4)


def test_errors_that_scatter_differently_are_calibrated_by_size():
    rng = np.random.default_rng(0)
    values = np.exp(rng.uniform(-5, -2, 20_000))
    wrong = values * np.exp(rng.normal(size=len(values)) * np.where(values < 0.03, 1.2, 0.2))
    errors = [ViewErrors(camera_at(), *(torch.tensor(a, dtype=torch.float32) for a in (values, wrong)))]
    by_size = fitted(errors)
    everywhere = np.quantile(by_size.log_ratios, np.linspace(0.01, 0.99, 32))
    alike = replace(by_size, anchors=(1.0,), log_ratios=(tuple(everywhere),))
    off = [
        max(abs(row["stated"] - row["measured"]) for row in shares(calibration, errors))
        for calibration in (by_size, alike)
    ]
    assert off[0] < 0.06 and off[1] > 2 * off[0]


def test_the_expected_square_is_the_mean_of_squares():
    calibration = fitted(made_errors(1.0, 1.0))
    wrong = torch.cat([e.measured for e in made_errors(1.0, 1.0, seed=2)])
    values = torch.cat([e.values for e in made_errors(1.0, 1.0, seed=2)])
    mean = float(calibration.mean_square(calibration.expected(values)).mean())
    assert mean == pytest.approx(float((wrong**2).mean()), rel=0.3)


def test_without_held_out_views_the_default_calibration_is_used():
    assert fitted([]) == Calibration()
    assert shares(Calibration(), []) == [] and rank_correlations([]) == (None, None)


def test_comparison_compensates_differences_of_brightness():
    scene = gaussians_at((0.0, 0.0, 4.0), (0.5, 0.2, 5.0))
    trust = trust_of(scene, [[1], [1]], [[0.0, 0.0, 0.0]])
    (errors,) = compare(trust, [view_of(scene, camera_at(0.1), wrong_by=0.1)])
    assert float(errors.measured.max()) < 2 / 255
    masked = view_of(scene, camera_at(), mask=np.zeros(SIZE[::-1], bool))
    assert compare(trust, [masked]) == []


def test_trust_survives_saving_and_loading(tmp_path):
    scene = gaussians_at((0.0, 0.0, 2.0), (1.0, 0.0, 2.0), (0.0, 1.0, 3.0))
    trust = trust_of(scene, [[1, 0], [0, 1], [1, 1]], [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    trust = replace(trust, calibration=fitted(made_errors(3.0, 1.3)))
    path = tmp_path / "trust.npz"
    write_trust(trust, path)
    again = read_trust(path, scene, SETTINGS)
    assert torch.equal(again.evidence.seen, trust.evidence.seen) and again.calibration == trust.calibration
    assert torch.equal(again.render(camera_at(0.3)), trust.render(camera_at(0.3)))


@pytest.mark.parametrize(
    "name, value, word",
    [
        ("places", np.zeros((65, 3)), "places"),
        ("places", np.full((1, 3), np.nan), "NaN"),
        ("seen", np.zeros(2, np.uint64), "of \\[2, 3\\] Gaussians"),
        ("seen", np.zeros(3), "seen"),
        ("residuals", np.array([0.1, np.nan, 0.1], np.float32), "NaN"),
        ("residuals", np.array([0.1, -1, 0.1], np.float32), "negative"),
        ("checksum", np.array([1], np.uint32), "not belong to the scene"),
        ("checksum", np.zeros(0, np.uint32), "not belong to the scene"),
        ("scale_and_power", np.array([1.0, 0.0]), "above 0"),
        ("scale_and_power", np.zeros(0), "above 0"),
        ("log_ratios", np.array([1.0, 0.0]), "ascending"),
        ("log_ratios", np.zeros(0), "ascending"),
        ("log_ratios", np.array([0.0, 1e9]), "ascending"),
        ("anchors", np.array([0.1, 0.1]), "anchors"),
        ("anchors", np.array([0.0]), "anchors"),
        ("anchors", np.array([np.nan]), "anchors"),
        ("anchors", np.array([0.1, np.inf]), "anchors"),
        ("anchors", np.arange(1.0, 4.0), "ascending"),
        ("uncovered", np.array([np.nan]), "at least 0"),
        ("uncovered", np.zeros(2), "at least 0"),
    ],
)
def test_files_that_do_not_belong_to_the_scene_are_refused(tmp_path, name, value, word):
    scene = gaussians_at((0.0, 0.0, 2.0), (1.0, 0.0, 2.0), (0.0, 1.0, 3.0))
    path = tmp_path / "trust.npz"
    write_trust(trust_of(scene, [[1], [1], [1]], [[0.0, 0.0, 0.0]]), path)
    arrays = {**np.load(path), name: value}
    np.savez(path, **arrays)
    with pytest.raises(FormatError, match=word):
        read_trust(path, scene, SETTINGS)


def test_older_files_are_read(tmp_path):
    scene, path = gaussians_at((0.0, 0.0, 2.0)), tmp_path / "trust.npz"
    write_trust(trust_of(scene, [[1]], [[0.0, 0.0, 0.0]]), path)
    arrays = dict(np.load(path))
    del arrays["uncovered"], arrays["anchors"]
    np.savez(path, **arrays)
    again = read_trust(path, scene, SETTINGS)
    assert again.evidence.uncovered == UNKNOWN and again.refits is None
    assert again.calibration == Calibration()


def test_a_missing_file_says_how_to_make_it(tmp_path):
    with pytest.raises(FormatError, match="--envelope"):
        read_trust(tmp_path / "trust.npz", gaussians_at((0.0, 0.0, 2.0)), SETTINGS)
