"""`.splat`: the meaning of its bytes, dropped data, recognition."""

import logging
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings

from sfumato.errors import FormatError
from sfumato.scene.files import load, recognised, save
from support.real_data import real_splats
from support.scene_files import assert_scene_or_format_error, blob, changed, changes, psnr, turns

EXAMPLES = 300


def row(mean=(1, 2, 3), scale=(0.1, 0.2, 0.3), rgba=(255, 0, 51, 204), quat=(255, 128, 128, 0)) -> bytes:
    return struct.pack("<6f8B", *mean, *scale, *rgba, *quat)


def test_bytes_mean_what_the_format_says(tmp_path):
    (tmp_path / "a.splat").write_bytes(row() * 2)
    got = load(tmp_path / "a.splat")
    assert len(got) == 2 and got.sh_degree == 0
    assert got.means[1].tolist() == [1, 2, 3]
    torch.testing.assert_close(got.scales[1], torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(got.quats[1], torch.tensor([127 / 128, 0, 0, -1]))
    torch.testing.assert_close(got.opacities[1], torch.tensor(0.8))
    torch.testing.assert_close(got.sh[1, 0] * 0.28209479 + 0.5, torch.tensor([1.0, 0.0, 0.2]))


def test_round_trip_is_within_the_precision_of_the_format(tmp_path):
    scene = blob(70_000, 0)
    save(scene, tmp_path / "a.splat")
    got = load(tmp_path / "a.splat")
    assert torch.equal(got.means, scene.means)
    torch.testing.assert_close(got.log_scales, scene.log_scales)
    assert float((turns(got.quats) * turns(scene.quats)).sum(1).abs().min()) > 0.9998
    assert float((got.opacities - scene.opacities).abs().max()) < 0.51 / 255
    shown = (scene.sh * 0.28209479 + 0.5).clamp(0, 1)
    assert float((got.sh * 0.28209479 + 0.5 - shown).abs().max()) < 0.51 / 255


def test_looks_the_same_except_for_view_dependent_colour(tmp_path, caplog):
    scene = blob()
    with caplog.at_level(logging.WARNING, "sfumato"):
        save(scene, tmp_path / "a.splat")
    assert "SH of degree 1 to 3 are dropped" in caplog.text
    caplog.clear()
    save(blob(degree=0), tmp_path / "b.splat")
    assert not caplog.records
    flat = replace(scene, sh=scene.sh[:, :1])
    assert psnr(flat, load(tmp_path / "a.splat")) > 40


def test_is_recognised_by_its_content(tmp_path):
    (tmp_path / "unnamed").write_bytes(row() * 3)
    assert recognised(tmp_path / "unnamed").name == ".splat"
    for noise in (np.random.default_rng(0).bytes(320), bytes(320), b"words of a text\n" * 40, row() + b"x"):
        (tmp_path / "unnamed").write_bytes(noise)
        with pytest.raises(FormatError, match="not a scene file"):
            load(tmp_path / "unnamed")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (row()[:-1], "31 bytes, which is not a multiple"),
        (b"", "0 bytes"),
        (row() + row(mean=(0, float("nan"), 0)), r"means \(y\) is NaN or infinite for 1 of 2"),
        (row(scale=(1, -1, 1)), "is NaN or infinite for 1 of 1 Gaussians .as of a scale below 0."),
        (row(scale=(1, float("inf"), 1)), "log_scales"),
    ],
)
def test_refuses_invalid_files(tmp_path, content, said):
    (tmp_path / "a.splat").write_bytes(content)
    with pytest.raises(FormatError, match=said):
        load(tmp_path / "a.splat")


def test_a_zero_rotation_is_the_identity_and_a_zero_scale_is_thin(tmp_path):
    (tmp_path / "a.splat").write_bytes(row(quat=(128,) * 4, scale=(1, 0, 1)))
    got = load(tmp_path / "a.splat")
    assert got.quats.tolist() == [[1, 0, 0, 0]] and float(got.log_scales[0, 1]) == -40


def test_refuses_to_save_an_empty_scene(tmp_path):
    with pytest.raises(FormatError, match="cannot be empty"):
        save(blob(0), tmp_path / "a.splat")


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    path = tmp_path_factory.mktemp("valid") / "a.splat"
    save(blob(40, 0), path)
    return path, path.read_bytes()


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=changes)
@pytest.mark.slow
def test_any_change_of_bytes_loads_or_is_a_format_error(valid, edits):
    path, content = valid
    path.write_bytes(changed(content, edits))
    assert_scene_or_format_error(load, path)


def test_reads_files_of_other_tools():
    got = load(real_splats("juleelee/model.splat"))
    assert len(got) == 60634 and 0.1 < float(got.opacities.mean()) < 0.9
    assert len(load(real_splats("splat_transform/minimal.splat"))) == 4
    name = "metalsplatter/test-splat.3-points-from-train"
    packed, plain = load(real_splats(f"{name}.splat")), load(real_splats(f"{name}.ply"))
    assert torch.equal(packed.means, plain.means)
    torch.testing.assert_close(packed.log_scales, plain.log_scales)
    assert float((turns(packed.quats) * turns(plain.quats)).sum(1).min()) > 0.9998
    torch.testing.assert_close(packed.sh, plain.sh[:, :1], atol=0.02, rtol=0)
