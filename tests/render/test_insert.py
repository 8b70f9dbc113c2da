"""Meshes in a scene: mirrors, glass and diffuse objects."""

import math

import numpy as np
import pytest
import torch

from sfumato.errors import ConfigError, FormatError, ShapeError
from sfumato.maths.sh import SH_C0
from sfumato.render.insert import Insert, MeshRenderer, render_with_mesh
from sfumato.render.insert_light import GAMMA, LIGHT_RAYS, light_of, lit, sphere_directions
from sfumato.render.meshes import corner_normals, read_mesh
from sfumato.render.raytrace import raytrace
from sfumato.render.settings import TraceSettings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.rays import Rays, camera_rays

SIZE = (40, 30)
BACKGROUND = TraceSettings(background=(0.2, 0.4, 0.7))


def cloud(n=150, dtype=torch.float64, low=(-1, -1, 0.5), high=(1, 1, 1.5), degree=1):
    """Gaussians within a box."""
    random = torch.Generator().manual_seed(3)
    low, high = torch.tensor(low, dtype=torch.float64), torch.tensor(high, dtype=torch.float64)
    means = low + torch.rand(n, 3, generator=random, dtype=torch.float64) * (high - low)
    return Gaussians(
        means,
        torch.full((n, 3), math.log(0.05), dtype=torch.float64),
        torch.randn(n, 4, generator=random, dtype=torch.float64),
        torch.ones(n, dtype=torch.float64),
        torch.randn(n, (degree + 1) ** 2, 3, generator=random, dtype=torch.float64),
    ).to(dtype)


def blob(place, colour, size=0.3, dtype=torch.float64):
    """One Gaussian that occludes what is behind its centre."""
    sh = (torch.tensor(colour, dtype=dtype) - 0.5) / SH_C0
    return Gaussians(
        torch.tensor([place], dtype=dtype),
        torch.full((1, 3), math.log(size), dtype=dtype),
        torch.tensor([[1.0, 0, 0, 0]], dtype=dtype),
        torch.full((1,), 20.0, dtype=dtype),
        sh[None, None],
    )


def camera(z=0.0, focal=30.0):
    pose = torch.eye(4, dtype=torch.float64)
    pose[2, 3] = -z
    return Camera(pose, (focal, focal), (SIZE[0] / 2, SIZE[1] / 2), SIZE)


def wall(z, half=50.0, material="mirror", **more):
    """A square orthogonal to z that faces -z."""
    x = torch.tensor([-half, half, half, -half], dtype=torch.float64)
    y = torch.tensor([-half, -half, half, half], dtype=torch.float64)
    vertices = torch.stack([x, y, torch.full_like(x, z)], 1)
    return Insert(vertices, torch.tensor([[0, 2, 1], [0, 3, 2]]), material, **more)


def ball(centre, radius, material, rings=12, **more):
    """A sphere of outward-facing triangles."""
    around, along = torch.meshgrid(
        torch.arange(2 * rings) * (math.pi / rings),
        torch.arange(rings + 1) * (math.pi / rings),
        indexing="ij",
    )
    points = torch.stack([along.sin() * around.cos(), along.sin() * around.sin(), along.cos()], -1).double()
    faces = []
    for i in range(2 * rings):
        for j in range(rings):
            a, b = i * (rings + 1) + j, (i + 1) % (2 * rings) * (rings + 1) + j
            faces += [[a, a + 1, b], [b, a + 1, b + 1]]
    vertices = points.reshape(-1, 3) * radius + torch.tensor(centre, dtype=torch.float64)
    return Insert(vertices, torch.tensor(faces), material, **more)


