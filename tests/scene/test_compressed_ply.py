"""Compressed PLY: the meaning and precision of its bits, and refusal of invalid files."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings

from sfumato.errors import FormatError
from sfumato.maths.morton import morton_order
from sfumato.scene.files import load, save
from sfumato.scene.gaussians import Gaussians
from support.real_data import real_splats
from support.scene_files import assert_scene_or_format_error, blob, changed, changes, psnr, turns

EXAMPLES = 300


def one_chunk(words, *, ranges=None, count=None, chunks=1, sh=None):
    """A file of one chunk, written independently of the package."""
    ranges = [0, 0, 0, 1, 2, 4, -4, -4, -4, -2, -2, 0, 0, 0, 0, 1, 1, 1] if ranges is None else ranges
    names = [f"{end}_{axis}" for end in ("min", "max") for axis in "xyz"]
    names += [f"{end}_scale_{axis}" for end in ("min", "max") for axis in "xyz"]
    names += [f"{end}_{axis}" for end in ("min", "max") for axis in "rgb"]
    count = len(words) if count is None else count
    lines = ["ply", "format binary_little_endian 1.0", f"element chunk {chunks}"]
    lines += [f"property float {name}" for name in names[: len(ranges)]]
    lines += [f"element vertex {count}"]
    lines += [f"property uint packed_{name}" for name in ("position", "rotation", "scale", "color")]
    if sh is not None:
        lines += [f"element sh {len(sh)}", *(f"property uchar f_rest_{i}" for i in range(sh.shape[1]))]
    body = np.array(ranges, "<f4").tobytes() * chunks + np.array(words, "<u4").tobytes()
    body += b"" if sh is None else sh.astype(np.uint8).tobytes()
    return ("\n".join([*lines, "end_header"]) + "\n").encode() + body


def test_bits_mean_what_the_format_says(tmp_path):
    position = (2047 << 21) | (0 << 11) | 1024
    rotation = (1 << 30) | (1023 << 20) | (512 << 10) | 0
    scale = (0 << 21) | (1023 << 11) | 2047
    colour = (255 << 24) | (0 << 16) | (51 << 8) | 204
    sh = np.arange(9)[None] * 16
    (tmp_path / "a.ply").write_bytes(one_chunk([[position, rotation, scale, colour]], sh=sh))
    got = load(tmp_path / "a.ply")
    torch.testing.assert_close(got.means, torch.tensor([[1.0, 0.0, 4 * 1024 / 2047]]))
    torch.testing.assert_close(got.log_scales, torch.tensor([[-4.0, -2.0, 0.0]]))
    small = [0.5**0.5, (512 / 1023 - 0.5) * 2**0.5, -(0.5**0.5)]
    torch.testing.assert_close(
        got.quats, torch.tensor([[small[0], 0.0, small[1], small[2]]]), atol=2e-3, rtol=0
    )
    torch.testing.assert_close(got.opacities, torch.tensor([0.8]))
    torch.testing.assert_close(got.sh[0, 0] * 0.28209479 + 0.5, torch.tensor([1.0, 0.0, 0.2]))
    assert got.sh[0, 1:].T.flatten().tolist() == [-4.0, *((16 * i + 0.5) / 32 - 4 for i in range(1, 9))]


def test_colours_without_ranges_lie_between_0_and_1(tmp_path):
    (tmp_path / "a.ply").write_bytes(one_chunk([[0, 0, 0, 0x33445566]], ranges=[0.0] * 6 + [-3.0] * 6))
    got = load(tmp_path / "a.ply")
    torch.testing.assert_close(got.sh[0, 0] * 0.28209479 + 0.5, torch.tensor([0x33, 0x44, 0x55]) / 255)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("n", [1, 255, 600])
def test_round_trip_is_within_the_precision_of_the_format(tmp_path, degree, n):
    scene = blob(n, degree)
    save(scene, tmp_path / "a.compressed.ply")
    got = load(tmp_path / "a.compressed.ply")
    scene = scene.select(torch.from_numpy(morton_order(scene.means.numpy())))
    assert (len(got), got.sh_degree) == (n, degree)
    assert float((got.means - scene.means).abs().max()) < 5 / 1000
    assert float((got.log_scales - scene.log_scales).abs().max()) < 5 / 1000
    assert float((turns(got.quats) * turns(scene.quats)).sum(1).abs().min()) > 0.99999
    assert float((got.opacities - scene.opacities).abs().max()) < 0.6 / 255
    if degree:
        assert float((got.sh[:, 1:] - scene.sh[:, 1:]).abs().max()) <= 1 / 64 + 1e-6


def test_looks_the_same(tmp_path):
    save(blob(), tmp_path / "a.compressed.ply")
    assert psnr(blob(), load(tmp_path / "a.compressed.ply")) > 40


def test_an_empty_scene_is_kept(tmp_path):
    save(blob(0), tmp_path / "a.compressed.ply")
    assert len(load(tmp_path / "a.compressed.ply")) == 0


def test_morton_order_keeps_neighbours_together():
    points = np.random.default_rng(0).random((4096, 3), dtype=np.float32)
    order = morton_order(points)
    assert sorted(order) == list(range(4096))
    chunks = points[order].reshape(16, 256, 3)
    assert np.ptp(chunks, axis=1).prod(axis=1).mean() < 0.2


BROKEN = {
    "counts": (one_chunk([[0] * 4], chunks=2), "2 chunks of 256 for 1"),
    "many": (one_chunk([[0] * 4], count=10**12, chunks=1), "chunks of 256"),
    "short": (one_chunk([[0] * 4], count=200), "truncated or its count"),
    "NaN": (one_chunk([[0] * 4], ranges=[np.nan] * 18), "means .x. is NaN or infinite"),
    "no ranges": (one_chunk([[0] * 4], ranges=[0.0] * 5), "without max_z"),
    "half of colours": (one_chunk([[0] * 4], ranges=[0.0] * 14), "only some of min_r"),
    "sh": (one_chunk([[0] * 4], sh=np.zeros((2, 9))), "element 'sh' that is not 1 rows"),
    "odd sh": (one_chunk([[0] * 4], sh=np.zeros((1, 7))), "9, 24, 45 or 72 bytes"),
    "floats": (one_chunk([[0] * 4]).replace(b"uint packed_scale", b"int packed_scale"), "unsigned 32-bit"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_refuses_invalid_files(tmp_path, case):
    content, said = BROKEN[case]
    (tmp_path / "a.ply").write_bytes(content)
    with pytest.raises(FormatError, match=said):
        load(tmp_path / "a.ply")


def test_refuses_to_save_nan(tmp_path):
    scene = blob(3)
    scene.log_scales[1, 2] = torch.nan
    with pytest.raises(FormatError, match=r"log_scales \(z\) is NaN or infinite for 1 of 3"):
        save(scene, tmp_path / "a.compressed.ply")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    path = tmp_path_factory.mktemp("valid") / "a.compressed.ply"
    save(blob(300, 1), path)
    return path, path.read_bytes()


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=changes)
@pytest.mark.slow
def test_any_change_of_bytes_loads_or_is_a_format_error(valid, edits):
    path, content = valid
    path.with_name("b.ply").write_bytes(changed(content, edits))
    assert_scene_or_format_error(load, path.with_name("b.ply"))


@pytest.mark.parametrize(("name", "n", "degree"), [("guitar.compressed.ply", 90854, 0), ("test.ply", 64, 3)])
def test_reads_files_of_playcanvas(name, n, degree):
    got: Gaussians = load(real_splats(f"playcanvas/{name}"))
    assert (len(got), got.sh_degree) == (n, degree)
    assert 0.1 < float(got.opacities.mean()) < 0.99
    assert 0.001 < float(got.scales.median()) < 0.1
