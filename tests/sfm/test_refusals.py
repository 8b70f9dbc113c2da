"""Unusable input gives an error of one line, and code 2 at the command line."""

import shutil

import numpy as np
import pytest
from PIL import Image

from sfumato.cli import main
from sfumato.errors import CaptureError, ConfigError
from sfumato.sfm.config import SfmConfig
from sfumato.sfm.pipeline import structure_from_motion
from support.found import Stop, Watch
from support.shots import QUICK
from support.worlds import PINHOLE, arc, render, room


def refused(capsys, *arguments):
    """The single line on stderr of a run that ends with code 2."""
    assert main(["sfm", *map(str, arguments)]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(lines) == 1 and lines[0].startswith("sfumato: error: ")
    return lines[0]


def shades(folder, count=4):
    """Distinct pictures of bright walls, without features."""
    folder.mkdir()
    for number in range(count):
        ramp = np.linspace(255 - 30 * number, 255 - 8 * number, 160)
        picture = np.broadcast_to(np.clip(ramp, 0, 255)[None, :, None], (120, 160, 3))
        picture = np.rot90(picture, number) if number % 2 == 0 else picture[:, ::-1]
        Image.fromarray(np.ascontiguousarray(picture).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.mark.slow
def test_white_pictures(tmp_path, capsys):
    line = refused(capsys, shades(tmp_path / "white"), "-o", tmp_path / "out")
    assert "0 of 4 pictures show any texture" in line and "patterns" in line
    assert not (tmp_path / "out/sfm.json").exists() and not (tmp_path / "out/images").exists()


def test_two_pictures(tmp_path, capsys, shots):
    for name in ("00.png", "01.png"):
        (tmp_path / "two").mkdir(exist_ok=True)
        shutil.copy(shots.folder / name, tmp_path / "two")
    line = refused(capsys, tmp_path / "two", "--out", tmp_path / "out")
    assert str(tmp_path / "two") in line and "only 2 distinct usable pictures" in line


@pytest.mark.slow
def test_pictures_of_different_places(tmp_path):
    (tmp_path / "photos").mkdir()
    for seed in range(3):
        picture = render(room(20 + seed), arc(3)[seed], PINHOLE)[40:264, 40:360]
        Image.fromarray(picture).save(tmp_path / f"photos/{seed}.png")
    with pytest.raises(CaptureError, match="photos: no cameras could be found: fewer than 3 of 3"):
        structure_from_motion([tmp_path / "photos"], tmp_path / "out", SfmConfig(max_features=300))


@pytest.mark.parametrize("name", ["images", "sparse"])
def test_a_folder_of_another_program_is_not_touched(tmp_path, capsys, shots, name):
    precious = tmp_path / "out" / name / "precious.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("mine")
    line = refused(capsys, shots.folder, "-o", tmp_path / "out")
    assert str(tmp_path / "out" / name) in line and "not made here" in line
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("out", [".", "..", "inside", "inside/deeper"])
def test_output_and_input_in_one_place(tmp_path, shots, out):
    """A second run would use the pictures of the first one as photographs."""
    photos = tmp_path / "out/images"
    shutil.copytree(shots.folder, photos)
    before = sorted(photos.iterdir())
    with pytest.raises(ConfigError, match="give another"):
        structure_from_motion([photos], photos / out, QUICK)
    assert sorted(photos.iterdir()) == before


def test_missing_input(tmp_path, capsys):
    assert str(tmp_path / "nix") in refused(capsys, tmp_path / "nix", "-o", tmp_path / "out")


def test_no_input(tmp_path, capsys):
    assert "INPUT" in refused(capsys, "-o", tmp_path / "out")


def test_output_that_is_a_file(tmp_path, capsys, shots):
    (tmp_path / "out").write_text("mine")
    assert str(tmp_path / "out") in refused(capsys, shots.folder, "-o", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(
    ("option", "value"),
    [("minutes", 0.0), ("minutes", float("nan")), ("feature_side_px", 10), ("max_features", 1)],
)
def test_options_out_of_range(option, value):
    with pytest.raises(ConfigError, match=option):
        SfmConfig(**{option: value})


def test_two_runs_into_one_folder(tmp_path, shots):
    class Intruder(Watch):
        def counting(self, title, things):
            with pytest.raises(ConfigError, match="another process"):
                structure_from_motion([shots.folder], tmp_path / "out", QUICK)
            raise Stop

    with pytest.raises(Stop):
        structure_from_motion([shots.folder], tmp_path / "out", QUICK, display=Intruder())
