"""Thinning of large clouds in bounded memory: the points of a cell are averaged."""

import numpy as np
import pytest

from sfumato.splatting.measured import MeasuredCloud
from sfumato.splatting.thinning import CloudCollector
from support.surfaces import plane, sphere


def gathered(cloud, most, piece=500):
    gathering = CloudCollector(most)
    for start in range(0, len(cloud), piece):
        gathering.add(cloud.select(np.arange(start, min(start + piece, len(cloud)))))
    return gathering.finish(), gathering


def test_small_clouds_are_unchanged():
    xyz = sphere(1000)
    found, _ = gathered(MeasuredCloud(xyz), 1000)
    assert np.array_equal(found.xyz, xyz)


@pytest.mark.parametrize("offset", [0.0, 5e6])
def test_large_clouds_are_thinned_evenly(offset):
    side = 120
    cloud = MeasuredCloud(plane(side) + offset, plane(side).astype(np.float32))
    found, gathering = gathered(cloud, 1000)
    assert 300 <= len(found) <= 1000
    # Colours equal positions here, and both are averaged over the same points.
    assert np.abs(found.xyz - offset - found.rgb).max() < 1e-3
    # Every position of the square is near a remaining point.
    away = np.abs(cloud.xyz[::37, None, :2] - found.xyz[None, :, :2]).max(axis=2).min(axis=1)
    assert away.max() <= gathering.cell


def test_memory_is_bounded_by_the_limit():
    gathering = CloudCollector(200)
    rng = np.random.default_rng(0)
    most = 0
    for _ in range(50):
        gathering.add(MeasuredCloud(rng.random((100, 3))))
        most = max(most, gathering._rows)
    assert most <= 3 * 200 + 100
    assert len(gathering.finish()) <= 200


@pytest.mark.parametrize("far", [1e9, -1e9])
def test_an_outlier_does_not_coarsen_the_grid(far):
    xyz = np.concatenate([plane(60), [[far, 0, 0]]])
    found, gathering = gathered(MeasuredCloud(xyz), 1000)
    assert len(found) > 250 and gathering.cell < 10


def test_thinning_coincident_points_terminates():
    found, _ = gathered(MeasuredCloud(np.ones((5000, 3))), 100)
    assert len(found) == 1 and np.array_equal(found.xyz, np.ones((1, 3)))
