"""Training on panoramas, with both renderers."""

import logging

import pytest
import torch

import sfumato
from support.capture_folders import colmap_folder
from support.tiny import tiny_config


@pytest.mark.parametrize("renderer", ["trace", "raster"])
@pytest.mark.slow
def test_a_scene_learns_from_panoramas(tmp_path, renderer, caplog):
    names = [f"{i}.png" for i in range(4)]
    root = colmap_folder(tmp_path, names=names, camera=(1, 17, 32, 16, (32.0, 16.0)))
    with caplog.at_level(logging.WARNING, "sfumato"):
        capture = sfumato.load_capture(root)
    assert "4 of 4 pictures are panoramas" in caplog.text
    losses = []
    config = tiny_config(steps=6, renderer=renderer)
    state = sfumato.train(capture, config, callbacks=[lambda state, stats: losses.append(stats.loss)])
    assert len(losses) == 6 and all(map(torch.isfinite, torch.tensor(losses)))
    start = torch.from_numpy(capture.points.xyz)
    assert len(state.gaussians.means) >= 5
    assert (state.gaussians.means[: len(start)] != start).any()
