"""Realistic input: two scenes, duplicates, blur, unusual names."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from sfumato.sfm.pipeline import structure_from_motion
from support.found import Watch, dataset, pose_errors, poses_of
from support.shots import QUICK
from support.worlds import PINHOLE, arc, photographs, room

pytestmark = pytest.mark.slow

FEW = replace(QUICK, max_features=400)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Seven pictures of one room, one of them blurred, two copies, and three pictures of another room."""
    folder = tmp_path_factory.mktemp("mixed") / "Фото aus Köln (1)"
    true = photographs(folder, room(), arc(7, degrees=50), PINHOLE, name="bild {} ä.png")
    photographs(folder, room(7), arc(3, degrees=15), PINHOLE, name="other {}.png")
    with Image.open(folder / "bild 2 ä.png") as image:
        image.convert("RGB").save(folder / "zz copy.jpg", quality=95)
    with Image.open(folder / "bild 6 ä.png") as image:
        image.filter(ImageFilter.GaussianBlur(14)).save(folder / "bild 6 ä.png")
    out = folder.parent / "результат 1"
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logging.getLogger("sfumato").addHandler(handler)
    watch = Watch()
    try:
        structure_from_motion([folder], out, FEW, display=watch)
    finally:
        logging.getLogger("sfumato").removeHandler(handler)
    return out, {name.replace(" ", "_"): pose for name, pose in true.items()}, watch, records


def test_the_larger_scene_is_used(mixed):
    out, true, _, _ = mixed
    found = poses_of(dataset(out))
    assert set(found) == {f"bild_{number}_ä.png" for number in range(6)}
    degrees, shares = pose_errors(found, true)
    assert np.median(degrees) < 0.5 and np.median(shares) < 0.01


def test_missing_pictures_are_reported_with_reasons(mixed):
    out, _, watch, records = mixed
    report = json.loads((out / "sfm.json").read_text("utf-8"))
    missing = {entry["name"]: entry["reason"] for entry in report["missing"]}
    assert set(missing) == {"bild_6_ä.png", "other_0.png", "other_1.png", "other_2.png"}
    assert missing["bild_6_ä.png"].startswith("blurred")
    assert all("another place" in missing[f"other_{number}.png"] for number in range(3))
    (copy,) = report["left_out"]
    assert copy["source"].endswith("zz copy.jpg") and "near duplicate of bild_2_ä" in copy["reason"]
    assert report["verdict"] == "usable" and "only 6 of 10" in report["against"][0]
    assert any("bild_6_ä.png: blurred" in line for line in watch.lines)
    assert report["other_models"] == 1
    assert any("form a group without overlap with the others" in record for record in records)


def test_exhaustive_matching_is_not_repeated(mixed):
    _, _, watch, _ = mixed
    assert watch.titles.count("matching") == watch.titles.count("finding cameras") == 1
