"""glTF: axes, quantised numbers, nodes, colour spaces, and refusal of invalid files."""

import json
import logging
import math
import struct

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings

from sfumato.errors import FormatError
from sfumato.render.rasterize import rasterize
from sfumato.scene.files import load, recognised, save
from sfumato.scene.files.gltf import write_packed_scene
from support.gltf_files import SPLAT, attributes, document, json_of, written
from support.real_data import real_splats
from support.scene_files import assert_scene_or_format_error, blob, changed, changes, psnr, turns
from support.small_scenes import camera_at, small_scene

EXAMPLES = 300


def test_left_up_front_becomes_right_down_front(tmp_path):
    got = load(written(tmp_path, document(attributes())))
    assert got.means.tolist() == [[-1, -2, 3], [-4, -5, 6]]
    torch.testing.assert_close(got.scales, torch.tensor([[0.1, 0.2, 0.3], [1, 2, 3]]))
    torch.testing.assert_close(turns(got.quats)[0], torch.tensor([0.0, 0, 0, 1]))
    torch.testing.assert_close(got.opacities, torch.tensor([0.25, 0.5]))


def test_quantised_attributes_are_decoded(tmp_path):
    arrays = attributes()
    arrays[f"{SPLAT}:ROTATION"] = np.array([[0, 0, 0, 127], [64, 64, 64, 64]], "i1")
    arrays[f"{SPLAT}:SCALE"] = np.array([[1, 2, 3, 0], [4, 5, 6, 0]], "u1")[:, :3].copy()
    arrays[f"{SPLAT}:OPACITY"] = np.array([[65535], [13107]], "u2")
    normalized = (f"{SPLAT}:ROTATION", f"{SPLAT}:OPACITY")
    got = load(written(tmp_path, document(arrays, normalized=normalized)))
    torch.testing.assert_close(got.scales, torch.tensor([[1.0, 2, 3], [4, 5, 6]]))
    torch.testing.assert_close(got.opacities, torch.tensor([1.0, 0.2]), atol=2e-6, rtol=0)
    assert float(got.quats[1].norm()) == pytest.approx(2 * 64 / 127)


def test_strides_and_shared_buffers(tmp_path):
    root = document(attributes())
    table = np.arange(2 * 14, dtype="<f4").reshape(2, 14) / 100 + 0.1
    root["buffers"] = [{"byteLength": table.nbytes, "uri": "numbers%20of%20it.bin"}]
    (tmp_path / "numbers of it.bin").write_bytes(table.tobytes())
    root["bufferViews"] = [{"buffer": 0, "byteLength": table.nbytes, "byteStride": 56}]
    for accessor, at in zip(root["accessors"], (0, 3, 7, 10, 11), strict=True):
        accessor |= {"bufferView": 0, "byteOffset": 4 * at}
    got = load(written(tmp_path, root))
    torch.testing.assert_close(got.means[1].abs(), torch.from_numpy(table[1, :3]))
    torch.testing.assert_close(got.sh[:, 0], torch.from_numpy(table[:, 11:]))


def test_node_transforms_are_applied(tmp_path):
    half = math.sqrt(0.5)
    parent = {"children": [1], "translation": [10, 0, 0]}
    child = {"mesh": 0, "rotation": [0, 0, half, half], "scale": [2, 2, 2]}
    root = document(attributes(degree=1))
    root["nodes"] = [parent, child]
    got = load(written(tmp_path, root))
    # A rotation by 90 degrees about z maps x to y; then y up becomes y down.
    torch.testing.assert_close(got.means[0], torch.tensor([-(10 - 4.0), -2.0, 6.0]))
    torch.testing.assert_close(got.scales[0], torch.tensor([0.2, 0.4, 0.6]))
    flat = load(written(tmp_path, document(attributes(degree=1))))
    # In total, x and y are mapped to y and -x; SH of degree 1 are -y, z, -x.
    assert not torch.allclose(got.sh[0], flat.sh[0])
    torch.testing.assert_close(got.sh[0, 2], flat.sh[0, 2])
    torch.testing.assert_close(got.sh[0, 1], flat.sh[0, 3])
    torch.testing.assert_close(got.sh[0, 3], -flat.sh[0, 1])


def test_scales_that_differ_stretch_covariances(tmp_path):
    root = document(attributes(), node={"scale": [1, 2, 3]})
    got = load(written(tmp_path, root))
    from sfumato.ops import covariance

    packed = covariance(got.quats, got.scales)
    plain = load(written(tmp_path, document(attributes())))
    before = covariance(plain.quats, plain.scales)
    expected = before * torch.tensor([1.0, 2, 3, 4, 6, 9])
    # Entries near zero are differences of large ones: the error is a few dozen roundings of the largest, 81.
    roundings = 32 * torch.finfo(torch.float32).eps
    torch.testing.assert_close(packed, expected, rtol=0, atol=roundings * float(expected.max()))


