"""Normals of Gaussians, and the colours that show them."""

import math
from dataclasses import replace

import torch

from sfumato.maths.sh import SH_C0
from sfumato.scene.gaussian_normals import coloured_by_normals, facing_normals
from sfumato.scene.gaussians import Gaussians

HALF = math.sqrt(0.5)
SCENE = Gaussians(
    means=torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, 2.0], [3.0, 0.0, 1.0]]),
    log_scales=torch.tensor([[-1.0, -1.0, -3.0], [-3.0, -1.0, -2.0], [-3.0, -1.0, -2.0]]),
    # None, a quarter turn about y, which takes x to -z, and none.
    quats=torch.tensor([[1.0, 0.0, 0.0, 0.0], [HALF, 0.0, HALF, 0.0], [1.0, 0.0, 0.0, 0.0]]),
    logit_opacities=torch.zeros(3),
    sh=torch.zeros(3, 4, 3),
)


def test_normals_are_the_shortest_axes_towards_the_eye():
    wanted = torch.tensor([[0.0, 0.0, -1.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
    found = facing_normals(SCENE, torch.zeros(3))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)
    # From beyond all of them.
    torch.testing.assert_close(facing_normals(SCENE, torch.full((3,), 9.0)), -wanted, rtol=0, atol=1e-6)


def test_colours_are_half_of_one_plus_the_normal():
    normals = facing_normals(SCENE, torch.zeros(3))
    sh = coloured_by_normals(replace(SCENE, sh=torch.ones(3, 4, 3)), normals).sh
    assert sh.shape == (3, 1, 3)
    torch.testing.assert_close(0.5 + SH_C0 * sh[:, 0], (1 + normals) / 2)
