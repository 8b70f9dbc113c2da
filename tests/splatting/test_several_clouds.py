"""Several files of points as one cloud."""

import logging
from dataclasses import replace

import numpy as np
import pytest

import sfumato
from sfumato.errors import ConfigError
from sfumato.splatting import several_clouds
from sfumato.splatting.several_clouds import read_clouds
from support.surfaces import sphere


@pytest.fixture
def files(tmp_path):
    """A function that writes clouds, given by name as columns, and returns their paths."""

    def write(**clouds):
        paths = []
        for name, columns in clouds.items():
            paths.append(tmp_path / f"{name}.txt")
            np.savetxt(paths[-1], np.concatenate(columns, axis=1), fmt="%.9g")
        return paths

    return write


def column(value, count=40, width=3):
    return np.full((count, width), value)


def test_colours_are_brought_to_one_range(files):
    eight, sixteen = column(51.0), column(13107.0)
    eight[0], sixteen[0] = 255, 65535
    cloud = read_clouds(files(a=(sphere(40), eight), b=(sphere(40) + 5, sixteen)), max_points=1000)
    assert cloud.colour_range == 1 and len(cloud) == 80
    np.testing.assert_allclose(cloud.rgb[[1, 41]], 0.2, atol=1e-6)


def test_clouds_without_colours_use_common_attributes(files, caplog):
    rising = np.linspace(0, 900, 40)[:, None]
    paths = files(a=(sphere(40), column(255.0)), b=(sphere(40) + 5, rising), c=(sphere(40) - 5,))
    with caplog.at_level(logging.WARNING):
        cloud = read_clouds(paths, max_points=1000)
    assert "a.txt rgb" in caplog.text and "b.txt intensity" in caplog.text and "c.txt height" in caplog.text
    assert cloud.intensity is None and cloud.rgb[:40].min() == 1
    assert (np.diff(cloud.rgb[40:80, 0]) >= 0).all() and np.ptp(cloud.rgb[40:80, 0]) > 0.3
    assert np.ptp(cloud.rgb[80:], axis=1).max() > 0.1
    # Attributes of all clouds are kept, with a common scale of intensities.
    both = read_clouds(files(d=(sphere(40), rising), e=(sphere(40) + 5, 2 * rising)), max_points=1000)
    assert both.rgb is None and both.intensity.max() == 1800


def test_the_limit_of_points_is_for_all_together(files, caplog):
    paths = files(a=(sphere(300),), b=(sphere(300) + 3,), c=(sphere(300) + 6,))
    assert len(read_clouds(paths, max_points=900)) == 900
    with caplog.at_level(logging.WARNING):
        assert len(read_clouds(paths, max_points=310)) <= 310
    assert "900 points of 3 clouds are thinned" in caplog.text


def test_frames_that_differ_are_refused(files, monkeypatch):
    paths = files(a=(sphere(40),), b=(sphere(40) + 5,))
    plain = several_clouds.read_cloud

    def read(path, **more):
        return replace(plain(path, **more), **known[path.stem])

    monkeypatch.setattr(several_clouds, "read_cloud", read)
    known = {"a": {"up": (0.0, 0.0, 1.0)}, "b": {"up": (0.0, -1.0, 0.0)}}
    with pytest.raises(ConfigError, match="upwards"):
        read_clouds(paths, max_points=1000)
    known = {"a": {"metres_per_unit": 1.0}, "b": {"metres_per_unit": 0.3048}}
    with pytest.raises(ConfigError, match=r"0\.3048 m"):
        read_clouds(paths, max_points=1000)
    known = {"a": {}, "b": {"metres_per_unit": 0.3048, "up": (0.0, 0.0, 1.0)}}
    scene = sfumato.splat(list(map(str, paths))).scene
    assert scene.metadata.up == (0, 0, 1) and scene.metadata.metres_per_unit == pytest.approx(0.3048)
    with pytest.raises(ConfigError, match="no cloud"):
        read_clouds([], max_points=1000)
