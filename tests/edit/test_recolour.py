from dataclasses import replace

import pytest
import torch

from sfumato.edit import recolour
from sfumato.errors import ConfigError
from sfumato.maths.sh import sh_basis
from support.editable import assert_same, crowd, doubles


def seen_colour(scene):
    """[n, 3] colour along one direction."""
    direction = torch.nn.functional.normalize(torch.tensor([[0.3, -0.5, 0.8]]), dim=1).double()
    return 0.5 + (sh_basis(direction, scene.sh_degree)[0, :, None] * scene.sh.double()).sum(1)


def test_colours_change_as_specified_in_every_direction():
    scene = crowd(9, dtype=torch.float64)
    before = seen_colour(scene)
    red = torch.tensor([0.9, 0.1, 0.2]).double()
    torch.testing.assert_close(seen_colour(recolour.painted(scene, red.tolist())), red.expand(9, 3))
    torch.testing.assert_close(
        seen_colour(recolour.tinted(scene, (1.0, 0.5, 2.0))), before * torch.tensor([1.0, 0.5, 2.0]).double()
    )
    grey = seen_colour(recolour.saturated(scene, 0.0))
    torch.testing.assert_close(grey, grey[:, :1].expand(-1, 3))
    assert_same(recolour.saturated(scene, 1.0), scene)
    matrix, offset = doubles(3, 3, 3), (0.1, -0.2, 0.3)
    expected = before @ matrix.T + torch.tensor(offset).double()
    torch.testing.assert_close(seen_colour(recolour.recoloured(scene, matrix, offset)), expected)


@pytest.mark.parametrize("factor", [1.0, 0.5, 1e-3])
def test_fading_multiplies_opacities(factor):
    scene = crowd(9, dtype=torch.float64)
    scene = replace(scene, logit_opacities=torch.linspace(-30, 30, 9, dtype=torch.float64))
    faded = recolour.faded(scene, factor)
    torch.testing.assert_close(faded.opacities, factor * scene.opacities, rtol=1e-9, atol=0)
    assert faded.logit_opacities.isfinite().all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda g: recolour.painted(g, (0, 2, 0)), r"\[0, 1\]"),
        (lambda g: recolour.tinted(g, (0, -1, 0)), "0 or more"),
        (lambda g: recolour.saturated(g, -1.0), "0 or more"),
        (lambda g: recolour.faded(g, 0.0), "above 0"),
        (lambda g: recolour.faded(g, 1.5), "up to 1"),
    ],
)
def test_numbers_out_of_range_are_refused(call, words):
    with pytest.raises(ConfigError, match=words):
        call(crowd(3))
