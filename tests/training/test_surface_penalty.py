"""The penalty for surfaces: normals of depth, its gradients, and what it leads to."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from sfumato import Camera, Gaussians, RasterSettings, rasterize
from sfumato.errors import ConfigError
from sfumato.scene.gaussian_normals import facing_normals
from sfumato.training.config import TrainConfig
from sfumato.training.parts.surface_penalty import SurfacePenalty, normals_of_depth
from support.small_scenes import camera_at, small_scene

SHOT = SimpleNamespace(context=SimpleNamespace(progress=0.5, step=2), camera=camera_at(0.3))


def test_normals_of_a_plane_are_found_from_its_depth():
    normal, distance = torch.tensor([0.2, -0.5, -1.0], dtype=torch.float64), -3.0
    camera = Camera(torch.eye(4, dtype=torch.float64), (40.0, 44.0), (15.0, 9.0), (32, 20))
    y, x = torch.meshgrid(torch.arange(20).double() + 0.5, torch.arange(32).double() + 0.5, indexing="ij")
    rays = torch.stack([(x - 15.0) / 40.0, (y - 9.0) / 44.0, torch.ones_like(x)], -1)
    found = normals_of_depth(distance / (rays @ normal), camera)
    torch.testing.assert_close(found, (normal / normal.norm()).expand(18, 30, 3), rtol=0, atol=1e-9)


def test_gradients_are_finite_differences():
    scene = small_scene(12).to(torch.float64)
    part = SurfacePenalty(0.7, RasterSettings())

    def penalty(**changed):
        return part.penalty(replace(scene, **changed), SHOT)

    generator = torch.Generator().manual_seed(5)
    for name in ("means", "log_scales", "quats", "logit_opacities"):
        leaf = getattr(scene, name).clone().requires_grad_()
        penalty(**{name: leaf}).backward()
        along = torch.randn(leaf.shape, generator=generator, dtype=torch.float64)
        ends = [penalty(**{name: leaf.detach() + sign * 1e-6 * along}) for sign in (1, -1)]
        difference = (ends[0] - ends[1]) / 2e-6
        assert float((leaf.grad * along).sum()) == pytest.approx(float(difference), rel=1e-4, abs=1e-9), name


def test_the_gradient_of_a_refined_pose_is_its_difference():
    scene, part, pose = (
        small_scene(12).to(torch.float64),
        SurfacePenalty(0.7, RasterSettings()),
        SHOT.camera.camera_from_world,
    )
    along = torch.zeros(4, 4, dtype=torch.float64)
    along[:3, 3] = torch.tensor([0.3, -0.5, 0.8])

    def penalty(pose):
        camera = replace(SHOT.camera, camera_from_world=pose)
        return part.penalty(scene, SimpleNamespace(context=SHOT.context, camera=camera))

    leaf = pose.clone().requires_grad_()
    penalty(leaf).backward()
    difference = (penalty(pose + 1e-6 * along) - penalty(pose - 1e-6 * along)) / 2e-6
    assert float((leaf.grad * along).sum()) == pytest.approx(float(difference), rel=1e-4, abs=1e-9)


def test_a_view_that_shows_nothing_has_no_penalty():
    scene = small_scene(12)
    away = replace(scene, means=scene.means + 1e4)
    leaf = away.quats.clone().requires_grad_()
    penalty = SurfacePenalty(1.0, RasterSettings()).penalty(replace(away, quats=leaf), SHOT)
    penalty.backward()
    assert penalty.item() == 0 and not leaf.grad.any()


def test_it_begins_late_in_every_second_step_with_the_weight_as_a_factor():
    scene = small_scene(40)
    early = SimpleNamespace(context=SimpleNamespace(progress=0.1, step=2), camera=SHOT.camera)
    between = SimpleNamespace(context=SimpleNamespace(progress=0.5, step=3), camera=SHOT.camera)
    for shot in (early, between):
        assert SurfacePenalty(1.0, RasterSettings()).penalty(scene, shot) is None
    one, three = (SurfacePenalty(weight, RasterSettings()).penalty(scene, SHOT) for weight in (1.0, 3.0))
    assert float(three) == pytest.approx(3 * float(one)) and float(one) > 0
    for wrong in (-0.1, math.nan, math.inf):
        with pytest.raises(ConfigError, match="surface_weight"):
            TrainConfig(surface_weight=wrong)


@pytest.mark.slow
def test_gaussians_become_flat_and_parallel_to_their_plane():
    """A wall of Gaussians with random axes, and only the penalty."""
    generator = torch.Generator().manual_seed(2)
    x, y = torch.meshgrid(torch.linspace(-1.2, 1.2, 9), torch.linspace(-1.0, 1.0, 8), indexing="ij")
    scene = Gaussians(
        means=torch.stack([x, y, 0.3 * x + 3.0], -1).reshape(-1, 3),
        log_scales=torch.tensor([-1.6, -1.8, -2.2]).repeat(72, 1),
        quats=torch.randn(72, 4, generator=generator),
        logit_opacities=torch.full((72,), 2.0),
        sh=torch.zeros(72, 1, 3),
    )
    camera = Camera(torch.eye(4, dtype=torch.float64), (40.0, 40.0), (24.0, 18.0), (48, 36))
    shot = SimpleNamespace(context=SimpleNamespace(progress=0.5, step=2), camera=camera)
    normal = torch.tensor([0.3, 0.0, -1.0]) / math.hypot(0.3, 1.0)
    leaves = {name: getattr(scene, name).clone().requires_grad_() for name in ("log_scales", "quats")}
    optimiser = torch.optim.Adam(leaves.values(), lr=0.05)
    agreement = []
    for _ in range(60):
        now = replace(scene, **leaves)
        optimiser.zero_grad()
        SurfacePenalty(1.0, RasterSettings()).penalty(now, shot).backward()
        optimiser.step()
        agreement.append(float((facing_normals(now, camera.centre_world).detach() @ normal).mean()))
    shortest, middle, _ = leaves["log_scales"].detach().sort(1).values.unbind(1)
    assert agreement[0] < 0.7 and agreement[-1] > 0.95 and (shortest - middle).exp().mean() < 0.2
    assert rasterize(replace(scene, **leaves), camera).alpha.mean() > 0.5