def test_linear_colours_are_encoded(tmp_path, caplog):
    arrays = attributes(degree=1)
    arrays[f"{SPLAT}:SH_DEGREE_0_COEF_0"][:] = (0.2140411 - 0.5) / 0.28209479
    with caplog.at_level(logging.WARNING, "sfumato"):
        got = load(written(tmp_path, document(arrays, space="lin_rec709_display")))
    assert caplog.text.count("linear colours") == 1
    torch.testing.assert_close(got.sh[:, 0] * 0.28209479 + 0.5, torch.full((2, 3), 0.5), atol=1e-5, rtol=0)
    slope = 1.055 / 2.4 * 0.2140411 ** (1 / 2.4 - 1)
    # z points the same way in both frames.
    torch.testing.assert_close(got.sh[:, 2], torch.full((2, 3), 0.2 * slope), atol=1e-5, rtol=0)


@pytest.mark.parametrize("suffix", ["glb", "gltf"])
@pytest.mark.parametrize("degree", [0, 3])
def test_round_trip(tmp_path, suffix, degree):
    scene = blob(500, degree)
    save(scene, tmp_path / f"a.{suffix}")
    assert recognised(tmp_path / f"a.{suffix}").name == "glTF"
    got = load(tmp_path / f"a.{suffix}")
    torch.testing.assert_close(got.means, scene.means)
    torch.testing.assert_close(got.log_scales, scene.log_scales)
    torch.testing.assert_close(got.opacities, scene.opacities)
    torch.testing.assert_close(got.sh, scene.sh)
    assert float((turns(got.quats) * turns(scene.quats)).sum(1).abs().min()) > 1 - 1e-6
    assert psnr(scene, got) > 60


def test_binary_layout_is_the_one_of_the_specification(tmp_path):
    save(blob(5, 1), tmp_path / "a.glb")
    content = (tmp_path / "a.glb").read_bytes()
    magic, version, length, json_length, kind = struct.unpack("<4sIII4s", content[:20])
    assert (magic, version, length, kind, json_length % 4) == (b"glTF", 2, len(content), b"JSON", 0)
    root = json.loads(content[20 : 20 + json_length])
    assert struct.unpack("<I4s", content[20 + json_length :][:8]) == (
        root["buffers"][0]["byteLength"],
        b"BIN\0",
    )
    names = root["meshes"][0]["primitives"][0]["attributes"]
    assert f"{SPLAT}:SH_DEGREE_1_COEF_2" in names and root["extensionsUsed"] == [SPLAT]
    colour = root["accessors"][names["COLOR_0"]]
    assert (colour["componentType"], colour["normalized"], colour["type"]) == (5121, True, "VEC4")
    assert all(view["byteOffset"] % 4 == 0 for view in root["bufferViews"])


def broken(change):
    root = document(attributes())
    change(root)
    return root


