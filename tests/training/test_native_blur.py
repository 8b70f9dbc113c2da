"""Blur by the pixels of the original photographs, for training on downscaled ones."""

import json

import pytest

from sfumato import RasterSettings, evaluate, load, load_capture
from sfumato.capture.dataset import reduction_of
from sfumato.errors import ConfigError
from sfumato.ops.constants import BLUR_PX2
from sfumato.training.config import TrainConfig
from sfumato.training.render_settings import settings_of
from support.capture_folders import colmap_folder
from support.commands import train
from support.tiny import tiny_config, tiny_start


def test_the_blur_is_that_of_the_original_picture(tmp_path):
    root = colmap_folder(tmp_path)
    small = load_capture(root, downscale=2)
    assert reduction_of(small.views) == 2.0 and reduction_of(load_capture(root).views) == 1.0
    config = TrainConfig(native_blur=True)
    assert settings_of(config, reduction=2.0).blur_px2 == BLUR_PX2 / 4
    assert settings_of(config).blur_px2 == settings_of(TrainConfig(), reduction=2.0).blur_px2 == BLUR_PX2
    _, state = tiny_start(root, tiny_config(native_blur=True))
    assert state.settings.blur_px2 == BLUR_PX2
    with pytest.raises(ConfigError, match="leave it out with renderer trace"):
        TrainConfig(native_blur=True, renderer="trace")


def test_photographs_beyond_native_size_have_the_blur_of_their_pixels(tmp_path):
    camera = (1, "PINHOLE", 2000, 16, (1500.0, 1500.0, 1000.0, 8.0))
    assert reduction_of(load_capture(colmap_folder(tmp_path, camera=camera)).views) == 1.0


@pytest.mark.slow
def test_a_run_is_evaluated_with_its_blur(tmp_path):
    data, out = colmap_folder(tmp_path / "data"), tmp_path / "run"
    assert train(data, out, "--steps", "2", "--downscale", "2", "--native-blur") == 0
    metrics, scene = json.loads((out / "metrics.json").read_text()), load(out / "scene.ply")
    for kind, downscale, blur_px2 in (("native", 1, BLUR_PX2), ("test", 2, BLUR_PX2 / 4)):
        views = load_capture(data, downscale=downscale).test_views
        report = evaluate(scene, views, RasterSettings(blur_px2=blur_px2), lpips=False)
        assert metrics[kind]["psnr"] == pytest.approx(report.psnr, abs=1e-4)
        assert evaluate(scene, views, RasterSettings(blur_px2=1.3 * blur_px2)).psnr != pytest.approx(
            report.psnr, abs=1e-4
        )
