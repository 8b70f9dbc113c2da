"""`sfumato render` of dynamic scenes: time advances along the path."""

import json

import numpy as np
import pytest
from PIL import Image

from sfumato.cli import main
from sfumato.paths.path_files import read_path, write_cameras
from sfumato.render.rasterize import rasterize
from sfumato.render.settings import RasterSettings
from sfumato.scene.files.dynamic_files import save_dynamic
from support.moving_scenes import cameras, tracked_scene


@pytest.fixture
def folder(tmp_path):
    save_dynamic(tracked_scene(), tmp_path / "run")
    write_cameras(tmp_path / "path.json", cameras(5))
    return tmp_path


def render(folder, *words, scene="run"):
    given = ["render", folder / scene, "-o", folder / "frames", "--path", folder / "path.json", *words]
    return main([str(word) for word in given])


def picture(folder, number):
    return np.asarray(Image.open(folder / "frames" / f"{number:05d}.png"), np.float32) / 255


def expected(folder, time, number):
    camera = read_path(folder / "frames/render.json")[number]
    return rasterize(tracked_scene().at(time), camera, RasterSettings()).image.clamp(0, 1).numpy()


@pytest.mark.parametrize(
    ("words", "times"),
    [
        ((), [0, 0.025, 0.05, 0.075, 0.1]),
        (("--time-from", 0.02, "--time-to", 0.06), [0.02, 0.03, 0.04, 0.05, 0.06]),
        (("--at", 0.05), [0.05] * 5),
    ],
)
def test_time_advances_uniformly_along_the_path(folder, words, times):
    assert render(folder, *words) == 0
    for number in (0, 3):
        difference = np.abs(picture(folder, number) - expected(folder, times[number], number))
        assert difference.max() < 0.01
    moment = 0.1 if times[3] < 0.1 else 0
    assert np.abs(picture(folder, 3) - expected(folder, moment, 3)).max() > 0.05, "the moment is seen"


def test_frames_of_other_times_are_not_reused(folder, capsys):
    assert render(folder, "--at", 0.05) == 0
    assert len(json.loads((folder / "frames/render.json").read_text())["times"]) == 5
    assert render(folder, "--at", 0.05) == 0
    assert render(folder, "--at", 0.06) == 2
    assert "frames of another scene or path" in capsys.readouterr().err


def test_depths_of_a_path_share_one_range(folder):
    save_dynamic(tracked_scene(), folder / "a.4dgs")
    assert render(folder, "--depth", "--normals", scene="a.4dgs") == 0
    for kind in ("depth", "normals"):
        assert len(list((folder / "frames" / kind).glob("*.png"))) == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--at", 0.05, "--time-to", 0.1), "--at selects a single moment"),
        (("--at", 0.2), "the scene lasts from 0 to 0.1 s"),
        (("--time-from", 0.06, "--time-to", 0.05), "the scene lasts from 0 to 0.1 s"),
        (("--repair",), "--repair is for static scenes"),
    ],
)
def test_wrong_times_are_one_line(folder, capsys, words, said):
    assert render(folder, *words) == 2
    assert said in capsys.readouterr().err


def test_static_scenes_refuse_times(folder, capsys):
    assert render(folder, "--time-to", 0.05, scene="run/scene.ply") == 2
    assert "--time-to is for dynamic scenes" in capsys.readouterr().err
