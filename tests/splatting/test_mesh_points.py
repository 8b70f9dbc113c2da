"""Points on triangle meshes."""

import numpy as np
import pytest
import torch

from sfumato.errors import FormatError
from sfumato.scene.files import load, save
from sfumato.splatting.cloud_files import read_cloud
from sfumato.splatting.cloud_files.mesh_points import points_on
from sfumato.splatting.surface_splats import splat

# Two squares that meet at a right angle: one of side 1, red, and one of 1 x 3, blue at its far end.
CORNERS = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 3), (0, 1, 3)]
FACES = [(1, 2, 3), (1, 3, 4), (1, 4, 6), (1, 6, 5)]


@pytest.fixture
def shelf(tmp_path):
    lines = [f"v {x} {y} {z} {'0 0 1' if z else '1 0 0'}" for x, y, z in CORNERS]
    lines += [f"f {a} {b} {c}" for a, b, c in FACES]
    path = tmp_path / "shelf.obj"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_points_are_spread_evenly_by_area(shelf):
    cloud = points_on(shelf, 8000)
    flat = cloud.xyz[:, 2] == 0
    assert abs(int(flat.sum()) - 2000) <= 4
    counts, _, _ = np.histogram2d(*cloud.xyz[flat, :2].T, bins=10, range=[[0, 1], [0, 1]])
    # 20 are expected in each cell; random points would vary by 4.5.
    assert counts.std() < 2.5
    assert np.allclose(np.abs(cloud.normals[flat]), [0, 0, 1])
    assert np.allclose(cloud.xyz[~flat, 0], 0) and np.allclose(np.abs(cloud.normals[~flat]), [1, 0, 0])


def test_colours_are_those_of_the_vertices(shelf):
    cloud = points_on(shelf, 300)
    blue = cloud.xyz[:, 2:] / 3
    assert np.allclose(cloud.rgb, np.concatenate([1 - blue, 0 * blue, blue], axis=1), atol=0.01)


def test_a_mesh_without_colours_is_grey(tmp_path):
    path = tmp_path / "triangle.off"
    path.write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    assert np.allclose(points_on(path, 10).rgb, 0.7)


def test_a_mesh_is_splatted_as_a_cloud_is(shelf, tmp_path):
    assert len(read_cloud(shelf)) == 40_000
    found = splat(shelf)
    save(found.scene, tmp_path / "shelf.ply")
    means = load(tmp_path / "shelf.ply").means
    assert found.normals == "file" and found.colours == "rgb" and len(means) > 39_000
    assert torch.allclose(means.amax(0), torch.tensor([1.0, 1.0, 3.0]), atol=0.01)


def test_normals_are_smooth_where_a_file_repeats_its_vertices(tmp_path):
    """Two triangles that meet at 20 degrees, each with vertices of its own, as in .stl files."""
    path, far = tmp_path / "roof.obj", f"{-np.cos(0.35)} 0 {np.sin(0.35)}"
    corners = ["0 0 0", "1 0 0", "0 1 0", "0 0 0", "0 1 0", far]
    path.write_text("".join(f"v {corner}\n" for corner in corners) + "f 1 2 3\nf 4 5 6\n")
    normals = points_on(path, 500).normals
    assert np.ptp(normals[:, 0]) > 0.1 and len(np.unique(normals.round(3), axis=0)) > 50


@pytest.mark.parametrize("text", ["", "nonsense", "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n"])
def test_what_is_no_mesh_is_refused(tmp_path, text):
    path = tmp_path / "wrong.obj"
    path.write_text(text)
    with pytest.raises(FormatError, match=r"wrong\.obj"):
        read_cloud(path)
