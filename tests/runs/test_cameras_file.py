"""Runs that refine poses: their camera file, and resuming."""

import json

import pytest
import torch

from sfumato.capture.dataset import load_capture
from sfumato.cli import main
from sfumato.runs.checkpoint import identify, load_checkpoint, save_checkpoint
from sfumato.runs.run_options import RunOptions
from support.capture_folders import colmap_folder
from support.tiny import differences, tiny_config, tiny_start, train_until


def centre(camera_from_world):
    return -camera_from_world[:3, :3].T @ camera_from_world[:3, 3]


def test_ten_and_ten_steps_are_twenty(tmp_path):
    config = tiny_config(refine_poses=True, seed=3)
    root = colmap_folder(tmp_path / "data")
    capture, whole = tiny_start(root, config)
    train_until(capture, whole, 20)
    capture, half = tiny_start(root, config)
    train_until(capture, half, 10)
    path = save_checkpoint(tmp_path / "checkpoints", half, RunOptions(root, train=config), identify(capture))
    capture = load_capture(root)
    again = load_checkpoint(path).restore(capture)
    assert half.parts["poses"].state_dict()["twists"].any()
    train_until(capture, again, 20)
    assert not differences(whole.state_dict(), again.state_dict())


def test_a_run_writes_its_cameras(tmp_path):
    data, out = colmap_folder(tmp_path / "data"), tmp_path / "run"
    assert main(["train", str(data), "-o", str(out), "--steps", "20", "--refine-poses"]) == 0
    written = json.loads((out / "cameras.json").read_text())
    assert [row["name"] for row in written["cameras"]] == ["b.png", "c.png"]
    for row, view in zip(written["cameras"], load_capture(data).train_views, strict=True):
        before, after = (torch.tensor(row[key], dtype=torch.float64) for key in ("given", "refined"))
        assert torch.equal(before, view.camera.camera_from_world)
        torch.testing.assert_close(after[:3, :3] @ after[:3, :3].T, torch.eye(3).double(), rtol=0, atol=1e-6)
        turn = (after[:3, :3] @ before[:3, :3].T).double()
        angle = torch.linalg.matrix_norm(turn - torch.eye(3)) / 2**0.5
        assert row["rotation_deg"] == pytest.approx(float(angle.rad2deg()), rel=1e-3, abs=1e-5)
        shift = centre(after) - centre(before)
        assert row["shift"] == pytest.approx(float(shift.norm()))
    for key in ("rotation_deg", "shift"):
        sizes = [row[key] for row in written["cameras"]]
        assert written[f"max_{key}"] == max(sizes) > 0
        assert written[f"median_{key}"] == pytest.approx(sum(sizes) / 2)

    assert main(["train", str(data), "-o", str(out), "--steps", "5", "--overwrite"]) == 0
    assert not (out / "cameras.json").exists(), "they were of another run"
