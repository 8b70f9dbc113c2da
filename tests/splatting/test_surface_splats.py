"""Surface splats cover the measured surface, are tangential, and keep the attributes of the cloud."""

import numpy as np
import pytest
import torch

import sfumato
from sfumato.maths.quaternions import rotation_from_quats
from support.surfaces import grey, plane, sphere


def camera_before(distance, size=48, focal=60.0):
    pose = torch.eye(4)
    pose[2, 3] = distance
    return sfumato.Camera(pose, (focal, focal), (size / 2, size / 2), (size, size))


def normals_of(scene):
    return rotation_from_quats(scene.quats)[:, :, 2].numpy()


def test_a_sphere_is_closed_and_its_normals_point_outwards():
    xyz = sphere(3000)
    found = sfumato.splat(grey(xyz))
    assert len(found.scene) == 3000 and found.outliers == 0 and found.normals == "estimated"
    assert (np.einsum("ni,ni->n", normals_of(found.scene), xyz) > 0.97).all()
    # On a uniform sphere, each point has an area of 4 pi / n.
    assert found.spacing == pytest.approx(np.sqrt(4 * np.pi / 3000), rel=0.1)
    alpha = sfumato.rasterize(found.scene, camera_before(4.0)).alpha
    rows, columns = torch.meshgrid(torch.arange(48) - 23.5, torch.arange(48) - 23.5, indexing="ij")
    # The radius of the silhouette, 60 tan(asin(1/4)), minus two pixels.
    inside = torch.hypot(rows, columns) < 60 * np.tan(np.arcsin(0.25)) - 2
    assert alpha[inside].min() > 0.98
    assert alpha[torch.hypot(rows, columns) > 18].max() < 0.01


def test_splats_are_flat_and_thin_at_the_edge():
    found = sfumato.splat(grey(plane(12)))
    scales = found.scene.scales.numpy()
    assert (scales[:, 2] < 0.2 * scales[:, 1]).all()
    x, y = found.scene.means[:, 0].numpy(), found.scene.means[:, 1].numpy()
    inner = (np.minimum(x, y) >= 3) & (np.maximum(x, y) <= 8)
    edge = ((x == 0) | (x == 11)) & (y >= 3) & (y <= 8)
    assert np.allclose(scales[inner, :2], 0.9, rtol=0.2)
    assert scales[edge, 1].max() < 0.9 * scales[inner, 1].min()
    # Thin orthogonal to the edge, which is along y.
    longer = rotation_from_quats(found.scene.quats)[:, :, 0].numpy()
    assert (np.abs(longer[edge, 1]) > 0.99).all()


def test_a_rotated_cloud_gives_rotated_splats():
    xyz = sphere(400) * (1.0, 0.7, 0.5)
    turn = rotation_from_quats(torch.tensor([0.3, 0.8, -0.2, 0.5], dtype=torch.float64)).numpy()
    first, second = sfumato.splat(grey(xyz)).scene, sfumato.splat(grey(xyz @ turn.T)).scene
    assert np.allclose(second.means.numpy(), first.means.numpy() @ turn.T, atol=1e-5)
    assert np.allclose(normals_of(second), normals_of(first) @ turn.T, atol=1e-3)
    assert torch.allclose(first.log_scales, second.log_scales, atol=1e-3)


def test_the_unit_of_length_does_not_matter():
    xyz = sphere(300)
    small, large = sfumato.splat(grey(xyz)).scene, sfumato.splat(grey(1000 * xyz)).scene
    assert torch.allclose(small.log_scales + np.log(1000), large.log_scales, atol=1e-4)


def test_outliers_are_left_out_and_counted():
    stray = np.array([[3.0, 0, 0], [0, -4.0, 1.0]])
    cloud = grey(np.concatenate([sphere(800), stray]))
    found = sfumato.splat(cloud)
    assert found.outliers == 2 and len(found.scene) == 800 and found.points == 802
    assert len(sfumato.splat(cloud, sfumato.SplatConfig(keep_outliers=True)).scene) == 802


def test_a_few_points_apart_do_not_bridge_the_gap():
    apart = sphere(12, 0.05, (4, 0, 0))
    found = sfumato.splat(grey(np.concatenate([sphere(800), apart])))
    assert len(found.scene) == 812 and found.scene.scales[800:].max() < 0.2


