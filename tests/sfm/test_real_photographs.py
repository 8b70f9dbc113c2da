"""Photographs of a real house: the front of the palace of Sceaux, taken by hand while walking along it."""

import json

import pytest

from sfumato.sfm.config import SfmConfig
from sfumato.sfm.pipeline import structure_from_motion
from support.found import dataset
from support.real_data import real_data

pytestmark = pytest.mark.slow


def test_photographs_of_a_house(tmp_path):
    photos = real_data("sceaux") / "images"
    config = SfmConfig(feature_side_px=480, max_features=800)
    result = structure_from_motion([photos], tmp_path / "out", config)
    assert result.verdict == "good" and result.quality.registered == 11
    assert result.quality.error_px < 1.0 and result.quality.points > 500
    report = json.loads((tmp_path / "out/sfm.json").read_text())
    (camera,) = report["cameras"]
    calibrated_px = 2905.88 / 2  # Published with the photographs, for twice this size.
    assert camera["params"][0] == pytest.approx(calibrated_px, rel=0.05)
    (written,) = dataset(tmp_path / "out").cameras.values()
    assert (written.width % 8, written.height % 8) == (0, 0)
    assert report["world"]["gravity_from"] == "level pictures"
