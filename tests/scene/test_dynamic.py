"""Dynamic scenes: poses between steps, lifetimes, and the file of tracks."""

import dataclasses
import math
import zipfile

import numpy as np
import pytest
import torch

from sfumato.errors import ConfigError, FormatError, ShapeError
from sfumato.scene.dynamic import DynamicScene, slerp
from sfumato.scene.files.tracks import read_tracks, write_tracks
from sfumato.scene.gaussians import Gaussians


def gaussians(n=5):
    torch.manual_seed(0)
    return Gaussians(
        torch.randn(n, 3), torch.randn(n, 3), torch.randn(n, 4), torch.randn(n), torch.randn(n, 1, 3)
    )


def turned(angle):
    return torch.tensor([math.cos(angle / 2), 0.0, 0.0, math.sin(angle / 2)])


@pytest.fixture
def scene():
    """Rows 1, 2 and 4 of five move over four unevenly spaced steps; row 2 is born late, row 4 dies early."""
    times = torch.tensor([0.0, 0.5, 1.5, 2.0], dtype=torch.float64)
    means = torch.stack([torch.stack([t * torch.tensor([1.0, 2.0, 3.0])] * 3) for t in times.float()])
    quats = torch.stack([torch.stack([turned(0.8 * t)] * 3) for t in times.tolist()])
    birth, death = torch.tensor([0, 2, 0]), torch.tensor([4, 4, 2])
    for row in range(3):
        steps = torch.arange(4)
        gone = (steps < birth[row]) | (steps >= death[row])
        means[gone, row], quats[gone, row] = torch.nan, torch.nan
    return DynamicScene(gaussians(), torch.tensor([1, 2, 4]), times, means, quats, birth, death)


def test_uniform_motion_is_interpolated_exactly(scene):
    for time in (0.0, 0.2, 0.5, 0.9, 1.7, 2.0):
        now = scene.at(time)
        row = now.identities.tolist().index(1)
        torch.testing.assert_close(now.means[row], time * torch.tensor([1.0, 2.0, 3.0]), atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(now.quats[row], turned(0.8 * time), atol=1e-6, rtol=1e-6)


def test_static_gaussians_are_unchanged(scene):
    now = scene.at(0.7)
    for row in (0, 3):
        assert torch.equal(now.means[now.identities == row], scene.gaussians.means[row : row + 1])


def test_lifetimes_are_half_open(scene):
    assert scene.at(0.0).identities.tolist() == [0, 1, 3, 4]
    assert scene.at(0.9).identities.tolist() == [0, 1, 3, 4]
    assert scene.at(1.5).identities.tolist() == [0, 1, 2, 3]
    assert scene.at(0.9).means.isfinite().all()


def test_time_is_held_at_the_ends_and_recorded(scene):
    assert torch.equal(scene.at(-3).means, scene.at(0.0).means)
    assert torch.equal(scene.at(9.0).means, scene.at(2.0).means)
    assert scene.at(0.7).metadata.time == 0.7
    with pytest.raises(ConfigError, match="time is nan"):
        scene.at(math.nan)


def test_curves_through_steps_are_smooth(scene):
    """The velocities just before and just after a step are equal."""
    torch.manual_seed(1)
    bumpy = dataclasses.replace(
        scene, means=torch.randn(4, 3, 3), birth=torch.zeros(3, dtype=torch.int64), death=torch.full((3,), 4),
        quats=scene.quats[:1, :1].expand(4, 3, 4),
    )  # fmt: skip
    bumpy = dataclasses.replace(bumpy, gaussians=gaussians().to(torch.float64), means=bumpy.means.double(),
                                quats=bumpy.quats.double())  # fmt: skip
    small = 1e-5
    for step in (0.5, 1.5):
        before = (bumpy.at(step).means - bumpy.at(step - small).means) / small
        after = (bumpy.at(step + small).means - bumpy.at(step).means) / small
        # The error of both is half the second derivative, below 100 here, times the step.
        torch.testing.assert_close(before, after, atol=100 * small, rtol=0)


def test_slerp_takes_the_short_way_and_its_ends():
    first, last = turned(0.2)[None], -turned(1.4)[None]
    for share in (0.0, 0.25, 1.0):
        between = slerp(first, last, share)
        expected = turned(0.2 + share * 1.2)[None]
        torch.testing.assert_close(between * between[:, :1].sign(), expected, atol=3e-6, rtol=0)
    torch.testing.assert_close(slerp(first, first, 0.3), first, atol=1e-6, rtol=0)


def test_tracks_survive_a_round_trip(scene, tmp_path):
    write_tracks(scene, tmp_path / "tracks.npz")
    back = read_tracks(tmp_path / "tracks.npz", scene.gaussians)
    for field in ("ids", "times", "means", "quats", "birth", "death"):
        torch.testing.assert_close(
            getattr(back, field), getattr(scene, field), atol=0, rtol=0, equal_nan=True
        )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ids": np.array([1, 2, 9])}, "does not belong"),
        ({"ids": np.array([1, 1, 2])}, "does not belong"),
        ({"ids": np.array([1.0, 2, 4])}, "it is float64"),
        ({"means": np.zeros((4, 2, 3), np.float32)}, "means are"),
        ({"means": np.full((4, 3, 3), np.inf, np.float32)}, "not a finite number"),
        ({"quats": np.zeros((4, 3, 4), np.float32)}, "not a quaternion of length one"),
        ({"death": np.array([4, 4, 7])}, "not a finite number"),
        ({"birth": None}, "no array 'birth'"),
        ({"times": np.array([0.0, np.nan, 1, 2])}, "does not belong"),
    ],
)
def test_files_that_are_wrong_are_refused(scene, tmp_path, change, words):
    write_tracks(scene, tmp_path / "tracks.npz")
    with np.load(tmp_path / "tracks.npz") as file:
        arrays = {**file, **change}
    np.savez(tmp_path / "tracks.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(FormatError, match=words):
        read_tracks(tmp_path / "tracks.npz", scene.gaussians)


def test_a_wrong_shape_allocates_no_memory(scene, tmp_path):
    write_tracks(scene, tmp_path / "tracks.npz")
    with zipfile.ZipFile(tmp_path / "tracks.npz") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["means.npy"] = parts["means.npy"].replace(b"(4, 3, 3)", b"(9999999999, 9, 3)".ljust(9), 1)
    with zipfile.ZipFile(tmp_path / "tracks.npz", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(FormatError, match=r"tracks\.npz"):
        read_tracks(tmp_path / "tracks.npz", scene.gaussians)


def test_missing_files_and_other_files_are_one_line_errors(scene, tmp_path):
    with pytest.raises(FormatError, match="missing"):
        read_tracks(tmp_path / "none.npz", scene.gaussians)
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(FormatError, match="not a readable file of tracks"):
        read_tracks(tmp_path / "text.npz", scene.gaussians)


def test_fields_that_disagree_are_refused(scene):
    with pytest.raises(ShapeError, match="times are not ascending"):
        dataclasses.replace(scene, times=scene.times.flip(0))
    with pytest.raises(ShapeError, match="birth and death"):
        dataclasses.replace(scene, birth=torch.tensor([0, 2, 3]))
