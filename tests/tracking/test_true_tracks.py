"""Tracks of a scene compared with true ones."""

import numpy as np
import pytest
import torch

from sfumato.errors import CaptureError
from sfumato.tracking.true_tracks import find_true_tracks, track_errors
from support.moving_scenes import MOVING, tracked_scene

STEPS = 4
NOWHERE = (0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def scene():
    return tracked_scene(STEPS)


def test_right_tracks_have_no_error(scene):
    errors = track_errors(scene, scene.means[:, ::7].clone())
    assert errors["mte"] < 1e-5 and errors["delta"] == 1 and errors["survival"] == 1
    assert errors["count"] == len(range(0, MOVING, 7)) and errors["unit"] == "m"


def test_an_error_of_three_centimetres_is_one(scene):
    true = scene.means[:, ::7].clone()
    true[1:] += torch.tensor([0.03, 0.0, 0.0])
    errors = track_errors(scene, true)
    assert errors["mte"] == pytest.approx(0.03, abs=1e-4)
    # Within 4, 8 and 16 cm, and not within 1 and 2.
    assert errors["delta"] == pytest.approx(0.6)


def test_a_lost_track_survives_until_it_is_lost(scene):
    true = scene.means[:, ::7].clone()
    true[3] += 1.0
    assert track_errors(scene, true)["survival"] == pytest.approx(2 / 3)


def test_late_points_are_followed_from_their_first_step(scene):
    true = scene.means[:, ::7].clone()
    true[:2] = torch.nan
    errors = track_errors(scene, true)
    assert errors["mte"] < 1e-4 and errors["count"] == true.shape[1]


def test_tracks_are_read_from_files(tmp_path):
    points = np.random.default_rng(0).normal(size=(3, 5, 3))
    np.savez(tmp_path / "tracks.npz", points=points, object=np.array([0, 1, 1, 0, 2]))
    found = find_true_tracks(tmp_path, (1.0, 0.0, 0.0))
    np.testing.assert_allclose(found, points[:, [1, 2, 4]] - [1, 0, 0], rtol=1e-6, atol=1e-6)
    np.savez(tmp_path / "tracks.npz", points=points)
    assert find_true_tracks(tmp_path, NOWHERE).shape == (3, 5, 3)
    (tmp_path / "tracks.npz").write_text("text")
    with pytest.raises(CaptureError, match=r"tracks\.npz"):
        find_true_tracks(tmp_path, NOWHERE)
    assert find_true_tracks(tmp_path / "none", NOWHERE) is None
