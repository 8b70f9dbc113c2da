"""`.spz`: the meaning of its bytes, its axes, all versions, and its limits."""

import gzip
import itertools
import struct
import sys
import zlib

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from sfumato.errors import ConfigError, FormatError
from sfumato.maths.sh import sh_basis
from sfumato.scene.files import load, save, spz_fields
from sfumato.scene.files.spz_packing import in_threads
from sfumato.scene.gaussians import Gaussians
from support.real_data import real_splats
from support.scene_files import blob, psnr
from support.spz_files import body, header, needs_zstandard, write

AXES = ["LDB", "RDB", "LUB", "RUB", "LDF", "RDF", "LUF", "RUF", "LFD", "RFD", "LFU", "RFU", "LBD", "RBD"]
AXES += ["LBU", "RBU"]


def random_scene(n: int = 50, degree: int = 3, seed: int = 0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(n, 3), (n, 3), (n, 4), (n,), (n, (degree + 1) ** 2, 3)]
    means, log_scales, quats, logits, sh = (torch.randn(shape, generator=generator) for shape in shapes)
    return Gaussians(means * 3, log_scales - 2, quats, logits, sh.clamp(-3, 3) * 0.3)


@needs_zstandard
@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize(("n", "degree"), [(1, 0), (50, 1), (50, 2), (50, 3), (70000, 0)])
def test_round_trip_is_within_the_steps_of_the_format(tmp_path, version, n, degree):
    scene = random_scene(n, degree)
    save(scene, tmp_path / "scene.spz", version=version)
    found = load(tmp_path / "scene.spz")
    assert found.sh_degree == degree
    assert (found.means - scene.means).abs().max() <= 0.5**13 + 1e-6
    assert (found.log_scales - scene.log_scales).abs().max() <= 1 / 32 + 1e-5
    assert (found.opacities - scene.opacities).abs().max() <= 0.5 / 255 + 1e-6
    assert (found.sh[:, 0] - scene.sh[:, 0]).abs().max() <= 0.5 / 255 / 0.15 + 1e-5
    assert n == 1 or degree == 0 or (found.sh[:, 1:] - scene.sh[:, 1:]).abs().median() < 0.02
    unit = [torch.nn.functional.normalize(quats.double(), dim=1) for quats in (found.quats, scene.quats)]
    angle = 2 * torch.arccos((unit[0] * unit[1]).sum(dim=1).abs().clamp(max=1))
    # With three bytes, small w has low precision.
    assert angle.max() < 0.006 if version > 2 else angle.median() < 0.03


def test_bytes_are_those_of_the_format(tmp_path):
    scene = Gaussians(
        means=torch.tensor([[1.0, 2.0, -0.5]]),
        log_scales=torch.tensor([[-10.0, 0.0, 20.0]]),
        quats=torch.tensor([[0.0, 3.0, 0.0, -3.0]]),
        logit_opacities=torch.tensor([0.0]),
        sh=torch.tensor([[[0.0, 1.0, -9.0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.25], [-1.0, 2.0, 0.0]]]),
    )
    save(scene, tmp_path / "scene.spz")
    raw = gzip.decompress((tmp_path / "scene.spz").read_bytes())
    assert raw[:16] == header(3, 1, 1)
    # y and z are negated, and 1 is encoded as 4096.
    assert raw[16:25] == bytes([0, 0x10, 0, 0, 0xE0, 0xFF, 0, 0x08, 0])
    assert raw[25:26] == bytes([128])
    assert raw[26:29] == bytes([128, 166, 0])
    assert raw[29:32] == bytes([0, 160, 255])
    # (x, y, z, w) = (1, 0, 1, 0) / sqrt(2) after negating z; the first of the largest components is omitted.
    (word,) = struct.unpack("<I", raw[32:36])
    assert (word >> 30, word >> 20 & 1023, word >> 10 & 1023, word & 1023) == (0, 0, 511, 0)
    # Coefficients are (y, z, x), and those of y and z change sign.
    assert raw[36:] == bytes([64] * 3 + [96] * 3 + [0, 255, 128])
    np.testing.assert_allclose(load(tmp_path / "scene.spz").sh[0, 1:, 0], [0.5, 0.25, -1.0])


@needs_zstandard
@pytest.mark.parametrize("version", [2, 3, 4])
def test_looks_the_same(tmp_path, version):
    scene = blob()
    save(scene, tmp_path / "a.spz", version=version)
    assert psnr(scene, load(tmp_path / "a.spz")) > 38


@pytest.mark.parametrize("sh_rest_bits", [1, 4, 8])
def test_fewer_bits_of_sh_keep_zero_and_give_smaller_files(tmp_path, sh_rest_bits):
    scene = random_scene(2000)
    scene.sh[:1000] = 0
    save(scene, tmp_path / "scene.spz", sh1_bits=8, sh_rest_bits=sh_rest_bits)
    found = load(tmp_path / "scene.spz").sh[:, 1:]
    assert (found[:1000] == 0).all()
    step = 2.0 ** (1 - sh_rest_bits)
    inside = scene.sh[:, 1:].abs() < 1 - step
    assert ((found - scene.sh[:, 1:]).abs() * inside)[:, 3:].max() <= step / 2 + 1 / 256 + 1e-6
    assert ((found - scene.sh[:, 1:]).abs() * inside)[:, :3].max() <= 1 / 256 + 1e-6


