"""An initial scene from a measured cloud, in the frame of the dataset."""

from dataclasses import replace

import numpy as np
import torch

import sfumato
from sfumato.training.state import start
from support.capture_folders import colmap_folder
from support.surfaces import grey, sphere


def test_training_starts_from_a_measured_cloud_in_map_coordinates(tmp_path, caplog):
    place = np.array([636_000.0, 4_849_000.0, 120.0])
    found = sfumato.splat(grey(sphere(200, centre=(0, 0, 3)) + place))
    sfumato.save(found.scene, tmp_path / "scene.ply")
    init = sfumato.load(tmp_path / "scene.ply")
    capture = sfumato.load_capture(colmap_folder(tmp_path / "data"))
    # A dataset in the same map coordinates with another offset.
    capture = replace(capture, offset=(635_990.0, 4_849_020.0, 100.0))
    state = start(capture, sfumato.TrainConfig(steps=2, antialiased=True), cap=1000, init=init)
    means = state.gaussians.means.double().numpy() + capture.offset
    assert np.abs(means - place - sphere(200, centre=(0, 0, 3))).max() < 1e-4
    assert "moved to the offset of the dataset" in caplog.text
    assert torch.equal(state.gaussians.log_scales, init.log_scales)


def test_a_scene_without_an_offset_is_not_moved(tmp_path, caplog):
    capture = sfumato.load_capture(colmap_folder(tmp_path))
    plain = sfumato.Gaussians(**sfumato.splat(grey(sphere(50))).scene.tensors())
    state = start(replace(capture, offset=(1e6, 0, 0)), sfumato.TrainConfig(steps=2), cap=100, init=plain)
    assert torch.equal(state.gaussians.means, plain.means) and not caplog.records
