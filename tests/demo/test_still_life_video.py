"""The demo video agrees with its cameras, and frames labelled unusable are unusable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av", reason="needs PyAV to decode the video")

FOLDER = Path(__file__).parents[2] / "demo" / "still_life_video"
LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def document() -> dict:
    return json.loads((FOLDER / "cameras.json").read_text())


@pytest.fixture(scope="module")
def decoded(document) -> tuple[np.ndarray, np.ndarray]:
    """Luma [n, h, w] and times [n] (seconds) of the frames."""
    pictures, times = [], []
    with av.open(str(FOLDER / document["video"])) as container:
        for frame in container.decode(video=0):
            pictures.append((frame.to_ndarray(format="rgb24") @ LUMA).astype(np.float32))
            times.append(frame.time)
    return np.stack(pictures), np.array(times)


@pytest.fixture(scope="module")
def poses(document) -> np.ndarray:
    """[n, 4, 4] world_from_camera."""
    return np.array([frame["world_from_camera"] for frame in document["frames"]])


def flaws(document: dict) -> np.ndarray:
    """[n] why each frame is unusable, or "" """
    return np.array([frame["flaw"] or "" for frame in document["frames"]])


def sharpness(pictures: np.ndarray) -> np.ndarray:
    """[n] mean square of the differences of neighbouring pixels, along the less sharp axis."""
    along = [np.mean(np.diff(pictures, axis=axis) ** 2, axis=(1, 2)) for axis in (1, 2)]
    return np.minimum(*along)


def good_neighbours(document: dict, number: int, count: int = 4) -> np.ndarray:
    """Numbers of the usable frames nearest to frame ``number``."""
    usable = np.flatnonzero(flaws(document) == "")
    return usable[np.argsort(np.abs(usable - number), kind="stable")[:count]]


def seen_at(document: dict, pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    """[n, 2] pixels (x, y) of ``points`` [n, 3]; NaN behind the camera."""
    right, up, back = ((points - pose[:3, 3]) @ pose[:3, :3]).T
    z = np.where(back < 0, -back, np.nan)
    pixels = document["focal_px"] * np.stack([right / z, -up / z], -1)
    return pixels + np.array([document["cx"], document["cy"]])


def test_is_small_h264(document):
    path = FOLDER / document["video"]
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 2_200_000
    assert path.stat().st_size < 2_000_000
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (document["w"], document["h"])


@pytest.mark.slow
def test_every_frame_has_its_camera_at_its_time(document, decoded):
    pictures, times = decoded
    frames = document["frames"]
    assert [frame["frame"] for frame in frames] == list(range(len(pictures)))
    np.testing.assert_allclose(times, [frame["time_s"] for frame in frames], atol=5e-4)
    assert 14 < times[-1] < 17
    assert np.ptp(np.diff(times)) > 0.01, "the frame rate is meant to vary"


def test_poses_are_rigid(poses):
    rotations = poses[:, :3, :3]
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.eye(3)[None].repeat(len(poses), 0), atol=1e-7
    )
    assert (np.linalg.det(rotations) > 0).all()
    np.testing.assert_array_equal(poses[:, 3], np.array([[0, 0, 0, 1]]).repeat(len(poses), 0))


@pytest.mark.slow
def test_path_goes_round_the_table_and_back(document, decoded, poses):
    eyes, times = poses[:, :3, 3], decoded[1]
    azimuths = np.degrees(np.arctan2(eyes[:, 0], -eyes[:, 1]))
    middle = int(azimuths.argmax())
    assert np.ptp(azimuths) > 145
    assert 0.35 < middle / len(poses) < 0.65
    assert abs(azimuths[-1] - azimuths[0]) < 10, "the loop closes"
    crossings = [
        eyes[part, 2][np.abs(azimuths[part]).argmin()] for part in (slice(middle), slice(middle, None))
    ]
    assert crossings[1] - crossings[0] > 0.4, "the way back is higher"
    assert (eyes[:, 2] > 0.2).all() and (eyes[:, 2] < 1.1).all()
    speeds = np.linalg.norm(np.diff(eyes, axis=0), axis=1) / np.diff(times)
    assert speeds.max() < 1.5
    slow = speeds[20:-20] < 0.15
    assert slow.sum() >= 6, "there is a pause"


def test_usable_frames_look_at_the_table(document, poses):
    for frame, pose in zip(document["frames"], poses, strict=True):
        if frame["usable"]:
            (x, y), *_ = seen_at(document, pose, np.array([[0.0, 0.0, 0.1]]))
            assert 0.25 * document["w"] < x < 0.75 * document["w"]
            assert 0.25 * document["h"] < y < 0.85 * document["h"]


def test_flaws_are_named_and_few(document):
    found = flaws(document)
    assert [frame["usable"] for frame in document["frames"]] == (found == "").tolist()
    assert dict(zip(*np.unique(found[found != ""], return_counts=True), strict=True)) == {
        "blur": 6,
        "covered": 2,
        "dark": 2,
    }
    assert (found[:2] == "dark").all()
    assert max(frame["blur_px"] for frame in document["frames"] if frame["usable"]) < 6
    assert min(frame["blur_px"] for frame in document["frames"] if frame["flaw"] == "blur") > 10


def test_dark_and_covered_frames_are_darker_than_their_neighbours(document, decoded):
    brightness, found = decoded[0].mean(axis=(1, 2)), flaws(document)
    for flaw, most in (("dark", 0.15), ("covered", 0.6)):
        for number in np.flatnonzero(found == flaw):
            assert brightness[number] < most * brightness[good_neighbours(document, number)].min()


def test_jerked_frames_are_blurrier_than_their_neighbours(document, decoded):
    detail = sharpness(decoded[0])
    for number in np.flatnonzero(flaws(document) == "blur"):
        assert detail[number] < 0.5 * detail[good_neighbours(document, number)].min()


def test_exposure_drifts_a_little(document, decoded):
    gains = np.array([frame["gain_rgb"] for frame in document["frames"] if frame["usable"]])
    assert 0.1 < np.ptp(np.log(gains[:, 1])) < 0.26
    assert np.abs(np.diff(np.log(gains), axis=0)).max() < 0.03, "it drifts, it does not jump"
    brightness = decoded[0].mean(axis=(1, 2))[flaws(document) == ""]
    assert brightness.max() < 1.5 * brightness.min()


def painting(document: dict, picture: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Luma of a grid of points round the painting on the wall in ``picture`` [h, w]; NaN outside of it."""
    x, z = np.meshgrid(np.linspace(0.3, 1.2, 161), np.linspace(0.3, 0.95, 61))
    column, row = np.floor(
        seen_at(document, pose, np.stack([x.ravel(), 0 * x.ravel() + 0.83, z.ravel()], -1))
    ).T
    inside = (column >= 0) & (column < document["w"]) & (row >= 0) & (row < document["h"])
    at = np.where(inside, row, 0).astype(int), np.where(inside, column, 0).astype(int)
    return np.where(inside, picture[at], np.nan)


