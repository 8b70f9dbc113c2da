"""Every option of training has an effect: none is unused."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from sfumato.capture.dataset import load_capture
from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import AdcConfig, McmcConfig, TrainConfig
from sfumato.training.plan import make_plan
from sfumato.training.state import start
from support.capture_folders import colmap_folder, picture, save
from support.tiny import CAP, differences, tiny_config, train_until

STEPS = 20
# The value of each field, and the other options under which it has an effect.
BASES = {
    "rates.exposure": {"exposure": True},
    "rates.pose_rotations": {"refine_poses": True},
    "rates.pose_translations": {"refine_poses": True},
    "schedule.poses_from": {"refine_poses": True},
    "adc": {"adc": AdcConfig(threshold=1e-9, prune_opacity=0.02, absolute_gradient=True)},
    "mcmc": {"strategy": "mcmc", "mcmc": McmcConfig(growth=1.5)},
}
CHANGED = {
    "clearance": 0.999,
    "steps": 24,
    "seed": 1,
    "strategy": "mcmc",
    "max_gaussians": 6,
    "ssim_weight": 0.5,
    "pixel_loss": "mse",
    "sh_degree": 1,
    "colour": "logit",
    "renderer": "trace",
    "antialiased": True,
    "native_blur": True,
    "random_background": False,
    "exposure": True,
    "refine_poses": True,
    "surface_weight": 5.0,
    "batch_size": 2,
    "crops": 2,
    "frozen": ("quats",),
    "schedule.half_resolution_until": 0.9,
    "schedule.quarter_resolution_until": 0.5,
    "schedule.sh_raises": (0.0, 0.1, 0.2),
    "schedule.refine_from": 0.8,
    "schedule.refine_until": 0.2,
    "schedule.refine_every": 3,
    "schedule.refine_share": 0.75,
    "adc.absolute_gradient": False,
    "adc.threshold": 1.0,
    "adc.split_scale": 10.0,
    "adc.prune_opacity": 0.1,
    "adc.prune_scale": 0.2,
    "adc.reset_opacity_every": 3,
    "mcmc.dead_opacity": 0.3,
}

# Downscaling of pictures, for fields that have an effect only then.
REDUCED = {"native_blur": 2}


def names(config, prefix=""):
    for f in fields(config):
        value = getattr(config, f.name)
        yield from names(value, f"{prefix}{f.name}.") if is_dataclass(value) else [prefix + f.name]


FIELDS = [name for name in names(TrainConfig()) if name != "minutes"]


def with_value(config, name, value):
    head, _, rest = name.partition(".")
    return replace(config, **{head: with_value(getattr(config, head), rest, value) if rest else value})


def value_of(config, name):
    for part in name.split("."):
        config = getattr(config, part)
    return config


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Pictures with transparency, so that a background shows."""
    root = colmap_folder(tmp_path_factory.mktemp("fields"))
    for path in (root / "images").iterdir():
        save(path, np.dstack([picture(seed=3), picture(seed=4)[..., 0]]))
    return root


def trained(data, config, downscale=1):
    capture = load_capture(data, alpha="transparency", downscale=downscale)
    cap = make_plan(capture, config, start_count=CAP).cap
    state = start(capture, config, cap=cap)
    spread = Gaussians(*(tensor.clone() for tensor in state.gaussians.tensors().values()))
    # Opacities and sizes on both sides of every threshold of a strategy.
    along = spread.means[:, 0] - spread.means[:, 0].mean()
    spread.logit_opacities[:] += 2.0 * along
    spread.log_scales[:] += 5.0 * along[:, None]
    state = start(capture, config, cap=cap, init=spread)
    return train_until(capture, state, STEPS).state_dict()


_RESULTS = {}


def result(data, config, downscale=1):
    if (config, downscale) not in _RESULTS:
        _RESULTS[config, downscale] = trained(data, config, downscale)
    return _RESULTS[config, downscale]


@pytest.mark.parametrize("name", FIELDS)
def test_every_option_changes_something(data, name):
    base = tiny_config(**(BASES.get(name) or BASES.get(name.split(".")[0]) or {}))
    old = value_of(base, name)
    value = CHANGED[name] if name in CHANGED else 0.5 * old if old else 1.0
    assert value != old
    configs = base, with_value(base, name, value)
    assert differences(*(result(data, config, REDUCED.get(name, 1)) for config in configs))


@pytest.mark.slow
def test_a_run_repeats(data):
    assert not differences(trained(data, tiny_config()), trained(data, tiny_config()))
