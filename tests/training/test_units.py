"""The same capture in other units, or in map coordinates, gives the same scene."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch

from sfumato import Camera, Gaussians, evaluate, load_capture, rasterize, train
from sfumato.maths.sh import SH_C0
from sfumato.training.config import AdcConfig, Schedule, TrainConfig
from support.capture_folders import save

pytestmark = pytest.mark.slow

UTM = (500_000.0, 4_000_000.0, 100.0)
CONFIG = TrainConfig(
    steps=150,
    max_gaussians=80,
    schedule=Schedule(refine_every=20, half_resolution_until=0.0, quarter_resolution_until=0.0),
    adc=AdcConfig(threshold=1e-6),
)


def still(n=40):
    """A scene at distance 3 from the origin along z."""
    rng = np.random.default_rng(4)
    means = torch.from_numpy(rng.uniform((-1.5, -1.2, 2.2), (1.5, 1.2, 3.5), (n, 3))).float()
    colours = torch.from_numpy(rng.random((n, 1, 3))).float()
    quats = torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(n, 1)
    return Gaussians(means, torch.full((n, 3), -1.4), quats, torch.full((n,), 2.0), (colours - 0.5) / SH_C0)


def write_capture(folder: Path, *, factor=1.0, offset=(0.0, 0.0, 0.0)) -> None:
    """Nine pictures of ``still`` with cameras and points, their frame scaled and then moved."""
    scene, frames = still(), []
    for i in range(9):
        pose = torch.eye(4, dtype=torch.float64)
        pose[:3, 3] = -torch.tensor([0.25 * (i % 3 - 1), 0.25 * (i // 3 - 1), 0.05 * i])
        camera = Camera(pose, (34.0, 34.0), (16.0, 12.0), (32, 24))
        image = rasterize(scene, camera).image
        save(folder / f"{i}.png", (image.clamp(0, 1) * 255).round().byte().numpy())
        world_from_camera = np.diag([1.0, -1.0, -1.0, 1.0])
        world_from_camera[:3, 3] = camera.centre_world.numpy() * factor + offset
        frames.append({"file_path": f"{i}.png", "transform_matrix": world_from_camera.tolist()})
    rows = np.empty(
        len(scene), [*((axis, "<f8") for axis in "xyz"), *((c, "u1") for c in ("red", "green", "blue"))]
    )
    for i, axis in enumerate("xyz"):
        rows[axis] = (scene.means[:, i].double().numpy() + 0.02) * factor + offset[i]
    for colour in ("red", "green", "blue"):
        rows[colour] = 128
    kinds = "".join(f"property {'double' if f in 'xyz' else 'uchar'} {f}\n" for f in rows.dtype.names)
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(rows)}\n{kinds}end_header\n"
    (folder / "points.ply").write_bytes(header.encode() + rows.tobytes())
    lens = {"w": 32, "h": 24, "fl_x": 34.0, "fl_y": 34.0, "cx": 16.0, "cy": 12.0}
    (folder / "transforms.json").write_text(
        json.dumps({**lens, "ply_file_path": "points.ply", "frames": frames})
    )


@cache
def trained(factor=1.0, offset=(0.0, 0.0, 0.0), **changes):
    """The capture, the scene that is trained on it, and its held-out PSNR."""
    with TemporaryDirectory() as folder:
        write_capture(Path(folder), factor=factor, offset=offset)
        capture = load_capture(folder)
        scene = train(capture, CONFIG).gaussians
        return capture, scene, evaluate(scene, capture.test_views, lpips=False).psnr


def test_training_improves_quality():
    assert trained()[2] > 18


@pytest.mark.parametrize("power", [-10, 10])
def test_units_that_are_powers_of_two_give_the_same_scene(power):
    factor = 2.0**power
    (_, one, psnr), (_, other, other_psnr) = trained(), trained(factor)
    assert len(other) == len(one)
    assert other_psnr == pytest.approx(psnr, abs=0.02)
    torch.testing.assert_close(other.means / factor, one.means, atol=1e-3, rtol=0)
    torch.testing.assert_close(other.scales / factor, one.scales, atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_units_do_not_change_the_quality(factor):
    assert trained(factor)[2] == pytest.approx(trained()[2], abs=0.2)


def test_map_coordinates_do_not_reduce_quality(caplog):
    capture, _, psnr = trained(offset=UTM)
    assert psnr == pytest.approx(trained()[2], abs=0.1)
    assert capture.offset == pytest.approx(UTM, abs=2.0) and all(
        float(v).is_integer() for v in capture.offset
    )
    assert "the offset in config.json" in caplog.text
    moved = np.array(UTM) - capture.offset
    there = capture.views[4].camera.centre_world.numpy()
    np.testing.assert_allclose(there, trained()[0].views[4].camera.centre_world.numpy() + moved, atol=1e-8)
    np.testing.assert_allclose(capture.points.xyz, trained()[0].points.xyz + moved, atol=1e-6)


def test_a_capture_near_the_origin_keeps_its_frame():
    assert trained()[0].offset == (0.0, 0.0, 0.0)
    assert trained(offset=(300.0, 0.0, 0.0))[0].offset == (0.0, 0.0, 0.0)