def agreement(document: dict, pictures: np.ndarray, poses: np.ndarray, gap: int, late: int = 0) -> float:
    """Median correlation of the painting in two frames ``gap`` apart, if cameras are ``late`` frames off."""
    found = []
    for k in range(10, len(poses) - gap - 10, 2):
        if all(document["frames"][number]["usable"] for number in (k, k + gap)):
            a = painting(document, pictures[k], poses[k])
            b = painting(document, pictures[k + gap], poses[k + gap + late])
            both = np.isfinite(a) & np.isfinite(b)
            if both.sum() > 500:
                found.append(np.corrcoef(a[both], b[both])[0, 1])
    assert len(found) > 15
    return float(np.median(found))


def test_cameras_belong_to_their_frames(document, decoded, poses):
    scores = {late: agreement(document, decoded[0], poses, 3, late) for late in (-1, 0, 1)}
    assert scores[0] > 0.85
    assert scores[0] > max(scores[-1], scores[1]) + 0.05


def test_no_other_focal_length_fits_better(document, decoded, poses):
    assert {frame["focal_px"] for frame in document["frames"]} == {document["focal_px"]}
    scores = {
        factor: agreement({**document, "focal_px": factor * document["focal_px"]}, decoded[0], poses, 12)
        for factor in (0.97, 1.0, 1.03)
    }
    assert scores[1.0] > max(scores[0.97], scores[1.03]) + 0.03
