"""Floaters by support: each reason, and that well observed Gaussians are kept."""

from dataclasses import replace

import pytest
import torch

from sfumato.envelope.floaters import counts_in_words, floaters_by_support
from sfumato.envelope.sightings import Sightings
from support.trusted import gaussians_at

# A connected wall, and three isolated Gaussians.
WALL = [(0.4 * x, 0.4 * y, 5.0) for x in range(8) for y in range(8)]
SCENE = gaussians_at(*WALL, (0.0, 0.0, 1.0), (9.0, 9.0, 30.0), (-9.0, 9.0, 1.0))
FRONT, FAR, ALONE = 64, 65, 66


def evidence(places=20, **changed):
    n = len(SCENE)
    views = torch.full((n,), 15)
    views[FRONT] = views[ALONE] = 1
    in_front = torch.zeros(n)
    in_front[FRONT] = 0.9
    seen = torch.ones(n, places, dtype=torch.bool)
    found = Sightings(torch.rand(places, 3), seen, torch.full((n,), 0.02), views, in_front)
    return replace(found, **changed)


def test_each_reason_is_detected():
    found = floaters_by_support(SCENE, evidence())
    assert found.in_front.nonzero().tolist() == [[FRONT]]
    # The distant isolated Gaussian is kept because views support it; isolation alone would remove it.
    assert found.isolated.nonzero().tolist() == [[FRONT], [ALONE]]
    counts = found.counts()
    assert counts.pop("share") == pytest.approx(2 / 67)
    assert counts == {"count": 2, "in_front": 1, "isolated": 2}
    words = counts_in_words(found.counts())
    assert "2 floaters by support (3.0%" in words and "1 that few views see, in front" in words


def test_few_views_is_relative_to_all_views():
    assert floaters_by_support(SCENE, evidence()).in_front[FRONT]
    views = evidence().views.clone()
    views[FRONT] = 4
    assert not floaters_by_support(SCENE, evidence(views=views)).in_front[FRONT]
    # A tenth of the number of camera places, or of the views of the best observed Gaussian.
    assert floaters_by_support(SCENE, evidence(places=40, views=views)).in_front[FRONT]
    views[0] = 60
    assert floaters_by_support(SCENE, evidence(views=views)).in_front[FRONT]


def test_an_empty_scene_has_no_floaters():
    none = torch.zeros(0, dtype=torch.int64)
    assert floaters_by_support(SCENE.select(none), evidence().select(none)).counts()["count"] == 0