BROKEN = {
    "leaves the view": (lambda r: r["accessors"][0].update(count=3), "another number of"),
    "leaves the buffer": (lambda r: r["bufferViews"][0].update(byteLength=10**9), "leaves its buffer"),
    "huge count": (lambda r: [a.update(count=2**40) for a in r["accessors"]], "more often than a scene"),
    "longer": (lambda r: [a.update(count=1000) for a in r["accessors"]], "leaves its buffer view"),
    "cycle": (lambda r: r["nodes"][0].update(children=[0]), "several parents"),
    "no node": (lambda r: r["scenes"][0].update(nodes=[7]), r"nodes\[7\], which it does not have"),
    "no scale": (
        lambda r: r["meshes"][0]["primitives"][0]["attributes"].pop(f"{SPLAT}:SCALE"),
        "without KHR_gaussian_splatting:SCALE",
    ),
    "no Gaussians": (lambda r: r["meshes"][0]["primitives"][0].pop("extensions"), "holds no Gaussians"),
    "mirror": (lambda r: r["nodes"][0].update(scale=[1, 1, -1]), "mirrors"),
    "NaN": (lambda r: r["nodes"][0].update(matrix=[math.nan] * 16), "transform of node 0"),
    "shear": (
        lambda r: r["nodes"][0].update(matrix=[1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]),
        "shears",
    ),
    "elsewhere": (lambda r: r["buffers"][0].update(uri="../a.bin"), "not a file beside it"),
    "network": (lambda r: r["buffers"][0].update(uri="https://a.b/c"), "not a file beside it"),
    "base64": (lambda r: r["buffers"][0].update(uri="data:,%%%"), "not base64"),
    "sparse": (lambda r: r["accessors"][0].update(sparse={}), "no plain data"),
    "required": (lambda r: r.update(extensionsRequired=["EXT_meshopt_compression"]), "EXT_meshopt"),
    "version": (lambda r: r.update(asset={"version": "1.0"}), "version 2"),
    "true": (lambda r: r["accessors"][0].update(bufferView=True), r"bufferViews\[True\]"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_refuses_invalid_files(tmp_path, case):
    change, said = BROKEN[case]
    with pytest.raises(FormatError, match=said):
        load(written(tmp_path, broken(change)))


def test_refuses_a_file_that_multiplies_its_gaussians(tmp_path):
    root = document({name: np.repeat(array, 4000, axis=0) for name, array in attributes().items()})
    root["nodes"] = [{"mesh": 0} for _ in range(100)]
    root["scenes"][0]["nodes"] = list(range(100))
    with pytest.raises(FormatError, match="more often than a scene"):
        load(written(tmp_path, root))


@pytest.mark.parametrize(
    "text", ['{"asset"' + "[" * 100_000, '{"asset":' + "[1," * 400_000, '{"asset": 1}', '{"asset": "\ud800"}']
)
def test_refuses_hostile_json(tmp_path, text):
    (tmp_path / "a.gltf").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(FormatError):
        load(tmp_path / "a.gltf")


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("valid")
    save(blob(20, 1), folder / "a.glb")
    (folder / "a.gltf").write_text(json.dumps(document(attributes(), node={"scale": [1, 2, 3]})))
    return folder, [(folder / name).read_bytes() for name in ("a.glb", "a.gltf")]


@pytest.mark.parametrize("which", [0, 1])
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=changes)
@pytest.mark.slow
def test_any_change_of_bytes_loads_or_is_a_format_error(valid, which, edits):
    folder, contents = valid
    path = folder / ("b.glb", "b.gltf")[which]
    path.write_bytes(changed(contents[which], edits))
    assert_scene_or_format_error(load, path)


def test_a_packed_file_holds_the_scene_in_the_frame_of_its_mesh(tmp_path):
    scene = small_scene(500)
    write_packed_scene(scene, tmp_path / "packed.glb")
    save(scene, tmp_path / "plain.glb")
    got, plain = load(tmp_path / "packed.glb"), load(tmp_path / "plain.glb")
    assert (tmp_path / "packed.glb").stat().st_size < 0.3 * (tmp_path / "plain.glb").stat().st_size
    torch.testing.assert_close(got.means, plain.means, atol=1e-3, rtol=0.0)
    torch.testing.assert_close(got.log_scales, plain.log_scales, atol=0.04, rtol=0.0)
    torch.testing.assert_close(got.sh, plain.sh, atol=0.05, rtol=0.0)
    camera = camera_at(0.3)
    images = [rasterize(each, camera).image for each in (got, plain)]
    assert float((images[0] - images[1]).abs().mean()) < 0.01
    entry = json_of(tmp_path / "packed.glb")["accessors"][0]
    torch.testing.assert_close(torch.tensor(entry["max"])[2], scene.means[:, 2].max())


def test_reads_a_packed_file_of_cesium():
    got = load(real_splats("cesium/basic.glb"))
    # (1, 2, 3) in the .spz file, rotated by its node to (1, 3, -2), then from y up to y down.
    torch.testing.assert_close(got.means, torch.tensor([[-1.0, -3.0, -2.0]]))
    torch.testing.assert_close(got.log_scales, torch.tensor([[3.0, 2.0, 1.0]]))


@pytest.mark.parametrize("suffix", ["glb", "gltf"])
def test_reads_every_number_type_of_the_conformance_file(suffix):
    got = load(real_splats(f"khr/khr_conformance_matrix.{suffix}"))
    assert (len(got), got.sh_degree) == (15, 3)
    torch.testing.assert_close(got.means, torch.tensor([[-1.0, -2.0, 3.0]]).expand(15, 3))
    assert got.scales[6].tolist() == pytest.approx([2, 3, 4])
    assert got.opacities[8:10].tolist() == pytest.approx([0.75, 64 / 255])


def test_an_unknown_kernel_is_read_as_an_ellipse(caplog):
    with caplog.at_level(logging.WARNING, "sfumato"):
        got = load(real_splats("khr/khr_extensible_fallback.gltf"))
    assert len(got) == 1 and "customShape" in caplog.text
