import math

import pytest
import torch

from sfumato.edit import select
from sfumato.errors import ConfigError
from sfumato.maths.sh import SH_C0
from sfumato.scene.gaussians import Gaussians
from support.editable import scene_of

PLACES = [[0, 0, 0], [1, 0, 0], [0, 2, 0], [-1, -1, 3]]


@pytest.fixture
def scene():
    return scene_of(PLACES)


def which(mask):
    assert mask.dtype == torch.bool
    return mask.nonzero()[:, 0].tolist()


def test_a_box_includes_its_sides(scene):
    assert which(select.in_box(scene, (0, 0, 0), (1, 1, 1))) == [0, 1]
    assert which(select.in_box(scene, (-math.inf, -math.inf, 1), (math.inf, math.inf, math.inf))) == [3]


def test_a_sphere_includes_its_surface(scene):
    assert which(select.in_sphere(scene, (0, 1, 0), 1.0)) == [0, 2]
    assert which(select.in_sphere(scene, (0, 0, 0), 0.0)) == [0]


def test_a_plane_has_a_side_whatever_the_length_of_its_normal(scene):
    assert which(select.beyond_plane(scene, (0, 7, 0), 2.0)) == [2]
    assert which(select.beyond_plane(scene, (0, -1, 0), 0.0)) == [0, 1, 3]


def test_opacity_and_size_are_in_natural_units():
    n = 3
    scene = Gaussians(
        torch.zeros(n, 3),
        torch.tensor([[0.1, 0.2, 0.3], [1.0, 0.1, 0.1], [0.1, 5.0, 0.2]]).log(),
        torch.ones(n, 4),
        torch.tensor([0.1, 0.5, 0.9]).logit(),
        torch.zeros(n, 1, 3),
    )
    assert which(select.opacity_between(scene, 0.4, 0.95)) == [1, 2]
    assert which(select.opacity_between(scene, high=0.2)) == [0]
    assert which(select.size_between(scene, 0.9, 2.0)) == [1]
    assert which(select.size_between(scene, low=0.9)) == [1, 2]


def test_colours_are_compared_as_displayed(scene):
    rgb = torch.tensor([[1.0, 0, 0], [0.9, 0.1, 0], [0, 0, 1], [5.0, -1, 0]])
    painted = Gaussians(
        scene.means, scene.log_scales, scene.quats, scene.logit_opacities, ((rgb - 0.5) / SH_C0)[:, None]
    )
    assert which(select.colour_near(painted, (1, 0, 0), 0.2)) == [0, 1, 3]


@pytest.mark.parametrize(
    "call",
    [
        lambda g: select.in_box(g, (0, 0, 1), (1, 1, 0)),
        lambda g: select.in_box(g, (0, 0, math.nan), (1, 1, 0)),
        lambda g: select.in_sphere(g, (0, 0, 0), -1.0),
        lambda g: select.beyond_plane(g, (0, 0, 0), 1.0),
        lambda g: select.opacity_between(g, 0.9, 0.1),
        lambda g: select.size_between(g, math.nan),
        lambda g: select.colour_near(g, (0, 0, 0), -0.1),
    ],
)
def test_invalid_numbers_are_refused(scene, call):
    with pytest.raises(ConfigError, match=r"give|swap"):
        call(scene)
