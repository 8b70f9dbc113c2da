"""A pillar with identical opposite sides is not reconstructed as one side."""

import json
import shutil

import numpy as np
import pytest

from sfumato.sfm import ambiguity, solving
from sfumato.sfm.config import SfmConfig
from sfumato.sfm.pipeline import structure_from_motion
from support.found import dataset, pose_errors, poses_of
from support.worlds import Face, Lens, looking, noise, photographs

pytestmark = pytest.mark.slow

SMALL = Lens(320, 240, 300.0, (160.0, 120.0))
VIEWS = 24
FEW = SfmConfig(max_features=600)


def pillar():
    """A pillar of eight sides with a texture that repeats after half a turn."""
    angles = np.radians(45.0 * np.arange(9))
    corners = np.stack([1.2 * np.sin(angles), np.full(9, -0.9), -1.2 * np.cos(angles)], axis=1)
    textures = [noise(7 + number % 4) for number in range(8)]
    return tuple(
        Face(start, end - start, np.array([0.0, 1.8, 0.0]), texture)
        for start, end, texture in zip(corners, corners[1:], textures, strict=False)
    )


def round_trip():
    """Cameras on slightly more than a full circle, so that both ends see the same side."""
    angles = np.radians(np.linspace(0.0, 390.0, VIEWS))
    return [
        looking([3.4 * np.sin(a), -0.5 + 0.2 * np.sin(2.3 * k), -3.4 * np.cos(a)], [0.0, 0.0, 0.0])
        for k, a in enumerate(angles)
    ]


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    """The true poses by name, and the reconstructed dataset, of a symmetric pillar."""
    folder = tmp_path_factory.mktemp("pillar")
    poses = photographs(folder / "shots", pillar(), round_trip(), SMALL)
    structure_from_motion([folder / "shots"], folder / "out", FEW)
    return poses, folder / "out"


def test_identical_sides_are_kept_apart(folded):
    poses, out = folded
    said = json.loads((out / "sfm.json").read_text())
    assert said["found_by"].endswith("told apart") and said["torn_pairs"] == 0
    found = poses_of(dataset(out))
    assert len(found) >= 0.9 * VIEWS
    degrees, shares = pose_errors(found, {name: poses[name] for name in found})
    assert degrees.max() < 2.0 and shares.max() < 0.03


def test_without_disambiguation_the_sides_are_merged(folded, tmp_path, monkeypatch, caplog):
    (poses, out), again = folded, tmp_path / "out"
    # Features and matches are kept; cameras are reconstructed again.
    shutil.copytree(out, again)
    shutil.rmtree(again / "work/model")
    monkeypatch.setattr(ambiguity, "resolved", lambda model, *rest: (model, False))
    # In this process, because the patch has no effect in another one.
    monkeypatch.setattr(solving, "solve", lambda problem, display: problem.solve(lambda *told: None))
    structure_from_motion([out.parent / "shots"], again, FEW)
    found = poses_of(dataset(again))
    degrees, _ = pose_errors(found, {name: poses[name] for name in found})
    assert degrees.max() > 60.0
    torn = json.loads((again / "sfm.json").read_text())["torn_pairs"]
    assert torn > 0 and f"confused: {torn} pairs of consecutive pictures" in caplog.text
