"""Meshes of a sphere of flat Gaussians: radius, colours, frame, unit, closedness, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial import cKDTree

from sfumato import ConfigError, Mesh, MeshConfig, Metadata, Scene, mesh, save
from sfumato.cli import EXIT_WRONG, main
from sfumato.meshing.mesh_parts import closed, without_crowded_edges, without_small_pieces
from support.round_scene import RADIUS, ball, cameras

CONFIG = MeshConfig(faces=3000)


@pytest.fixture(scope="module")
def found():
    return mesh(ball(), CONFIG, cameras=cameras())


@pytest.mark.slow
def test_a_ball_has_its_radius_its_colours_and_its_outside(found):
    distance = np.linalg.norm(found.vertices, axis=1)
    # On a slope Gaussians in front hide those behind, which brings the surface nearer by up to their
    # standard deviation, 0.05. An edge of a voxel is 0.006 of the distance, about as much.
    assert abs(np.median(distance) - RADIUS) < 0.05 and np.abs(distance - RADIUS).max() < 0.1
    assert 500 < len(found.faces) <= CONFIG.faces
    corners = found.vertices[found.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((normals * corners.mean(1)).sum(1) > 0).mean() > 0.99
    for side, colour in ((1, (204, 26, 26)), (-1, (26, 26, 204))):
        there = found.colours[found.vertices[:, 0] * side > 0.2]
        assert np.abs(np.median(there, axis=0) - colour).max() < 12


@pytest.mark.slow
def test_the_same_scene_in_another_unit_is_the_same_mesh_scaled(found):
    far = Scene(**vars(ball(50.0)), metadata=Metadata(offset=(500_000.0, 4_000_000.0, 20.0)))
    large = mesh(far, CONFIG, cameras=cameras(50.0))
    vertices = (large.vertices - far.metadata.offset) / 50
    # Roundings differ, and with them which edges are collapsed.
    assert abs(len(large.faces) - len(found.faces)) <= 20
    assert (
        abs(np.median(np.linalg.norm(vertices, axis=1)) - np.median(np.linalg.norm(found.vertices, axis=1)))
        < 1e-3
    )
    assert cKDTree(found.vertices).query(vertices)[0].max() < 0.15


@pytest.mark.slow
def test_watertight_has_two_faces_at_each_edge_where_only_one_side_was_seen():
    front = [one for one in cameras(count=20) if one.centre_world[2] > 0]
    solid = mesh(ball(), replace(CONFIG, watertight=True), cameras=front)
    assert trimesh.Trimesh(solid.vertices, solid.faces, process=False).is_watertight
    assert solid.vertices[:, 2].max() == pytest.approx(RADIUS, abs=0.1)


@pytest.mark.parametrize("suffix", [".ply", ".glb", ".obj"])
def test_files_open_in_trimesh_with_positions_and_colours(tmp_path, suffix):
    offset = np.array([500_000.0, 4_000_000.0, 20.0])
    vertices = offset + np.concatenate([np.zeros((1, 3)), np.eye(3)])
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]], np.uint8)
    Mesh(vertices, faces, colours).save(tmp_path / f"a{suffix}")
    loaded = trimesh.load(tmp_path / f"a{suffix}", force="mesh", process=False)
    assert np.abs(np.asarray(loaded.vertices) - vertices).max() < 1e-3
    assert np.array_equal(loaded.faces, faces) and loaded.volume > 0
    if suffix == ".glb":
        # Colours are linear, and before the faces; trimesh does not read them where there is a material.
        read = np.frombuffer((tmp_path / "a.glb").read_bytes()[-80:-48], "<u2").reshape(4, 4)[:, :3] / 257
        wanted = np.where(colours == 90, 26, colours)
    else:
        read, wanted = np.asarray(loaded.visual.vertex_colors)[:, :3].astype(int), colours
    assert np.abs(read - wanted).max() <= 2
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


def test_edges_of_more_than_two_faces_become_closed_surfaces():
    # Two boxes that touch along an edge.
    box = trimesh.creation.box().subdivide().subdivide().subdivide()
    other = box.copy().apply_translation((1.0, 1.0, 0.0))
    both = trimesh.util.concatenate(box, other)
    both.merge_vertices()
    assert not both.is_watertight
    faces = without_crowded_edges(both.faces)
    vertices, faces = closed(*without_small_pieces(both.vertices, faces, keep_one=False))
    solid = trimesh.Trimesh(vertices, faces)
    assert solid.is_watertight and solid.is_winding_consistent and len(solid.split()) == 2
    assert solid.volume == pytest.approx(2.0, abs=0.1)
    assert np.array_equal(without_crowded_edges(box.faces), box.faces)


def test_holes_that_touch_at_a_vertex_are_closed_one_by_one():
    # A hexagon around its middle, without every other triangle, and its other side.
    turn = np.arange(6) * np.pi / 3
    ring = np.stack([np.cos(turn), np.sin(turn), 0 * turn], 1)
    vertices = np.concatenate([np.zeros((1, 3)), ring, [[0.0, 0.0, -1.0]]])
    top = [[0, 1 + one, 1 + (one + 1) % 6] for one in (0, 2, 4)]
    below = [[7, 1 + (one + 1) % 6, 1 + one] for one in range(6)]
    made = closed(vertices, np.array(top + below))
    assert len(made[0]) == 8 + 3
    solid = trimesh.Trimesh(*made, process=False)
    assert solid.is_watertight and solid.volume == pytest.approx(3**0.5 / 2)


def test_what_cannot_be_a_mesh_is_refused_in_one_line(tmp_path, capsys):
    with pytest.raises(ConfigError, match="no Gaussians"):
        mesh(ball().select(torch.zeros(0, dtype=torch.int64)), cameras=cameras())
    with pytest.raises(ConfigError, match="there is one camera"):
        mesh(ball(), cameras=cameras(count=1))
    with pytest.raises(ConfigError, match="cameras are missing"):
        mesh(ball())
    with pytest.raises(ConfigError, match="views is 1"):
        MeshConfig(views=1)
    away = [replace(one, camera_from_world=torch.diag(torch.tensor([1.0, -1, -1, 1])).double()
                    @ one.camera_from_world) for one in cameras()]  # fmt: skip
    with pytest.raises(ConfigError, match="no view shows a surface"):
        mesh(ball(), cameras=away)
    save(ball(), tmp_path / "ball.ply")
    for words, said in (
        (("ball.ply", "-o", "mesh.ply"), "has no cameras"),
        (("ball.ply", "-o", "mesh.stl"), ".ply, .glb or .obj"),
        (("ball.ply", "-o", "ball.ply"), "exists"),
        (("none", "-o", "mesh.ply"), "is missing"),
    ):
        assert main(["mesh", *(str(tmp_path / one) if one != "-o" else one for one in words)]) == EXIT_WRONG
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
    assert not (tmp_path / "mesh.ply").exists()
