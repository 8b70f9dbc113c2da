"""Dynamic scenes in formats of other programs: sequences of `.ply`, and USD with time samples."""

import dataclasses
import logging

import numpy as np
import pytest
import torch

from sfumato.errors import FormatError
from sfumato.scene.files import load
from sfumato.scene.files.dynamic_files import files_there, save_dynamic
from sfumato.scene.files.usd_motion import MOVING_PATH, STILL_PATH
from support.moving_scenes import brief_scene


def test_a_sequence_has_a_file_for_each_step(tmp_path, caplog):
    scene = brief_scene()
    save_dynamic(scene, tmp_path / "a%04d.ply")
    names = [f"a000{i}.ply" for i in range(1, 6)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert [path.name for path in files_there(tmp_path / "a%04d.ply")] == names
    for name, time in zip(names, scene.times.tolist(), strict=True):
        found, expected = load(tmp_path / name), scene.at(time)
        torch.testing.assert_close(found.means, expected.means)
        assert torch.equal(found.identities, expected.identities)
    assert len(load(tmp_path / names[0])) == 8 and len(load(tmp_path / names[2])) == 9
    short = dataclasses.replace(
        scene, times=scene.times[:3], means=scene.means[:3], quats=scene.quats[:3],
        death=scene.death.clamp(max=3),
    )  # fmt: skip
    save_dynamic(short, tmp_path / "a%04d.ply")
    assert "2 older files of the sequence are still there" in caplog.text


@pytest.mark.parametrize("name", ["a.ply", "a%s.ply", "a%d%d.ply", "100%.ply", "a%04f.ply"])
def test_names_that_are_no_sequence(tmp_path, name):
    with pytest.raises(FormatError, match=r"\.ply files hold no motion; those that do: .*%04d\.ply"):
        save_dynamic(brief_scene(), tmp_path / name)


@pytest.fixture
def package():
    """Skip tests if usd-core is not installed."""
    return pytest.importorskip("pxr", reason="usd-core is not installed: pip install 'sfumato[usd]'")


@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usdz"])
def test_usd_has_samples_at_each_step(tmp_path, package, suffix):
    from pxr import Usd

    scene = brief_scene()
    save_dynamic(scene, tmp_path / f"a{suffix}")
    stage = Usd.Stage.Open(str(tmp_path / f"a{suffix}"))
    rate = stage.GetTimeCodesPerSecond()
    assert rate == pytest.approx(1 / float(scene.times.diff().quantile(0.5)))
    prim = stage.GetPrimAtPath(MOVING_PATH)
    codes = prim.GetAttribute("positions").GetTimeSamples()
    np.testing.assert_allclose(codes, scene.times.numpy() * rate, atol=1e-5)
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (codes[0], codes[-1])
    # To y up: a rotation by 180 degrees about z, the quaternion k.
    half_turn = torch.tensor([-1.0, -1.0, 1.0])
    for step, code in enumerate(codes):
        alive = scene.alive(step)
        means = torch.from_numpy(np.array(prim.GetAttribute("positions").Get(code)))
        torch.testing.assert_close(means[alive], scene.means[step, alive] * half_turn)
        assert means.isfinite().all()
        w, x, y, z = scene.quats[step, alive].unbind(1)
        found = torch.from_numpy(np.roll(np.array(prim.GetAttribute("orientations").Get(code)), 1, axis=1))[
            alive
        ]
        dots = (found * torch.stack([-z, -y, x, w], dim=1)).sum(1).abs()
        torch.testing.assert_close(dots, torch.ones_like(dots), atol=1e-5, rtol=0)
        opacities = np.array(prim.GetAttribute("opacities").Get(code))
        expected = torch.where(alive, scene.gaussians.opacities[scene.ids], 0.0)
        np.testing.assert_allclose(opacities, expected, atol=1e-6)
    assert len(np.array(stage.GetPrimAtPath(STILL_PATH).GetAttribute("positions").Get())) == 3


def test_usd_between_steps_is_near_the_scene(tmp_path, package):
    """Gaussians appear abruptly at their first step, and positions are interpolated."""
    from pxr import Usd

    scene = brief_scene()
    save_dynamic(scene, tmp_path / "a.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    prim = stage.GetPrimAtPath(MOVING_PATH)
    middle = float(scene.times[1] + scene.times[2]) / 2
    code = middle * scene.rate
    assert np.array(prim.GetAttribute("opacities").Get(code))[1] == 0
    halfway = (scene.means[1, 0] + scene.means[2, 0]) / 2 * torch.tensor([-1.0, -1.0, 1.0])
    np.testing.assert_allclose(np.array(prim.GetAttribute("positions").Get(code))[0], halfway, atol=1e-5)
    now = scene.at(middle)
    turn = now.quats[now.identities == scene.ids[0]][0]
    expected = np.array([-turn[3], -turn[2], turn[1], turn[0]])
    found = np.roll(np.array(prim.GetAttribute("orientations").Get(code))[0], 1)
    # USD also interpolates quaternions spherically.
    assert abs(float(found @ expected)) > 1 - 1e-3


def test_usd_is_read_as_the_first_step(tmp_path, package, caplog):
    caplog.set_level(logging.ERROR)
    scene = brief_scene()
    save_dynamic(scene, tmp_path / "a.usdc")
    first = load(tmp_path / "a.usdc")
    visible = first.select(first.opacities > 1e-3)
    assert len(first) == 9 and len(visible) == 8
    order = torch.cat([torch.tensor([r for r in range(9) if r not in scene.ids.tolist()]), scene.ids])
    expected = scene.at_birth().select(order)
    torch.testing.assert_close(first.means, expected.means, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(first.sh, expected.sh, atol=1e-5, rtol=1e-5)
