"""What is compiled before a run."""

from dataclasses import replace

import pytest
import torch

from sfumato.scene.cameras import Camera
from sfumato.scene.lenses import Lens
from sfumato.scene.shutter import Shutter
from sfumato.train import warm_up
from sfumato.train.config import TrainConfig

POSE = torch.eye(4, dtype=torch.float64)
PLAIN = Camera(POSE, (30.0, 30.0), (16.0, 16.0), (32, 32))
BENT = replace(PLAIN, lens=Lens("opencv", (0.01, 0.0, 0.0, 0.0)))
ROLLING = replace(PLAIN, shutter=Shutter(POSE))


@pytest.mark.parametrize("cameras", [(), (PLAIN,), (BENT, PLAIN, BENT), (ROLLING, PLAIN)])
def test_steps_are_taken_with_every_kind_of_camera(cameras, monkeypatch):
    met = []

    def step(state, view, index, config):
        met.append((view.camera.lens.model, view.camera.shutter is not None))

    monkeypatch.setattr(warm_up, "train_step", step)
    monkeypatch.setattr(warm_up, "drawn", lambda *_, **__: lambda camera: None)
    warm_up.take_steps(TrainConfig(), warm_up._kinds(cameras))
    wanted = {(camera.lens.model, camera.shutter is not None) for camera in cameras or (PLAIN,)}
    assert set(met) == wanted and len(met) == 4 * len(wanted)


def test_kinds_of_cameras_have_stamps_of_their_own():
    stamps = {warm_up._stamp(TrainConfig(), warm_up._kinds([camera])) for camera in (PLAIN, BENT, ROLLING)}
    assert len(stamps) == 3
    assert warm_up._stamp(TrainConfig(), warm_up._kinds([])) in stamps
