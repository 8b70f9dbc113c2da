"""Training with colour parametrisations other than that of files."""

import copy
from dataclasses import replace

import pytest
import torch

from sfumato import rasterize
from sfumato.errors import ConfigError
from sfumato.ops import colour
from sfumato.render.raytrace import raytrace
from sfumato.render.settings import RasterSettings, TraceSettings
from sfumato.scene.rays import Rays
from sfumato.training.colour_form import file_form, trained_form
from sfumato.training.config import TrainConfig
from sfumato.training.state import restore
from support.capture_folders import colmap_folder
from support.tiny import tiny_config, tiny_start, train_until

FORMS = ("sh", "sh-sigmoid", "logit")
EYE = torch.tensor([0.1, -0.3, 0.2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return colmap_folder(tmp_path_factory.mktemp("colour"))


def seen(gaussians, form="sh"):
    return colour(gaussians.sh, gaussians.means, EYE, gaussians.sh_degree, form=form)


@pytest.mark.parametrize("form", FORMS)
def test_constant_colours_survive_conversion(folder, form):
    _, state = tiny_start(folder, tiny_config())
    plain = replace(state.gaussians, sh=state.gaussians.sh.clamp(-1.5, 1.5))
    there = trained_form(plain, form)
    assert torch.allclose(seen(there, form), seen(plain), atol=1e-4)
    assert torch.allclose(seen(file_form(there, form)), seen(plain), atol=1e-4)


def test_view_dependent_colours_are_approximated(folder):
    _, state = tiny_start(folder, tiny_config())
    few = state.gaussians.select(torch.arange(5))
    random = torch.Generator().manual_seed(1)
    wavy = replace(few, sh=0.15 * torch.randn(few.sh.shape, generator=random))
    there = trained_form(wavy, "sh-sigmoid")
    difference = (seen(file_form(there, "sh-sigmoid")) - seen(there, "sh-sigmoid")).abs()
    assert difference.mean() < 0.02 and difference.max() < 0.05


@pytest.mark.parametrize("renderer", ["raster", "trace"])
@pytest.mark.parametrize("form", FORMS)
def test_training_converts_to_the_form_of_files(folder, form, renderer):
    config = tiny_config(colour=form, renderer=renderer)
    capture, state = tiny_start(folder, config)
    before = state.population.gaussians.sh.detach().clone()
    state = train_until(capture, state, 12)
    trained = state.population.gaussians
    assert trained.sh.shape[1] == (1 if form == "logit" else 16)
    assert trained.sh.isfinite().all() and not torch.equal(trained.sh.detach()[: len(before)], before)
    camera = capture.train_views[0].camera
    written = rasterize(state.gaussians, camera).image
    drawn = rasterize(state.population.gaussians.detach(), camera, RasterSettings(colour=form)).image
    assert (written - drawn).abs().max() < (1e-5 if form != "sh-sigmoid" else 0.02)


def test_a_run_resumes_with_its_parametrisation(folder):
    config = tiny_config(colour="sh-sigmoid")
    capture, state = tiny_start(folder, config)
    state = train_until(capture, state, 6)
    again = restore(copy.deepcopy(state.state_dict()), capture, config)
    assert torch.equal(again.gaussians.sh, state.gaussians.sh)
    straight = train_until(capture, state, 12).gaussians.sh
    assert torch.equal(train_until(capture, again, 12).gaussians.sh, straight)


def test_logits_have_no_degree():
    assert TrainConfig(colour="logit", sh_degree=3).highest_degree == 0
    assert TrainConfig(colour="sh-sigmoid", sh_degree=2).highest_degree == 2


def test_free_rays_support_logits_but_not_sigmoids_of_harmonics(folder):
    _, state = tiny_start(folder, tiny_config())
    towards = state.gaussians.means[:5] - EYE
    rays = Rays(EYE.expand(5, 3), towards)
    logits = trained_form(state.gaussians, "logit")
    plain = file_form(logits, "logit")
    found = raytrace(logits, rays, TraceSettings(colour="logit")).image
    assert torch.allclose(found, raytrace(plain, rays).image, atol=1e-5) and found.max() > 0.01
    with pytest.raises(ConfigError, match="colour sh-sigmoid is not for rays that begin anywhere: give"):
        raytrace(trained_form(state.gaussians, "sh-sigmoid"), rays, TraceSettings(colour="sh-sigmoid"))
