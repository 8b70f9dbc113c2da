"""A training step runs on the scene's device without synchronisation, tested on a device without data."""

from dataclasses import replace

import pytest

from sfumato.scene.lenses import Lens
from sfumato.scene.shutter import Shutter
from sfumato.training import state as states
from sfumato.training.config import AdcConfig, Schedule
from sfumato.training.step import train_step
from support.fake_device import fake_device, without_waiting
from support.tiny import tiny_config, tiny_start

# Refinement synchronises, because the resulting number of Gaussians depends on their values.
UNREFINED = Schedule(refine_every=1000, refine_from=0.0, refine_until=0.9, poses_from=0.0)
CONFIGS = {
    "raster": {},
    "trace": {"renderer": "trace"},
    "antialiased": {"antialiased": True},
    "mcmc": {"strategy": "mcmc"},
    "exposure": {"exposure": True},
    "poses": {"refine_poses": True},
    "traced poses": {"refine_poses": True, "renderer": "trace"},
    "noise": {"adc": AdcConfig(noise=1.0)},
    "opacity reset": {"adc": AdcConfig(reset_opacity_every=2)},
    "logit": {"colour": "logit", "sh_degree": 0},
    "mse": {"pixel_loss": "mse"},
    "surface": {"surface_weight": 0.05},
    "batch": {"batch_size": 2},
    "average": {"schedule": replace(UNREFINED, settle_from=0.0)},
}
FISHEYE = Lens("opencv_fisheye", (0.02, 0.0, 0.0, 0.0))
# Tracing with a rolling shutter synchronises, because it depends on the distance of the scene.
BENT = [("raster", "fisheye"), ("raster", "rolling"), ("trace", "fisheye")]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_step_does_not_synchronise(name, data, monkeypatch):
    # This device has no random generator; numbers are generated on the host and copied.
    monkeypatch.setattr(states, "generator_on", lambda device, host: host)
    config = tiny_config(**{"schedule": UNREFINED, **CONFIGS[name]})
    with fake_device() as device:
        _, state = tiny_start(data, config, device)
        with without_waiting():
            for _ in range(2):
                stats = train_step(state, [state.sampler.next() for _ in range(config.batch_size)])
    assert {tensor.device for tensor in state.population.gaussians.tensors().values()} == {device}
    assert stats.gaussians == len(state.population) and stats.loss_tensor.device == device
    with pytest.raises(RuntimeError, match="meta"):
        _ = stats.loss


def bent(view, kind):
    """A photograph with another lens, or by a moving camera."""
    camera = view.camera
    end = camera.camera_from_world.clone()
    end[0, 3] += 0.01
    changes = {"lens": FISHEYE} if kind == "fisheye" else {"shutter": Shutter(end)}
    return replace(view, camera=replace(camera, **changes))


@pytest.mark.parametrize(("renderer", "kind"), BENT)
def test_a_step_on_a_distorted_picture_does_not_synchronise(renderer, kind, data, monkeypatch):
    monkeypatch.setattr(states, "generator_on", lambda device, host: host)
    config = tiny_config(schedule=UNREFINED, refine_poses=True, renderer=renderer)
    with fake_device() as device:
        _, state = tiny_start(data, config, device)
        state.views = tuple(bent(view, kind) for view in state.views)
        with without_waiting():
            stats = train_step(state, [0])
    assert stats.loss_tensor.device == device


def test_a_run_of_the_host_resumes_on_a_device(data, monkeypatch):
    monkeypatch.setattr(states, "generator_on", lambda device, host: host)
    config = tiny_config(schedule=UNREFINED, exposure=True)
    capture, state = tiny_start(data, config)
    train_step(state, [0])
    with fake_device() as device:
        moved = states.restore(state.state_dict(), capture, config, device)
        train_step(moved, [1])
    tensors = [*moved.population.trained.values(), *moved.parts["exposure"].parameters().values()]
    assert {tensor.device for tensor in tensors} == {device}
    assert moved.step == state.step + 1
