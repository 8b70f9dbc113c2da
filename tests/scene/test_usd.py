"""OpenUSD: axes, units of attributes, every container, and the error without the package."""

import logging
import sys

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings

from sfumato.errors import ConfigError, FormatError
from sfumato.scene.files import load, recognised, save
from support.scene_files import assert_scene_or_format_error, blob, changed, changes, psnr, turns

EXAMPLES = 60


@pytest.fixture
def package():
    """Skip tests if usd-core is not installed."""
    return pytest.importorskip("pxr", reason="usd-core is not installed: pip install 'sfumato[usd]'")


PRIM = """#usda 1.0
( upAxis = "{up}" )
def Xform "World" {{
    double3 xformOp:translate = (10, 0, 0)
    uniform token[] xformOpOrder = ["xformOp:translate"]
    def ParticleField3DGaussianSplat "Splats" {{
        point3f[] positions = [(1, 2, 3)]
        quatf[] orientations = [(1, 0, 0, 0)]
        float3[] scales = [(0.1, 0.2, 0.3)]
        {opacities}
        uniform int radiance:sphericalHarmonicsDegree = {degree}
        float3[] radiance:sphericalHarmonicsCoefficients = [{sh}]
    }}
}}
"""


def text(path, *, up="Y", opacities="float[] opacities = [0.25]", degree=1, sh=None):
    sh = sh or "(0.1, 0.2, 0.3), (1, 1, 1), (2, 2, 2), (3, 3, 3)"
    path.write_text(PRIM.format(up=up, opacities=opacities, degree=degree, sh=sh))
    return path


def test_left_up_front_becomes_right_down_front(tmp_path, package):
    got = load(text(tmp_path / "a.usda"))
    assert got.means.tolist() == [[-11, -2, 3]]
    torch.testing.assert_close(got.scales, torch.tensor([[0.1, 0.2, 0.3]]))
    torch.testing.assert_close(got.opacities, torch.tensor([0.25]))
    torch.testing.assert_close(turns(got.quats), torch.tensor([[0.0, 0, 0, 1]]))
    # SH of degree 1 are -y, z, -x.
    torch.testing.assert_close(got.sh[0, :, 0], torch.tensor([0.1, -1.0, 2.0, -3.0]))


def test_z_up_is_turned_to_y_up(tmp_path, package):
    got = load(text(tmp_path / "a.usda", up="Z"))
    torch.testing.assert_close(got.means, torch.tensor([[-11.0, -3.0, -2.0]]))


def test_half_precision_is_read(tmp_path, package):
    got = load(text(tmp_path / "a.usda", opacities="half[] opacitiesh = [0.5]"))
    assert got.opacities.tolist() == [0.5]


@pytest.mark.parametrize("suffix", ["usda", "usdc", "usd", "usdz"])
def test_round_trip(tmp_path, package, suffix):
    scene = blob(400)
    save(scene, tmp_path / f"a.{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{suffix}"]
    assert recognised(tmp_path / f"a.{suffix}").name == "OpenUSD"
    got = load(tmp_path / f"a.{suffix}")
    torch.testing.assert_close(got.means, scene.means)
    torch.testing.assert_close(got.log_scales, scene.log_scales)
    torch.testing.assert_close(got.opacities, scene.opacities)
    torch.testing.assert_close(got.sh, scene.sh)
    assert psnr(scene, got) > 60


def test_the_schema_describes_the_written_data(tmp_path, package):
    from pxr import Usd, UsdGeom, UsdVol

    save(blob(7, 2), tmp_path / "a.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    prim = next(p for p in stage.Traverse() if p.IsA(UsdVol.ParticleField3DGaussianSplat))
    field = UsdVol.ParticleField3DGaussianSplat(prim)
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert field.GetRadianceSphericalHarmonicsDegreeAttr().Get() == 2
    assert len(field.GetRadianceSphericalHarmonicsCoefficientsAttr().Get()) == 7 * 9
    first = field.GetOrientationsAttr().Get()[0]
    assert np.hypot(first.GetReal(), np.linalg.norm(first.GetImaginary())) == pytest.approx(1, abs=1e-5)
    assert np.asarray(field.GetPositionsAttr().Get())[:, 1] == pytest.approx(-blob(7, 2).means[:, 1].numpy())


@pytest.mark.parametrize(
    ("changes_of_text", "said"),
    [
        ({"opacities": ""}, "has no opacities"),
        ({"opacities": "float[] opacities = []"}, "fewer opacities than its 1 positions"),
        ({"opacities": "string opacities = 'x'"}, "another type"),
        ({"opacities": "float[] opacities = [1.5]"}, "as of an opacity outside 0 to 1"),
        ({"opacities": "float[] opacities = [nan]"}, "NaN"),
        ({"degree": 2}, "4 SH coefficients; 1 Gaussians need 9"),
        ({"degree": -1}, "need 0 each"),
        ({"degree": 10**9}, "SH coefficients"),
    ],
)
def test_refuses_invalid_files(tmp_path, package, changes_of_text, said):
    with pytest.raises(FormatError, match=said):
        load(text(tmp_path / "a.usda", **changes_of_text))


def test_refuses_unreadable_and_external_files(tmp_path, package, capfd):
    (tmp_path / "inner").mkdir()
    text(tmp_path / "outer.usda")
    path = tmp_path / "inner" / "a.usda"
    for content, said in (
        ("#usda 1.0\ndef Xform {", "cannot be read as OpenUSD"),
        ("#usda 1.0\n", "holds no Gaussians"),
        ("#usda 1.0\n( subLayers = [@../outer.usda@] )", "outside its folder"),
    ):
        path.write_text(content)
        with pytest.raises(FormatError, match=said):
            load(path)
    assert capfd.readouterr().err == ""


def test_degrees_above_3_are_dropped(tmp_path, package, caplog):
    sh = ", ".join(f"({i}, {i}, {i})" for i in range(25))
    with caplog.at_level(logging.WARNING, "sfumato"):
        got = load(text(tmp_path / "a.usda", degree=4, sh=sh))
    assert got.sh_degree == 3 and "degree 4" in caplog.text


def test_refuses_an_unknown_transform(tmp_path, package, capfd):
    content = text(tmp_path / "a.usda").read_bytes()
    broken = content.replace(b"xformOp:tr", b"xformOp:tr\0", 2)
    assert broken != content
    (tmp_path / "b.usda").write_bytes(broken)
    with pytest.raises(FormatError, match="damaged"):
        load(tmp_path / "b.usda")
    assert capfd.readouterr().err == ""


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=changes)
def test_any_change_of_text_loads_or_is_a_format_error(tmp_path, package, edits):
    content = changed(text(tmp_path / "a.usda").read_bytes(), edits)
    (tmp_path / "b.usda").write_bytes(content)
    assert_scene_or_format_error(load, tmp_path / "b.usda")


def test_names_the_extra_if_the_package_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(ConfigError, match=r"install 'usd-core>=26.3'"):
        load(text(tmp_path / "a.usda"))
    with pytest.raises(ConfigError, match=r"install 'usd-core>=26.3'"):
        save(blob(3), tmp_path / "b.usdz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.usda"]
