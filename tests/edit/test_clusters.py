import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from sfumato.edit.clusters import clusters, in_cluster, in_largest_cluster
from sfumato.errors import ConfigError
from support.editable import doubles, scene_of


def same_partition(one, other):
    pairs = {(int(a), int(b)) for a, b in zip(one, other, strict=True)}
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), link=st.floats(0.05, 3.0), spread=st.floats(0.1, 100.0))
def test_they_are_those_of_touching_cubes(seed, link, spread):
    points = spread * doubles(seed, 40, 3)
    cubes = np.floor(points.numpy() / link)
    expected = connected_components(cdist(cubes, cubes, "chebyshev") <= 1)[1]
    labels = clusters(points, link)
    assert same_partition(labels.numpy(), expected)
    assert (torch.bincount(labels).diff() <= 0).all(), "the largest comes first"


def test_near_gaussians_are_connected_and_distant_ones_are_not():
    chain = torch.arange(10.0)[:, None] * torch.tensor([[0.9, 0.0, 0.0]])
    far = chain[:4] + torch.tensor([0.0, 50.0, 0.0])
    scene = scene_of(torch.cat([far, chain]))
    assert in_largest_cluster(scene, 1.0).tolist() == [False] * 4 + [True] * 10
    assert in_cluster(scene, (0.0, 60.0, 0.0), 1.0).tolist() == [True] * 4 + [False] * 10


def test_distant_points_need_no_memory():
    points = torch.tensor([[0.0, 0, 0], [1e-3, 0, 0], [3e37, -3e37, 1.0]])
    assert clusters(points, 1e-3).tolist() == [0, 0, 1]


def test_an_empty_scene_has_no_clusters():
    scene = scene_of(torch.zeros(0, 3))
    assert len(clusters(scene.means, 1.0)) == len(in_cluster(scene, (0, 0, 0), 1.0)) == 0


@pytest.mark.parametrize("link", [0.0, -1.0, float("nan"), float("inf")])
def test_other_lengths_are_refused(link):
    with pytest.raises(ConfigError, match="link"):
        clusters(torch.zeros(1, 3), link)
