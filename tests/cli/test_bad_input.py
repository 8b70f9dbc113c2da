"""Invalid datasets end with code 2 and one line that says what is wrong and what to do."""

import json
import shutil

import pytest

from support.capture_folders import (
    NAMES,
    PINHOLE,
    image_rows,
    picture,
    save,
    write_colmap_bin,
    write_transforms,
)
from support.command_line import SHORT, says


def test_missing_folder(cli, tmp_path):
    says(cli.refuses(data=tmp_path / "nix"), str(tmp_path / "nix"), "give the folder")


def test_folder_without_cameras(cli):
    shutil.rmtree(cli.data / "sparse")
    says(cli.refuses(), str(cli.data), "transforms")


def test_missing_image(cli):
    (cli.data / "images/b.png").unlink()
    says(cli.refuses(), "b.png")


def test_file_that_is_not_an_image(cli):
    (cli.data / "images/b.png").write_bytes(b"this is not a picture")
    says(cli.refuses(), "b.png")


def test_image_that_breaks_while_training(cli):
    path = cli.data / "images/c.png"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    says(cli.refuses(*SHORT), "c.png")


def test_camera_of_a_missing_image(cli):
    write_colmap_bin(cli.data / "sparse/0", [PINHOLE], image_rows((*NAMES, "ghost.png")))
    says(cli.refuses(), "ghost.png")


def test_pose_of_nan(cli):
    rows = image_rows(NAMES)
    rows[1] = (rows[1][0], (float("nan"), 0.0, 0.0, 0.0), rows[1][2], rows[1][3])
    write_colmap_bin(cli.data / "sparse/0", [PINHOLE], rows)
    says(cli.refuses(), "b.png")


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images(cli, count):
    write_colmap_bin(cli.data / "sparse/0", [PINHOLE], image_rows(NAMES[:count]))
    line = cli.refuses()
    assert "image" in line or "photograph" in line


def test_images_of_another_shape_than_their_camera(cli):
    save(cli.data / "images/b.png", picture(24, 32))
    says(cli.refuses(), "b.png", "24x32", "32x24")


def test_images_of_different_sizes_work(cli):
    wide = (2, "PINHOLE", 40, 20, (30.0, 31.0, 20.5, 10.5))
    rows = image_rows(NAMES)
    rows[2] = (*rows[2][:3], 2)
    write_colmap_bin(cli.data / "sparse/0", [PINHOLE, wide], rows)
    save(cli.data / "images/c.png", picture(40, 20))
    assert cli.train(*SHORT) == 0
    assert json.loads((cli.out / "metrics.json").read_text())["train"]["steps"] == 4


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
@pytest.mark.parametrize("keep", [0, 5, -7])
def test_truncated_model(cli, name, keep):
    path = cli.data / "sparse/0" / name
    path.write_bytes(path.read_bytes()[:keep])
    says(cli.refuses(), name)


def test_transforms_that_are_no_json(cli, tmp_path):
    (tmp_path / "blender").mkdir()
    (tmp_path / "blender/transforms.json").write_text("{")
    says(cli.refuses(data=tmp_path / "blender"), "transforms.json")


def test_transforms_with_a_pose_of_nan(cli, tmp_path):
    root = tmp_path / "set"
    for name in ("a.png", "b.png"):
        save(root / name, picture())
    path = write_transforms(root / "transforms.json", ["a.png", "b.png"], fl_x=30.0)
    path.write_text(path.read_text().replace("0.5", "NaN", 1))
    says(cli.refuses(data=root), "transforms.json")


@pytest.mark.parametrize("verb", ["train", "reconstruct", "render", "eval"])
def test_a_device_that_is_not_there(cli, verb):
    out = [] if verb == "eval" else ["-o", str(cli.out)]
    said = cli.complains([verb, str(cli.data), *out, "--device", "abacus"])
    says(said, "device 'abacus' is not available: give auto or cpu")
    assert not cli.out.exists()


def test_photographs_without_cameras_get_the_command_that_finds_them(cli):
    photographs = cli.data / "images"
    says(cli.refuses(data=photographs), f"sfumato sfm {photographs} -o DATASET finds the cameras")
    says(cli.refuses(data=photographs / "a.png"), "a.png is a file that names no cameras", "sfumato sfm")


def test_whole_numbers_may_be_written_as_floats(cli):
    assert cli.train("--steps", "4e0") == 0
    assert json.loads((cli.out / "metrics.json").read_text())["train"]["steps"] == 4