def test_positions_get_as_many_bits_as_needed_and_possible(tmp_path):
    def step_after(scale: float, log_scale: float) -> int:
        scene = random_scene(30, 0)
        scene = Gaussians(
            scene.means * scale, scene.log_scales + log_scale, scene.quats, scene.logit_opacities, scene.sh
        )
        save(scene, tmp_path / "scene.spz")
        found = load(tmp_path / "scene.spz").means
        bits = gzip.decompress((tmp_path / "scene.spz").read_bytes())[13]
        assert (found - scene.means).abs().max() <= 0.5 ** (bits + 1) + 1e-7 * scale
        return bits

    assert step_after(1, 0) == 12
    assert step_after(0.01, -6) == 15
    assert step_after(0.01, -9) == 19
    assert step_after(1e4, 0) == 6
    assert step_after(8e5, 0) == 0
    scene = random_scene(3, 0)
    with pytest.raises(FormatError, match=r"a position is .* \.spz reaches to"):
        save(Gaussians(scene.means * 1e7, *list(scene.tensors().values())[1:]), tmp_path / "far.spz")
    assert not (tmp_path / "far.spz").exists()


def test_files_are_the_same_each_time_and_one_gzip_stream(tmp_path):
    scene = random_scene(70000, 1)
    save(scene, tmp_path / "a.spz")
    save(scene, tmp_path / "b.spz")
    data = (tmp_path / "a.spz").read_bytes()
    assert data == (tmp_path / "b.spz").read_bytes()
    inflater = zlib.decompressobj(31)
    raw = inflater.decompress(data)
    assert inflater.eof and not inflater.unused_data
    assert len(raw) == 16 + 70000 * (9 + 1 + 3 + 3 + 4 + 9)


def test_opacities_of_zero_and_one_have_finite_logits(tmp_path):
    scene = random_scene(4, 0)
    scene.logit_opacities[:] = torch.tensor([-200.0, -20.0, 20.0, 200.0])
    save(scene, tmp_path / "scene.spz")
    found = load(tmp_path / "scene.spz").opacities
    assert torch.allclose(found, torch.tensor([0.0, 0.0, 1.0, 1.0]), atol=1e-5)


def test_large_gaussians_are_counted(tmp_path, caplog):
    scene = random_scene(4, 0)
    scene.log_scales[1:3, 0] = 7.0
    save(scene, tmp_path / "scene.spz")
    assert "2 Gaussians are larger" in caplog.text


@pytest.mark.parametrize("axes", AXES)
def test_a_file_in_other_axes_gives_the_same_scene(axes):
    towards = {
        "R": [1, 0, 0],
        "L": [-1, 0, 0],
        "D": [0, 1, 0],
        "U": [0, -1, 0],
        "F": [0, 0, 1],
        "B": [0, 0, -1],
    }
    file_from_scene = np.array([towards[letter] for letter in axes], np.float64)
    scene = random_scene(20, 3)
    turns = Rotation.from_quat(scene.quats.numpy(), scalar_first=True).as_matrix()
    # Mirrored local axes are negated: quaternions cannot mirror, and Gaussians are symmetric.
    in_file = file_from_scene @ turns * np.linalg.det(file_from_scene)
    arrays = {
        "means": (scene.means.numpy() @ file_from_scene.T).astype(np.float32),
        "quats": Rotation.from_matrix(in_file).as_quat(scalar_first=True).astype(np.float32),
        "sh": scene.sh.numpy().copy(),
    }
    spz_fields.turn_axes(arrays, AXES.index(axes) + 1)
    np.testing.assert_allclose(arrays["means"], scene.means, atol=1e-6)
    found = Rotation.from_quat(arrays["quats"], scalar_first=True).as_matrix()
    scales = np.diag([1.0, 2.0, 3.0]) ** 2
    expected = turns @ scales @ turns.transpose(0, 2, 1)
    np.testing.assert_allclose(found @ scales @ found.transpose(0, 2, 1), expected, atol=1e-4)
    directions = torch.nn.functional.normalize(random_scene(9, 0).means.double(), dim=1)
    here = sh_basis(directions, 3) @ torch.from_numpy(arrays["sh"][0]).double()
    there = sh_basis(directions @ torch.from_numpy(file_from_scene).T, 3) @ scene.sh[0].double()
    torch.testing.assert_close(here, there, atol=1e-5, rtol=0)


