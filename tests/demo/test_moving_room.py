"""The demo sequence is consistent: videos, cameras and true tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av", reason="needs PyAV to decode the videos")

FOLDER = Path(__file__).parents[2] / "demo" / "moving_room"
LUMA = np.array([0.299, 0.587, 0.114])
SIZE_PX = (256, 192)


@pytest.fixture(scope="module")
def tracks() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "tracks.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def cameras() -> tuple[np.ndarray, np.ndarray]:
    """Camera-to-world [n, 4, 4] (x right, y down, z forward) and focal lengths [n]."""
    rows = np.load(FOLDER / "poses_bounds.npy")[:, :15].reshape(-1, 3, 5)
    poses = np.tile(np.eye(4), (len(rows), 1, 1))
    poses[:, :3] = np.stack([rows[..., 1], rows[..., 0], -rows[..., 2], rows[..., 3]], axis=-1)
    return poses, rows[:, 2, 4]


@pytest.fixture(scope="module")
def videos(tracks) -> tuple[np.ndarray, np.ndarray]:
    """Luma [n, t, h, w] and times [n, t] (seconds) of all frames."""
    pictures, times = [], []
    for name in tracks["cameras"]:
        with av.open(str(FOLDER / f"{name}.mp4")) as container:
            frames = list(container.decode(video=0))
        pictures.append([(frame.to_ndarray(format="rgb24") @ LUMA).astype(np.float32) for frame in frames])
        times.append([frame.time for frame in frames])
    return np.array(pictures), np.array(times)


def number_of(tracks: dict, name: str) -> int:
    return tracks["object_names"].tolist().index(name)


def project(pose: np.ndarray, focal_px: float, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [n, 2] (x, y) and camera z [n] of ``points`` [n, 3]."""
    x, y, z = ((points - pose[:3, 3]) @ pose[:3, :3]).T
    return focal_px * np.stack([x / z, y / z], axis=-1) + np.array(SIZE_PX) / 2, z


def agreement(tracks, cameras, videos, of, *, shift_px=(0, 0), frozen=False) -> float:
    """Correlation of pictures with true colours (luma) over the visible points of ``of`` [n]."""
    seen, true = [], []
    for camera, (pose, focal_px) in enumerate(zip(*cameras, strict=True)):
        for step in range(len(tracks["times"])):
            here = tracks["visible"][camera, step] & of
            at = tracks["points"][0 if frozen else step, here].astype(float)
            pixels, z = project(pose, focal_px, at)
            column, row = np.floor(pixels + shift_px).astype(int).T
            inside = (z > 0) & (column >= 0) & (column < SIZE_PX[0]) & (row >= 0) & (row < SIZE_PX[1])
            seen.append(videos[0][camera, step, row[inside], column[inside]])
            true.append((tracks["rgb"][here] @ LUMA)[inside])
    return float(np.corrcoef(np.concatenate(seen), np.concatenate(true))[0, 1])


def test_is_small_and_complete(tracks):
    files = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert sum(files.values()) <= 4_000_000
    assert set(files) == {"README.md", "poses_bounds.npy", "tracks.npz"} | {
        f"{name}.mp4" for name in tracks["cameras"]
    }
    assert len(tracks["cameras"]) == 16 and set(tracks["test_cameras"]) < set(tracks["cameras"])


@pytest.mark.slow
def test_the_videos_are_synchronised_h264(tracks, videos):
    for name in tracks["cameras"]:
        with av.open(str(FOLDER / f"{name}.mp4")) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert (stream.width, stream.height) == SIZE_PX
    pictures, times = videos
    assert pictures.shape[:2] == (16, 36)
    np.testing.assert_allclose(times, np.broadcast_to(tracks["times"], times.shape), atol=1e-4)
    assert 60 < pictures.mean() < 160
    assert np.mean((pictures < 4) | (pictures > 251)) < 0.01


def test_cameras_stand_round_the_room_and_look_into_it(tracks, cameras):
    poses, focal_px = cameras
    rotations = poses[:, :3, :3]
    identity = np.broadcast_to(np.eye(3), rotations.shape)
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), identity, atol=1e-9)
    assert (np.linalg.det(rotations) > 0).all()
    for pose, focal in zip(poses, focal_px, strict=True):
        pixel, z = project(pose, focal, np.array([[0.0, 0.0, 0.35]]))
        np.testing.assert_allclose(pixel, [np.array(SIZE_PX) / 2], atol=0.01)
        assert z > 0
    test = np.isin(tracks["cameras"], tracks["test_cameras"])
    centres = poses[:, :3, 3]
    apart = np.linalg.norm(centres[test][:, None] - centres[~test], axis=-1)
    assert apart.min() > 0.3, "a held-out camera stands beside another"


def test_rigid_points_keep_to_the_poses_of_their_objects(tracks):
    points, poses = tracks["points"].astype(float), tracks["object_poses"]
    for name in ("room", "ball", "top", "crate", "late", "leaving"):
        mine, pose = tracks["object"] == number_of(tracks, name), poses[:, number_of(tracks, name)]
        local = np.einsum("tji,tnj->tni", pose[:, :3, :3], points[:, mine] - pose[:, None, :3, 3])
        middle = np.nanmedian(local, axis=0)
        assert np.nanmax(np.abs(local - middle)) < 1e-4, name
        assert mine.sum() == (120 if name == "room" else 70)
    assert np.isnan(poses[:, number_of(tracks, "bar")]).all()


def test_the_bar_bends_and_does_not_stretch(tracks):
    points = tracks["points"][:, tracks["object"] == number_of(tracks, "bar")].astype(float)
    distances = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)
    change = np.abs(distances - distances[0])
    assert change.max() > 0.03
    near = (distances[0] > 0) & (distances[0] < 0.08)
    assert near.sum() > 100 and change[:, near].max() < 0.005


def test_one_object_enters_late_and_one_leaves(tracks):
    there = np.isfinite(tracks["points"][..., 0])
    late, leaving = (there[:, tracks["object"] == number_of(tracks, name)] for name in ("late", "leaving"))
    assert not late[:11].any() and late[18:].all()
    assert leaving[:22].all() and not leaving[-8:].any()
    assert there[:, tracks["object"] < number_of(tracks, "late")].all()
    assert not (tracks["visible"] & ~there).any()
    assert (tracks["visible"].sum(axis=0) >= 3).any(axis=0).all(), "a point that few cameras ever see"


@pytest.mark.slow
def test_visible_points_have_the_colours_of_the_pictures(tracks, cameras, videos):
    for number, name in enumerate(tracks["object_names"]):
        assert agreement(tracks, cameras, videos, tracks["object"] == number) > 0.4, name


def test_no_shift_of_the_principal_point_fits_better(tracks, cameras, videos):
    moving = tracks["object"] > 0

    def fit(shift_px) -> float:
        return agreement(tracks, cameras, videos, moving, shift_px=shift_px)

    assert max([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)], key=fit) == (0, 0)


def test_moving_points_do_not_fit_their_first_positions(tracks, cameras, videos):
    for name in ("ball", "top", "crate", "bar"):
        mine = tracks["object"] == number_of(tracks, name)
        moved = agreement(tracks, cameras, videos, mine)
        assert agreement(tracks, cameras, videos, mine, frozen=True) < moved - 0.1, name