def test_map_coordinates_keep_their_precision():
    near = sphere(500)
    offset = np.array([636_000.0, 849_000.0, 400.0])
    found = sfumato.splat(grey(near + offset))
    assert np.abs(np.array(found.offset) - offset).max() <= 2
    back = found.scene.means.double().numpy() + found.offset
    assert np.abs(back - (near + offset)).max() < 1e-6
    assert sfumato.splat(grey(near)).offset == (0.0, 0.0, 0.0)
    alike = sfumato.splat(grey(near)).scene
    assert torch.allclose(alike.log_scales, found.scene.log_scales, atol=1e-4)


def test_given_normals_are_kept():
    xyz = sphere(300)
    normals = -2 * xyz.astype(np.float32)
    normals[:10] = 0
    found = sfumato.splat(sfumato.MeasuredCloud(xyz, normals=normals))
    along = np.einsum("ni,ni->n", normals_of(found.scene), xyz)
    assert found.normals == "file"
    assert np.allclose(along[10:], -1, atol=1e-5) and (np.abs(along[:10]) > 0.9).all()


@pytest.mark.parametrize("most", [1.0, 255.0, 65535.0])
def test_colours_of_each_range_are_the_same(most):
    xyz = sphere(60)
    share = np.random.default_rng(0).integers(0, 256, (60, 3)).astype(np.float32) / 255
    share[0] = 1
    found = sfumato.splat(sfumato.MeasuredCloud(xyz, share * np.float32(most)))
    colours = 0.5 + found.scene.sh[:, 0].numpy() * 0.28209479177387814
    assert found.colours == "rgb" and np.allclose(colours, share, atol=1e-5)


def test_a_cloud_without_colours_is_coloured_by_intensity_or_height():
    xyz = sphere(200)
    bright = (xyz[:, :1] + 1).astype(np.float32)
    empty = np.zeros((200, 3), np.float32)
    by_intensity = sfumato.splat(sfumato.MeasuredCloud(xyz, empty, bright))
    by_height = sfumato.splat(sfumato.MeasuredCloud(xyz))
    assert (by_intensity.colours, by_height.colours) == ("intensity", "height")
    grey_of = by_intensity.scene.sh[:, 0].numpy()
    assert np.ptp(grey_of, axis=1).max() < 0.02
    assert (np.diff(grey_of[np.argsort(xyz[:, 0]), 1]) >= 0).all()
    # Lightness, mostly from green, increases with z.
    lightness = by_height.scene.sh[:, 0].numpy() @ [0.21, 0.72, 0.07]
    assert (np.diff(lightness[np.argsort(xyz[:, 2])]) > -1e-3).all()


def test_coincident_points_count_once():
    xyz = sphere(100)
    found = sfumato.splat(grey(np.concatenate([xyz] * 20)))
    assert len(found.scene) == 100 and found.spacing > 0.1


@pytest.mark.parametrize(
    "xyz, words",
    [
        (np.zeros((0, 3)), "no points"),
        (np.ones((1, 3)), "one point"),
        (np.ones((50, 3)), "all in one place"),
        (np.full((4, 3), np.nan), "no points"),
    ],
)
def test_too_few_points_are_named(xyz, words):
    with pytest.raises(sfumato.FormatError, match=words):
        sfumato.splat(grey(xyz))


def test_points_on_a_line_are_no_error():
    line = np.stack([np.arange(40.0), np.zeros(40), np.zeros(40)], axis=1)
    scene = sfumato.splat(grey(line)).scene
    assert all(tensor.isfinite().all() for tensor in scene.tensors().values())


@pytest.mark.parametrize("wrong", [{"size": 0}, {"opacity": 1}, {"size": float("nan")}, {"max_points": 1}])
def test_options_out_of_range_are_named(wrong):
    with pytest.raises(sfumato.ConfigError, match=next(iter(wrong))):
        sfumato.SplatConfig(**wrong)


def test_training_points_are_accepted():
    cloud = sfumato.PointCloud(sphere(50), np.full((50, 3), 255, np.uint8))
    assert torch.allclose(sfumato.splat(cloud).scene.sh, torch.tensor(0.5 / 0.28209479177387814))
    with pytest.raises(sfumato.ConfigError, match="cloud"):
        sfumato.splat([[0, 0, 0]])
