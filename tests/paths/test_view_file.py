"""The view with which a scene opens: its file, its comment, and how it moves with the scene."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from sfumato.cli import main
from sfumato.errors import FormatError
from sfumato.paths.best_view import orbit_from_view
from sfumato.paths.path_files import read_path
from sfumato.paths.view_file import opening_view_of, read_view, view_path, with_view, write_view
from sfumato.scene.changes import about, merged, transformed
from sfumato.scene.files import load, save
from sfumato.scene.opening_view import OpeningView, view_of_numbers
from sfumato.scene.scene import Metadata, metadata_of, with_metadata
from support.small_scenes import small_scene

VIEW = OpeningView((0.5, -1.0, -4.0), (0.1, 0.2, 0.3), (0.0, -1.0, 0.0), 42.5)


def test_a_view_is_a_path_of_one_key_frame(tmp_path):
    path = view_path(tmp_path / "cup.compressed.ply")
    assert path.name == "cup-view.json" and view_path(tmp_path).name == "view.json"
    write_view(path, VIEW)
    assert read_view(path) == VIEW
    (camera,) = read_path(path).cameras
    assert torch.allclose(camera.centre_world, torch.tensor(VIEW.position, dtype=torch.float64))
    # It looks at the target, through the middle of the picture.
    seen = camera.camera_from_world @ torch.tensor([*VIEW.target, 1.0], dtype=torch.float64)
    assert torch.allclose(seen[:2], torch.zeros(2, dtype=torch.float64), atol=1e-12) and seen[2] > 0


def test_an_earlier_view_is_replaced_and_other_files_are_not(tmp_path):
    path = tmp_path / "view.json"
    write_view(path, VIEW)
    write_view(path, replace(VIEW, fov_deg=30.0))
    assert read_view(path).fov_deg == 30.0
    path.write_text('{"version": 1, "edits": []}')
    with pytest.raises(FormatError, match="is not a file of a view"):
        write_view(path, VIEW)
    assert json.loads(path.read_text()) == {"version": 1, "edits": []}


@pytest.mark.parametrize(
    "numbers",
    [
        [0, 0, 0, 0, 0, 0, 0, -1, 0, 50],
        [0, 0, 0, 0, 1, 0, 0, -1, 0, 50],
        [0, 0, 0, 0, 0, 1, 0, -1, 0, 180],
        [0, 0, 0, 0, 0, float("inf"), 0, -1, 0, 50],
        [0, 0, 0, 0, 0, 1, 0, 0, 0, 50],
        [0, 0, 0, 0, 0, 1, 0, -1, 0],
    ],
)
def test_views_of_nothing_are_none(numbers):
    assert view_of_numbers(numbers) is None


@pytest.mark.parametrize("suffix", [".ply", ".compressed.ply"])
def test_ply_files_keep_the_view_in_a_comment(tmp_path, suffix):
    path = tmp_path / f"blobs{suffix}"
    save(with_view(small_scene(), VIEW), path)
    assert b"comment Opening view: 0.5 -1 -4" in path.read_bytes()[:2000]
    scene = load(path)
    assert metadata_of(scene).view == VIEW and opening_view_of(path, scene) == VIEW
    # The file beside it goes first.
    write_view(tmp_path / "blobs-view.json", replace(VIEW, fov_deg=20.0))
    assert opening_view_of(path, scene).fov_deg == 20.0


def test_other_formats_say_what_they_leave_out(tmp_path, caplog):
    save(with_view(small_scene(), VIEW), tmp_path / "blobs.spz")
    assert "cannot store the view" in caplog.text


def test_a_view_moves_with_its_scene():
    turn = torch.tensor([[0, -2, 0, 1], [2, 0, 0, 0], [0, 0, 2, -3], [0, 0, 0, 1]], dtype=torch.float64)
    view = metadata_of(transformed(with_view(small_scene(), VIEW), turn)).view
    assert view.position == (3.0, 1.0, -11.0) and view.fov_deg == 42.5
    assert np.allclose(view.target, (0.6, 0.2, -2.4)) and np.allclose(view.up, (2.0, 0.0, 0.0))
    mapped = with_metadata(small_scene(), Metadata(offset=(10.0, 0.0, 0.0), view=VIEW))
    assert np.allclose(metadata_of(about(mapped, (9.0, 0.0, 0.0))).view.position, (1.5, -1.0, -4.0))
    assert metadata_of(merged(small_scene(), with_view(small_scene(), VIEW))).view == VIEW


def test_edit_puts_a_view_into_the_file_and_films_start_there(tmp_path, capsys):
    save(small_scene(), tmp_path / "blobs.ply")
    write_view(tmp_path / "mine.json", VIEW)
    words = ["edit", str(tmp_path / "blobs.ply"), "-o", str(tmp_path / "new.ply")]
    assert main([*words, "--view", str(tmp_path / "mine.json")]) == 0
    scene = load(tmp_path / "new.ply")
    assert metadata_of(scene).view == VIEW
    orbit = orbit_from_view(scene, VIEW, VIEW.up)
    assert np.allclose(orbit.start, VIEW.position) and np.allclose(orbit.target, VIEW.target)
    assert orbit.covered_rad[0] <= 0 <= orbit.covered_rad[1]