def test_extensions_are_read_or_named(tmp_path, caplog):
    axes = struct.pack("<III", 0xADBE0003, 4, AXES.index("RDF") + 1)
    camera = struct.pack("<II", 0xADBE0002, 12) + bytes(12)
    plain = load(write(tmp_path / "plain.spz", header() + body()))
    turned = load(write(tmp_path / "axes.spz", header(flags=2) + body() + camera + axes))
    assert torch.equal(turned.means, plain.means * torch.tensor([1.0, -1.0, -1.0]))
    assert "0xADBE0002" in caplog.text and "0xADBE0003" not in caplog.text
    for broken in (axes[:-1], axes[:5], struct.pack("<III", 0xADBE0003, 4, 17)):
        with pytest.raises(FormatError, match=r"extension|axes"):
            load(write(tmp_path / "broken.spz", header(flags=2) + body() + broken))
    with pytest.raises(FormatError, match="more than its header declares"):
        load(write(tmp_path / "unnamed.spz", header() + body() + axes))


def test_dropped_data_is_named(tmp_path, caplog):
    found = load(write(tmp_path / "a.spz", header(degree=4, flags=1) + body(degree=4)))
    assert found.sh_degree == 3
    assert "SH of degree 4" in caplog.text and found.metadata.antialiased
    save(found, tmp_path / "b.spz")
    assert load(tmp_path / "b.spz").metadata.antialiased


def test_version_1_has_half_precision_positions(tmp_path):
    positions = np.array([[1.5, -2.0, 0.25], [0, 0, 7]], "<f2").tobytes()
    path = write(tmp_path / "a.spz", header(version=1) + positions + body(1)[12:])
    np.testing.assert_array_equal(load(path).means, [[1.5, 2.0, -0.25], [0, 0, -7]])
    broken = np.array([[1.5, np.nan, 0.25], [np.inf, np.nan, 7]], "<f2").tobytes()
    with pytest.raises(FormatError, match=r"means \(x\) is NaN or infinite for 2 of 2"):
        load(write(tmp_path / "b.spz", header(version=1) + broken + body(1)[12:]))


@needs_zstandard
def test_is_recognised_by_its_content(tmp_path):
    scene = random_scene(5, 1)
    for version in (2, 3, 4):
        save(scene, tmp_path / "scene.spz", version=version)
        other = (tmp_path / "scene.spz").rename(tmp_path / f"scene{version}.ply")
        assert len(load(other)) == 5
    assert len(load(write(tmp_path / "x", header() + body()))) == 2
    (tmp_path / "y").write_bytes(header() + body())
    assert len(load(tmp_path / "y")) == 2, "a file of version 1 to 3 that is not packed"


@needs_zstandard
def test_reads_a_scene_without_gaussians(tmp_path):
    for version in (2, 3, 4):
        save(random_scene(0, 2), tmp_path / "scene.spz", version=version)
        assert len(load(tmp_path / "scene.spz")) == 0


def test_refuses_to_save_invalid_scenes(tmp_path):
    scene = random_scene(5, 0)
    scene.means[2, 1] = torch.nan
    with pytest.raises(FormatError, match=r"means \(y\) is NaN"):
        save(scene, tmp_path / "a.spz")
    for options in ({"version": 1}, {"version": 5}, {"sh1_bits": 0}, {"sh_rest_bits": 9}):
        with pytest.raises(ConfigError, match=r"version|sh1_bits"):
            save(random_scene(5, 0), tmp_path / "a.spz", **options)
    assert not list(tmp_path.iterdir())


def test_names_the_package_that_version_4_needs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ConfigError, match=r"install 'zstandard>=0.22'"):
        save(random_scene(5, 0), tmp_path / "a.spz", version=4)


def test_threads_keep_the_order_of_results_and_propagate_errors():
    assert list(in_threads(lambda x: x * x, range(100))) == [x * x for x in range(100)]
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda x: 1 / (x - 30), range(100)))


def test_three_points_of_another_tool_are_those_of_their_ply():
    folder = real_splats("metalsplatter")
    expected = load(folder / "test-splat.3-points-from-train.ply")
    found = load(folder / "test-splat.3-points-from-train.spz")
    assert (found.means - expected.means).abs().max() < 2e-4
    assert (found.log_scales - expected.log_scales).abs().max() < 0.032
    assert (found.opacities - expected.opacities).abs().max() < 0.002
    assert (found.sh[:, 0] - expected.sh[:, 0]).abs().max() < 0.014
    # The other tool keeps steps of 0.0625 and 0.125 of the 8-bit SH.
    assert (found.sh[:, 1:] - expected.sh[:, 1:]).abs().max() < 0.07
    assert ((found.sh - expected.sh).pow(2).mean() < expected.sh[:, 1:].pow(2).mean()).item()
    unit = torch.nn.functional.normalize(expected.quats, dim=1)
    assert (torch.nn.functional.normalize(found.quats, dim=1) - unit).abs().max() < 0.002


@needs_zstandard
def test_files_of_another_tool_agree_in_all_versions():
    folder = real_splats("splat_transform")
    scenes = {name: load(folder / f"minimal-{name}.spz") for name in ("raw", "v2", "v3", "v4")}
    for a, b in (("raw", "v2"), ("v3", "v4")):
        for name, tensor in scenes[a].tensors().items():
            assert torch.equal(tensor, scenes[b].tensors()[name]), (a, b, name)
    corners = {tuple(np.abs(row).round(3)) for row in scenes["v3"].means.numpy()}
    assert corners == set(itertools.product((0, 1), (0,), (0, 1)))
