from dataclasses import replace

import pytest
import torch

from sfumato.edit.clean import cleaned, floaters
from sfumato.errors import ConfigError
from sfumato.scene.changes import merged, scaling, transformed
from sfumato.scene.files import load
from support.editable import assert_same, doubles, scene_of
from support.real_data import real_splats


def wall(n=400):
    """A flat wall of Gaussians that overlap, two units wide."""
    places = torch.cat([doubles(0, n, 2).clamp(-1.5, 1.5), torch.zeros(n, 1)], dim=1)
    return scene_of(places, log_scale=-2.5)


def blobs():
    """Single Gaussians, and a small group of touching ones, away from the wall."""
    single = scene_of([[0, 0, 3.0], [2.0, 2.0, -2.0], [-4.0, 0, 1.0]], log_scale=-2.5, seed=5)
    group = scene_of(0.05 * doubles(7, 10, 3) + torch.tensor([0.5, 0.5, 2.0]), log_scale=-3.0, seed=8)
    return merged(single, group)


def test_artificial_floaters_are_removed_and_the_rest_is_unchanged():
    scene = merged(wall(), blobs())
    assert floaters(scene).tolist() == [False] * 400 + [True] * 13
    assert_same(cleaned(scene), wall(), rtol=0, atol=0)


def test_the_smallest_group_size_is_an_option():
    scene = merged(wall(), blobs())
    assert int(floaters(scene, members=5).sum()) == 3
    assert not floaters(scene, members=1).any()


def test_the_unit_of_length_does_not_matter():
    scene = merged(wall(), blobs())
    for factor in (1e-3, 1e3):
        assert torch.equal(floaters(transformed(scene, scaling(factor))), floaters(scene))


def test_a_background_of_few_large_gaussians_stays():
    """At forty times the spacing of the wall, but as large as the gaps between them."""
    far = transformed(scene_of(doubles(3, 60, 3), log_scale=-0.5, seed=3), scaling(40.0))
    scene = merged(wall(), replace(far, means=far.means + torch.tensor([0.0, 0.0, 500.0])))
    assert not floaters(scene).any()


def test_ellipsoids_touch_along_their_long_axis_alone():
    """Needles are connected end to end, but not side by side at the same distance."""
    places = torch.arange(40.0)[:, None] * torch.tensor([[1.0, 0.0, 0.0]])
    needles = scene_of(places)
    lengths = torch.tensor([0.3, 0.01, 0.01]).log()
    along = replace(
        needles, quats=torch.tensor([[1.0, 0, 0, 0]]).expand(40, 4), log_scales=lengths.expand(40, 3)
    )
    beside = replace(along, log_scales=lengths.flip(0).expand(40, 3))
    assert not floaters(along).any()
    assert int(floaters(beside).sum()) == 39


@pytest.mark.parametrize("n", [0, 1, 2, 16])
def test_tiny_scenes_keep_their_largest_group(n):
    scene = scene_of(100.0 * doubles(1, n, 3))
    assert len(cleaned(scene)) == min(n, 1)


def test_gaussians_in_one_place_touch():
    scene = scene_of(torch.zeros(50, 3))
    assert not floaters(scene).any()


def test_invalid_numbers_are_refused():
    with pytest.raises(ConfigError, match="reach"):
        cleaned(wall(5), reach=0.0)
    with pytest.raises(ConfigError, match="members"):
        cleaned(wall(5), members=0)


@pytest.mark.slow
def test_a_published_scene_loses_artificial_floaters_and_little_else():
    """Blobs in free space are removed, and at most one in two hundred of the scene's own Gaussians."""
    scene = load(real_splats("playcanvas/guitar.compressed.ply"))
    generator = torch.Generator().manual_seed(0)
    low, high = (scene.means.quantile(share, dim=0) for share in (0.02, 0.98))
    places = low + (high - low) * torch.rand(400, 3, generator=generator)
    gaps = torch.cdist(places, scene.means) - 2.5 * scene.scales.amax(dim=1)
    is_free = gaps.amin(dim=1) > 0.03 * (high - low).amax()
    planted = scene_of(places[is_free][:20], log_scale=-4.0, degree=scene.sh_degree)
    assert len(planted) >= 10
    found = floaters(merged(scene, planted))
    assert found[len(scene) :].all()
    assert int(found[: len(scene)].sum()) < len(scene) / 200


def test_known_floaters_are_removed_after_they_were_moved():
    known = torch.zeros(400, dtype=torch.bool)
    known[[3, 5, 200]] = True
    scene = replace(merged(wall()), floating=known)
    moved = transformed(scene.select(torch.arange(1, 400)), scaling(2.0))
    assert floaters(moved).nonzero().flatten().tolist() == [2, 4, 199]
    assert len(cleaned(moved)) == 396
    # The options only concern isolation.
    assert not floaters(moved, members=1).any() and not cleaned(moved).floating.any()
    assert int(floaters(merged(moved, moved)).sum()) == 6
    assert merged(moved, wall()).floating is None
