"""The file of refined poses of a run."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from sfumato.errors import FormatError
from sfumato.paths.look import looking_at, pinhole
from sfumato.runs.cameras_file import with_refined_poses, write_cameras
from sfumato.scene.cameras import Camera
from sfumato.training.config import TrainConfig
from sfumato.training.parts.poses import Poses


@dataclass(frozen=True)
class Standing:
    name: str
    camera: Camera


@pytest.fixture
def views():
    places = ((0, 0, -4), (1, 0, -4), (0, 1, -5))
    return [
        Standing(f"{i}.jpg", pinhole(looking_at(p, (0, 0, 0)), (32, 24), 50.0)) for i, p in enumerate(places)
    ]


@pytest.fixture
def poses(views):
    poses = Poses.of(views, 4.0, TrainConfig())
    with torch.no_grad():
        poses.parameters()["twists"] += 0.01 * torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    return poses


def test_round_trip(views, poses, tmp_path):
    path = tmp_path / "cameras.json"
    assert with_refined_poses(path, views) == tuple(views)
    write_cameras(path, views, poses)
    for number, (view, read) in enumerate(zip(views, with_refined_poses(path, views), strict=True)):
        wanted = poses.refined(view.camera, number).camera_from_world.detach()
        np.testing.assert_allclose(read.camera.camera_from_world, wanted, atol=1e-9)
        assert read.name == view.name and not torch.allclose(wanted, view.camera.camera_from_world)


def test_files_of_other_photographs_and_damaged_ones_are_named(views, poses, tmp_path):
    path = tmp_path / "cameras.json"
    write_cameras(path, views, poses)
    document = json.loads(path.read_text())
    moved = [Standing(view.name, poses.refined(view.camera, 0)) for view in views]
    with pytest.raises(FormatError, match="has another pose"):
        with_refined_poses(path, moved)
    with pytest.raises(FormatError, match="not belong to these photographs"):
        with_refined_poses(path, [Standing("other.jpg", views[0].camera)])
    document["cameras"][1]["refined"][0][0] = 7.0
    for text in (json.dumps(document), "{}", "[", '{"cameras": [{"name": []}]}', '{"cameras": 3}'):
        path.write_text(text)
        with pytest.raises(FormatError, match=r"cameras\.json"):
            with_refined_poses(path, views)
