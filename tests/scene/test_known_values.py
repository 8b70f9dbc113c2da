"""Known values of files of other programs: 3D filters, SH of degree 4, positions far from the origin."""

import io
import json
import logging
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.scene.files import load, save
from sfumato.scene.gaussians import Gaussians
from support.ply_files import columns_of, random_scene, write
from support.scene_files import blob


def test_the_filter_of_mip_splatting_is_folded_in(tmp_path):
    scene = random_scene(5, 1)
    filters = np.array([0.0, 0.01, 0.5, -2.0, 40.0], "f4")
    got = load(write(tmp_path / "a.ply", columns_of(scene) | {"filter_3D": filters}))
    scales = scene.log_scales.double().exp()
    wider = (scales**2 + torch.from_numpy(filters.astype(float))[:, None] ** 2).sqrt()
    opacities = scene.logit_opacities.double().sigmoid() * (scales / wider).prod(1)
    torch.testing.assert_close(got.scales.double(), wider, rtol=1e-5, atol=0)
    torch.testing.assert_close(got.opacities.double(), opacities, rtol=1e-5, atol=0)
    assert torch.equal(got.logit_opacities[0], scene.logit_opacities[0])


def test_a_filter_leaves_certain_opacities_finite(tmp_path):
    columns = columns_of(random_scene(3, 0)) | {"opacity": np.array([np.inf, -np.inf, 200.0])}
    got = load(write(tmp_path / "a.ply", columns | {"filter_3D": np.array([1e-20, 1.0, 1e-20])}))
    torch.testing.assert_close(got.opacities, torch.tensor([1.0, 0.0, 1.0]), atol=2e-6, rtol=0)


def test_degrees_above_3_of_a_ply_are_dropped(tmp_path, caplog):
    scene = random_scene(4, 3)
    rest = np.full((4, 3, 24), 9.0, "f4")
    rest[:, :, :15] = scene.sh[:, 1:].transpose(1, 2).numpy()
    columns = {name: array for name, array in columns_of(scene).items() if not name.startswith("f_rest")}
    columns |= {f"f_rest_{i}": column for i, column in enumerate(rest.reshape(4, 72).T)}
    with caplog.at_level(logging.WARNING, "sfumato"):
        got = load(write(tmp_path / "a.ply", columns))
    assert torch.equal(got.sh, scene.sh) and "SH of degree 4; those above 3 are dropped" in caplog.text


def test_degrees_above_3_of_a_compressed_ply_are_dropped(tmp_path, caplog):
    save(blob(5), tmp_path / "a.compressed.ply")
    plain = load(tmp_path / "a.compressed.ply")
    head, body = (tmp_path / "a.compressed.ply").read_bytes().split(b"end_header\n", 1)
    more = "".join(f"property uchar f_rest_{i}\n" for i in range(45, 72)).encode()
    table = np.frombuffer(body[-45 * 5 :], np.uint8).reshape(5, 3, 15)
    rest = np.concatenate([table, np.full((5, 3, 9), 200, np.uint8)], axis=2)
    (tmp_path / "b.ply").write_bytes(head + more + b"end_header\n" + body[: -45 * 5] + rest.tobytes())
    with caplog.at_level(logging.WARNING, "sfumato"):
        got = load(tmp_path / "b.ply")
    assert torch.equal(got.sh, plain.sh) and "SH of degree 4" in caplog.text


def far(offset: float, n: int = 400) -> Gaussians:
    scene = blob(n, 0)
    return Gaussians(scene.means + offset, scene.log_scales, scene.quats, scene.logit_opacities, scene.sh)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e5, 1e6])
def test_positions_of_sog_are_rounded_once(tmp_path, offset):
    save(far(offset), tmp_path / "a.sog")
    with zipfile.ZipFile(tmp_path / "a.sog") as archive:
        meta = json.loads(archive.read("meta.json"))["means"]
        pictures = [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in meta["files"]]
    low, high = (picture.reshape(-1, picture.shape[-1])[:400, :3].astype(np.int64) for picture in pictures)
    mins, maxs = np.array(meta["mins"]), np.array(meta["maxs"])
    curved = mins + (maxs - mins) * ((low | high << 8) / 65535)
    expected = np.copysign(np.expm1(np.abs(curved)), curved)
    # At most two roundings to float32, one of them in this test.
    error = np.abs(load(tmp_path / "a.sog").means.numpy() - expected)
    assert (error <= np.spacing(np.abs(expected).astype(np.float32)).astype(float)).all()


@pytest.mark.parametrize("offset", [0.0, 1e5, 1e6])
def test_positions_of_compressed_ply_are_within_a_step(tmp_path, offset):
    scene = far(offset, 200)
    save(scene, tmp_path / "a.compressed.ply")
    got = np.sort(load(tmp_path / "a.compressed.ply").means.double().numpy(), axis=0)
    given = np.sort(scene.means.double().numpy(), axis=0)
    step = np.ptp(given, axis=0) / (np.array([2047, 1023, 2047]))
    # Half a step of the format, and one float32 rounding.
    assert (np.abs(got - given) <= step / 2 * 1.001 + np.spacing(np.float32(offset + 4)) / 2).all()
