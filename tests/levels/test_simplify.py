"""Merging of Gaussians: moments, the change of the picture by numerical integration, the order of merges."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sfumato import ConfigError, FormatError, Gaussians, Metadata, Scene, psnr, rasterize, simplify
from sfumato.cli import EXIT_WRONG, main
from sfumato.levels.blobs import Blobs, blobs_of, gaussians_of, mean_area
from sfumato.levels.pair_merging import compared_colours, merge_pairs, picture_change
from sfumato.levels.pairing import cheapest_matching, neighbour_pairs
from sfumato.maths.sh import SH_C0
from sfumato.scene.files import load, save
from support.small_scenes import camera_at, small_scene

FULL = [0, 1, 2, 1, 3, 4, 2, 4, 5]


def isotropic(xs, sigma=0.5, opacity=0.4):
    """Equal balls on the x axis."""
    n = len(xs)
    means = torch.zeros(n, 3)
    means[:, 0] = torch.tensor(xs)
    return Gaussians(
        means,
        torch.full((n, 3), float(np.log(sigma))),
        torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        torch.full((n,), float(np.log(opacity / (1 - opacity)))),
        torch.arange(3.0 * n).reshape(n, 1, 3) / 10,
    )


def covariances(gaussians):
    """[n, 3, 3] of a scene, float64."""
    blobs, frame = blobs_of(gaussians)
    return blobs.cov.T[:, FULL].reshape(-1, 3, 3) * frame.unit**2


def test_a_pair_keeps_its_moments_and_its_mass():
    scene = isotropic([-0.3, 0.3])
    one = simplify(scene, 1)
    assert torch.allclose(one.means, torch.zeros(1, 3), atol=1e-6)
    expected = np.diag([0.25 + 0.09, 0.25, 0.25])
    assert np.allclose(covariances(one)[0], expected, atol=1e-6)
    # Along x one sees the old area, along y and z a longer ellipse.
    area = (0.25 + 2 * np.sqrt(0.34 * 0.25)) / 3
    assert one.opacities[0] == pytest.approx(2 * 0.4 * 0.25 / area, rel=1e-5)
    assert torch.allclose(one.sh, scene.sh.mean(0, keepdim=True), atol=1e-6)


def test_colours_and_centres_are_weighted_by_mass():
    scene = isotropic([0.0, 1.0])
    scene = replace(scene, logit_opacities=torch.tensor([0.3, 0.1]).logit())
    one = simplify(scene, 1)
    assert one.means[0, 0] == pytest.approx(0.25, abs=1e-6)
    assert torch.allclose(one.sh[0], 0.75 * scene.sh[0] + 0.25 * scene.sh[1], atol=1e-6)


def test_opacities_stay_below_one():
    one = simplify(isotropic([0.0, 0.0, 0.0], opacity=0.9), 1)
    assert 0.99 < float(one.opacities[0].double()) <= 1 and one.logit_opacities.isfinite().all()


def test_moments_of_gaussians_and_back():
    scene = small_scene()
    back = gaussians_of(*blobs_of(scene))
    assert torch.allclose(back.means, scene.means, atol=1e-5)
    assert torch.allclose(back.opacities, scene.opacities, atol=1e-5)
    assert np.allclose(covariances(back), covariances(scene), rtol=1e-4, atol=1e-6)


def seen(blobs, row, axes, grid):
    """Picture [c, h, w] of one Gaussian in a view along an axis: opacity times (colour, opacity weight)."""
    a, b = axes
    cov = blobs.cov[:, row][FULL].reshape(3, 3)[np.ix_([a, b], [a, b])]
    apart = grid - blobs.xyz[[a, b], row][:, None, None]
    exponent = np.einsum("ihw,ij,jhw->hw", apart, np.linalg.inv(cov), apart)
    filled = np.append(compared_colours(blobs)[row], np.sqrt(0.15))
    return blobs.opacities[row] * filled[:, None, None] * np.exp(-exponent / 2)


def test_the_change_of_the_picture_is_the_integral_of_the_squared_difference():
    blobs, _ = blobs_of(small_scene(4, seed=3))
    first, second = np.array([0, 1]), np.array([2, 3])
    areas = mean_area(blobs.cov)
    found = picture_change(blobs, areas, compared_colours(blobs), first, second)
    merged, share, _ = merge_pairs(blobs, areas, first, second)
    sh = share[:, None] * blobs.sh[first] + (1 - share[:, None]) * blobs.sh[second]
    merged = Blobs(merged.xyz, merged.cov, merged.opacities, sh.astype(np.float32))
    reach, step = 25.0, 0.1
    line = np.arange(-reach, reach, step)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"))
    for pair in range(2):
        total = 0.0
        for axes in ((0, 1), (0, 2), (1, 2)):
            before = seen(blobs, first[pair], axes, grid) + seen(blobs, second[pair], axes, grid)
            total += np.square(before - seen(merged, pair, axes, grid)).sum() * step**2
        assert found[pair] == pytest.approx(total / (2 * np.pi), rel=1e-4)


def test_the_matching_is_the_one_of_the_sequential_rule():
    random = np.random.default_rng(5)
    first, second = neighbour_pairs(random.normal(size=(60, 3)), 6)
    costs = np.round(random.random(len(first)), 2)
    used, expected = set(), []
    for pair in np.argsort(costs, kind="stable"):
        if not {first[pair], second[pair]} & used:
            used |= {first[pair], second[pair]}
            expected.append(pair)
    assert cheapest_matching(first, second, costs, 60, 99).tolist() == expected
    assert cheapest_matching(first, second, costs, 60, 5).tolist() == expected[:5]


def test_pairs_are_neighbours_each_once():
    points = np.array([[0.0, 0, 0], [1, 0, 0], [3, 0, 0], [3, 0, 0]])
    first, second = neighbour_pairs(points, 1)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (2, 3)]


@pytest.mark.slow
def test_a_simplified_scene_looks_more_alike_than_one_with_gaussians_left_out():
    scene = small_scene(400)
    scene = replace(scene, sh=scene.means[:, None] / SH_C0 / 2, log_scales=scene.log_scales - 0.3)
    made = simplify(scene, 0.5)
    dropped = scene.select(torch.arange(0, 400, 2))
    scores = []
    for camera in (camera_at(0.3), camera_at(2.0)):
        truth, *others = (rasterize(one, camera).image for one in (scene, made, dropped))
        scores.append([float(psnr(other, truth)) for other in others])
    assert len(made) == 200 and all(kept > lost + 6 for kept, lost in scores), scores


def test_the_count_is_met_and_the_result_is_the_same_each_time():
    scene = Scene(**small_scene(300).tensors(), metadata=Metadata(antialiased=True))
    done = []
    made = simplify(scene, 40, report=lambda *counts: done.append(counts))
    assert len(made) == 40 and made.metadata.antialiased and done[-1] == (260, 260)
    again = simplify(scene, 40)
    assert all(
        torch.equal(a, b) for a, b in zip(made.tensors().values(), again.tensors().values(), strict=True)
    )
    assert len(simplify(scene, 1)) == 1 and len(simplify(scene, 0.1)) == 30
    assert torch.equal(simplify(scene, 999).means, scene.means)


def test_the_unit_of_length_does_not_matter():
    scene = small_scene(200)
    large = replace(scene, means=1000 * scene.means, log_scales=scene.log_scales + float(np.log(1000)))
    small, made = simplify(scene, 50), simplify(large, 50)
    assert torch.allclose(made.means, 1000 * small.means, rtol=1e-3, atol=1e-2)


def test_gaussians_at_one_place_flat_ones_and_transparent_ones_are_merged():
    scene = small_scene(64)
    scene.means[:40] = 0
    scene.log_scales[20:50, 2] = -30
    scene.logit_opacities[:] = -200
    made = simplify(scene, 3)
    assert len(made) == 3 and all(one.isfinite().all() for one in made.tensors().values())


@pytest.mark.parametrize("count", [0, -3, 1.5, 0.0, True, float("nan"), float("inf"), "many"])
def test_other_counts_are_refused(count):
    with pytest.raises(ConfigError, match="count is"):
        simplify(small_scene(4), count)


def test_broken_gaussians_are_refused():
    scene = small_scene(4)
    scene.means[1, 1] = float("nan")
    with pytest.raises(FormatError, match="means"):
        simplify(scene, 2)


@pytest.mark.parametrize(("text", "expected"), [("20", 20), ("25%", 10), ("0.5", 20), ("2e1", 20)])
def test_the_command_writes_a_scene(tmp_path, capsys, text, expected):
    save(small_scene(40), tmp_path / "scene.ply")
    out = tmp_path / "small.ply"
    assert main(["simplify", str(tmp_path / "scene.ply"), "-o", str(out), "-n", text]) == 0
    assert len(load(out)) == expected and f"40 -> {expected} Gaussians" in capsys.readouterr().out
    assert main(["simplify", str(tmp_path / "scene.ply"), "-o", str(out), "-n", text]) == EXIT_WRONG
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "half", "-5", "1.5", "100%", "nan", "inf%"])
def test_the_command_refuses_other_counts(tmp_path, capsys, text):
    assert (
        main(["simplify", str(tmp_path / "x.ply"), "-o", str(tmp_path / "y.ply"), f"-n={text}"]) == EXIT_WRONG
    )
    assert "25%" in capsys.readouterr().err