def psnr(a, b):
    return -10 * torch.log10(((a.double() - b.double()) ** 2).mean().clamp_min(1e-20)).item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_mirror_shows_the_mirrored_scene(dtype):
    scene, seen = cloud(dtype=dtype, low=(-1, -1, -3), high=(1, 1, -1.5)), camera()
    render = render_with_mesh(scene, seen, [wall(1.0)], BACKGROUND)
    # As seen by the camera mirrored at the plane z = 1.
    rays = camera_rays(seen, like=scene.means)
    turn = scene.means.new_tensor([1, 1, -1])
    mirrored = Rays(rays.origins * turn + scene.means.new_tensor([0, 0, 2]), rays.directions * turn)
    expected = raytrace(scene, mirrored, BACKGROUND).image
    assert expected.std() > 0.05
    assert psnr(render.image, expected) > (40 if dtype == torch.float32 else 100)
    assert (render.alpha == 1).all()
    torch.testing.assert_close(render.depth, torch.ones_like(render.depth))


def test_a_tinted_mirror_multiplies_colours():
    empty = cloud(0)
    render = render_with_mesh(empty, camera(), [wall(1.0, colour=(1.0, 0.5, 0.0))], BACKGROUND)
    torch.testing.assert_close(render.image[3, 4], torch.tensor([0.2, 0.2, 0.0], dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_glass_of_index_one_is_invisible(dtype):
    scene, seen = cloud(dtype=dtype, low=(-1, -1, 0.8), high=(1, 1, 4)), camera()
    glass = ball((0.0, 0.0, 2.0), 0.7, "glass", index=1.0)
    render, plain = render_with_mesh(scene, seen, [glass], BACKGROUND), raytrace(scene, seen, BACKGROUND)
    assert psnr(render.image, plain.image) > (60 if dtype == torch.float32 else 100)
    assert (render.depth != plain.depth).any()


@pytest.mark.slow
def test_glass_conserves_light():
    """In uniform surroundings glass is as bright as they are, except for light paths that are not traced."""
    glass = ball((0.0, 0.0, 2.0), 0.7, "glass")
    image = render_with_mesh(cloud(0), camera(), [glass], BACKGROUND).image
    even = image.new_tensor(BACKGROUND.background).expand_as(image)
    assert ((image - even).abs() <= 0.03 * even + 1e-9).all()


@pytest.mark.slow
def test_a_glass_ball_inverts_the_picture():
    left = blob((-2.0, 0.0, 8.0), (1.0, 0.0, 0.0), 0.8)
    image = render_with_mesh(left, camera(), [ball((0.0, 0.0, 2.0), 0.7, "glass", rings=24)]).image
    inside = image[SIZE[1] // 2, SIZE[0] // 2 - 8 : SIZE[0] // 2 + 8, 0]
    assert inside[8:].max() > 0.5 and inside[8:].max() > 3 * inside[4:8].max()


def test_glass_reflects_by_the_fresnel_equations():
    """At normal incidence, one surface of glass reflects ((n - 1) / (n + 1))^2."""
    behind_camera = blob((0.0, 0.0, -5.0), (1.0, 1.0, 1.0), 1.0)
    ray = Rays(torch.zeros(3).double(), torch.tensor([[0.01, 0.003, 1.0]]).double())
    image = render_with_mesh(behind_camera, ray, [wall(1.0, material="glass")]).image
    mirror = render_with_mesh(behind_camera, ray, [wall(1.0)]).image
    torch.testing.assert_close(image, 0.04 * mirror, rtol=1e-3, atol=0)


def test_total_internal_reflection():
    """Beyond the critical angle nothing leaves glass."""
    ray = Rays(torch.zeros(3).double(), torch.tensor([[1.0, 0.0, -1.0]]).double())
    image = render_with_mesh(cloud(0), ray, [wall(-1.0, material="glass")], BACKGROUND).image
    assert image.max() > 0.69
    seen = blob((2.0, 0.0, 0.0), (1.0, 0.0, 0.0))
    assert render_with_mesh(seen, ray, [wall(-1.0, material="glass")]).image[0, 0] > 0.9


def test_gaussians_cover_a_mesh_that_is_behind_them():
    middle = (SIZE[1] // 2, SIZE[0] // 2)
    red, white = blob((0.0, 0.0, 2.0), (1.0, 0.0, 0.0)), TraceSettings(background=(1.0, 1.0, 1.0))
    for z, colour, depth in ((3.0, (1.0, 0.0, 0.0), 2.0), (1.0, (0.8, 0.8, 0.8), 1.0)):
        render = render_with_mesh(red, camera(), [wall(z, 0.3, "diffuse")], white)
        assert abs(render.depth[middle].item() - depth) < 0.03
        np.testing.assert_allclose(render.image[middle], colour, atol=0.12)


@pytest.mark.slow
def test_the_nearer_mesh_is_seen():
    far, near = (
        wall(2.0, material="diffuse", colour=(0, 1, 0)),
        wall(1.0, material="diffuse", colour=(1, 0, 0)),
    )
    for inserts in ([far, near], [near, far]):
        image = render_with_mesh(cloud(0), camera(), inserts, BACKGROUND).image
        assert image[..., 0].min() > 0.1 and image[..., 1].max() < 1e-6


@pytest.mark.slow
def test_a_diffuse_ball_hides_what_is_behind_it_and_nothing_else():
    scene = cloud(150, low=(-2, -2, 4), high=(2, 2, 6))
    thing = ball((0.0, 0.0, 2.0), 0.5, "diffuse", colour=(0.0, 0.0, 0.0))
    render, plain = render_with_mesh(scene, camera(), [thing]), raytrace(scene, camera())
    black = render.image.amax(-1) < 1e-6
    rays = camera_rays(camera()).directions
    aside = (rays[..., :2] / rays[..., 2:]).norm(dim=-1)
    assert black[aside < 0.23].all()
    # The rest is the scene, not brightened by the shadow.
    rest = aside > 0.27
    assert (render.image[rest] <= plain.image[rest] + 1e-9).all()
    assert psnr(render.image[rest], plain.image[rest]) > 25


def test_a_shadow_lies_below_a_ball_and_fades():
    floor = [blob((x, 0.5, 2.0), (0.8, 0.8, 0.8), 0.1) for x in (0.0, 1.0, 9.0)]
    scene = Gaussians(*(torch.cat([getattr(g, f) for g in floor]) for f in vars(floor[0])))
    scene.log_scales[:, 1] = -8.0
    stage = MeshRenderer(scene, [ball((0.0, 0.0, 2.0), 0.4, "diffuse")])
    below, beside, away = (0.5 + SH_C0 * stage.gaussians.sh[:, 0, 0]).tolist()
    # A ball takes (radius / distance)^2 of the light that falls on a plane below it.
    assert abs(below - 0.8 * (1 - 0.8**2) ** (1 / 2.2)) < 0.04
    assert below < beside < 0.8 and abs(away - 0.8) < 1e-6
    mirror = MeshRenderer(scene, [ball((0.0, 0.0, 2.0), 0.4, "mirror")])
    torch.testing.assert_close(mirror.gaussians.sh, scene.sh)


def test_a_diffuse_ball_is_lit_by_the_surrounding_light():
    above = blob((0.0, -3.0, 2.0), (1.0, 1.0, 1.0), 1.0)
    image = render_with_mesh(above, camera(), [ball((0.0, 0.0, 2.0), 0.6, "diffuse")]).image
    middle = SIZE[0] // 2
    assert image[SIZE[1] // 2 - 6, middle].min() > 3 * image[SIZE[1] // 2 + 6, middle].max()


@pytest.mark.parametrize(
    ("radiance", "along", "across"),
    [
        # Irradiance / pi for normals along z and perpendicular to it, integrated by hand.
        (lambda z: torch.ones_like(z), 1.0, 1.0),
        (lambda z: 1 + z, 1 + 2 / 3, 1.0),
        (lambda z: z * z, 1 / 2, 1 / 4),
    ],
)
def test_irradiance_agrees_with_its_integral(radiance, along, across):
    directions = sphere_directions(LIGHT_RAYS, torch.zeros((), dtype=torch.float64))
    light = light_of((radiance(directions[:, 2]) ** (1 / GAMMA))[:, None].expand(-1, 3), directions)
    normals = torch.tensor([[0.0, 0.0, 1.0], [0.6, -0.8, 0.0]], dtype=torch.float64)
    colour = torch.tensor([1.0, 0.5, 0.25], dtype=torch.float64)
    wanted = torch.tensor([along, across], dtype=torch.float64)[:, None] ** (1 / GAMMA) * colour
    torch.testing.assert_close(lit(light, normals, colour), wanted, rtol=1e-3, atol=0)


@pytest.mark.slow
def test_reflections_between_two_mirrors_terminate():
    image = render_with_mesh(cloud(0), camera(0.5), [wall(1.0), wall(-1.0)], BACKGROUND).image
    torch.testing.assert_close(image[0, 0], image.new_tensor(BACKGROUND.background))


def test_normals_are_smooth_on_a_ball_and_flat_on_a_box():
    round_one = ball((0.0, 0.0, 0.0), 1.0, "mirror")
    normals = corner_normals(round_one.vertices, round_one.faces)
    corners = round_one.vertices[round_one.faces]
    # Triangles at the poles have no area and no valid normal.
    sides = corners.diff(dim=1)
    large = torch.linalg.cross(sides[:, 0], sides[:, 1]).norm(dim=1) > 1e-4
    assert large.any() and ((normals * corners).sum(-1)[large] > 0.98).all()
    trimesh = pytest.importorskip("trimesh")
    box = trimesh.creation.box()
    vertices, faces = torch.tensor(np.array(box.vertices)), torch.tensor(np.array(box.faces))
    assert (corner_normals(vertices, faces).abs().amax(-1) > 0.999).all()


@pytest.mark.parametrize("suffix", ["obj", "ply", "stl"])
def test_files_are_read_scaled_and_placed(tmp_path, suffix):
    trimesh = pytest.importorskip("trimesh")
    path = tmp_path / f"box.{suffix}"
    trimesh.creation.box().export(path)
    vertices, faces = read_mesh(path, scale=2.0, at=(0.0, 0.0, 5.0))
    assert vertices.shape == (8, 3) and faces.shape == (12, 3)
    assert vertices.amin(0).tolist() == [-1, -1, 4] and vertices.amax(0).tolist() == [1, 1, 6]


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("none.obj", None, "cannot be read"),
        ("empty.obj", "", ""),
        ("points.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\n", ""),
        ("nan.obj", "v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "finite"),
        ("large.obj", "v 1e200 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "finite"),
        ("outside.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", ""),
        ("words.ply", "this is no mesh", ""),
        ("mesh.what", "v 0 0 0", ""),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, name, text, word):
    pytest.importorskip("trimesh")
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(FormatError, match=word or None) as caught:
        read_mesh(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_bad_inserts_are_refused():
    good = wall(1.0)
    with pytest.raises(ConfigError, match="material 'wood'"):
        Insert(good.vertices, good.faces, "wood")
    with pytest.raises(ShapeError, match="vertices outside"):
        Insert(good.vertices, good.faces + 1, "mirror")
    with pytest.raises(ShapeError, match="at least one"):
        Insert(good.vertices, good.faces[:0], "mirror")
    with pytest.raises(ConfigError, match="NaN"):
        Insert(good.vertices * math.nan, good.faces, "mirror")
    with pytest.raises(ConfigError, match="index"):
        Insert(good.vertices, good.faces, "glass", index=0.5)
    with pytest.raises(ConfigError, match="colour"):
        Insert(good.vertices, good.faces, "glass", colour=(0, 0, 2))
    with pytest.raises(ConfigError, match="no mesh"):
        render_with_mesh(cloud(1), camera(), [])
