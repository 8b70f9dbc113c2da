"""``rasterization`` against a reimplementation of gsplat's semantics."""

import inspect
import math

import numpy as np
import pytest
import torch

from sfumato.errors import ConfigError, SfumatoError, ShapeError
from sfumato.render.gsplat_api import RollingShutterType, rasterization
from support import gsplat_restatement as restated
from support.gsplat_calls import FOCAL, HEIGHT, WIDTH, scene

RENDER_MODES = ("RGB", "D", "ED", "RGB+D", "RGB+ED")


def outputs_and_gradients(function, tensors, options):
    """Renders, alphas and the gradient of each tensor, under weights that differ for every value."""
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in tensors.items()}
    arguments = {"quats": None, "scales": None, **leaves}
    renders, alphas, _ = function(**arguments, width=WIDTH, height=HEIGHT, **options)
    loss = 0
    for output in (renders, alphas):
        weights = torch.linspace(0.2, 9.0, output.numel(), dtype=torch.float64).cos().view_as(output)
        loss = loss + (output.double() * weights).sum()
    wanted = {name: leaf for name, leaf in leaves.items() if name != "Ks"}
    grads = torch.autograd.grad(loss, list(wanted.values()), materialize_grads=True)
    return renders, alphas, dict(zip(wanted, grads, strict=True))


def assert_agrees(tensors, dtype=torch.float64, forward=1e-6, backward=1e-6, **options):
    expected = outputs_and_gradients(restated.rasterization, tensors, without_hints(options))
    tensors = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    found = outputs_and_gradients(rasterization, tensors, options)
    for got, target in zip(found[:2], expected[:2], strict=True):
        assert got.shape == target.shape
        assert got.dtype == dtype
        assert relative_error(got, target) < forward
    for name, target in expected[2].items():
        assert relative_error(found[2][name], target) < backward, f"gradient of {name}"
    return expected


def without_hints(options):
    return {
        name: value for name, value in options.items() if name not in ("packed", "tile_size", "segmented")
    }


def relative_error(got, target):
    return ((got.double() - target).norm() / target.norm().clamp_min(1e-9)).item()


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("rasterize_mode", ["classic", "antialiased"])
@pytest.mark.parametrize("render_mode", RENDER_MODES)
@pytest.mark.parametrize("model", list(FOCAL))
def test_every_mode_in_every_camera_model(model, render_mode, rasterize_mode, packed):
    tensors = scene(model=model)
    tensors["backgrounds"] = torch.rand(2, 3, dtype=torch.float64)
    options = {"camera_model": model, "render_mode": render_mode, "rasterize_mode": rasterize_mode}
    _, alphas, grads = assert_agrees(tensors, packed=packed, **options)
    assert alphas.max() > 0.5
    assert grads["means"].any(-1).sum() >= 6, "most Gaussians should be visible"


@pytest.mark.parametrize("model", list(FOCAL))
@pytest.mark.parametrize("render_mode", ["RGB", "RGB+ED"])
@pytest.mark.parametrize("rasterize_mode", ["classic", "antialiased"])
def test_float32_kernels(model, render_mode, rasterize_mode):
    tensors = scene(model=model, sh=True)
    options = {"camera_model": model, "render_mode": render_mode, "rasterize_mode": rasterize_mode}
    assert_agrees(tensors, dtype=torch.float32, forward=1e-4, backward=1e-3, sh_degree=3, **options)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("sh_degree", [0, 1, 2, 3])
def test_spherical_harmonics(sh_degree, packed):
    assert_agrees(scene(sh=True), sh_degree=sh_degree, packed=packed)


@pytest.mark.parametrize("packed", [True, False])
def test_colours_per_camera(packed):
    tensors = scene()
    tensors["colors"] = torch.rand(2, 14, 5, dtype=torch.float64)
    assert_agrees(tensors, packed=packed)
    tensors["colors"] = torch.randn(2, 14, 9, 3, dtype=torch.float64) * 0.3
    assert_agrees(tensors, packed=packed, sh_degree=2)


@pytest.mark.parametrize("packed", [True, False])
def test_batch_dimensions(packed):
    tensors = scene(n=6, batch=(2, 1))
    tensors["backgrounds"] = torch.rand(2, 1, 2, 3, dtype=torch.float64)
    renders, _, _ = assert_agrees(tensors, packed=packed, render_mode="RGB+D")
    assert renders.shape == (2, 1, 2, HEIGHT, WIDTH, 4)


@pytest.mark.parametrize("form", ["matrix", "packed"])
def test_covariances_in_place_of_quaternions_and_scales(form):
    tensors = scene()
    covars = restated.world_covariances(tensors.pop("quats"), tensors.pop("scales"), None)
    rows, columns = [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]
    tensors["covars"] = covars if form == "matrix" else covars[..., rows, columns]
    assert_agrees(tensors)


@pytest.mark.parametrize(
    "options",
    [{"near_plane": 2.8}, {"far_plane": 3.2}, {"radius_clip": 5.0}, {"eps2d": 1.7}, {"tile_size": 8}],
)
def test_options_that_cull_or_blur(options):
    expected = assert_agrees(scene(), **options)
    plain = outputs_and_gradients(restated.rasterization, scene(), {})
    changes = "tile_size" not in options
    assert (relative_error(expected[0], plain[0]) > 1e-3) == changes, "the option should matter"


def test_many_channels():
    assert_agrees(scene(n=8, channels=37))


def test_intrinsics_receive_gradients():
    tensors = scene(n=5, cameras=1)
    Ks = tensors["Ks"].requires_grad_()
    rasterization(**tensors, width=WIDTH, height=HEIGHT)[0].square().sum().backward()
    assert Ks.grad[0, 0, 0] != 0


def test_the_signature_is_that_of_gsplat():
    parameters = inspect.signature(rasterization).parameters
    names = (
        "means quats scales opacities colors viewmats Ks width height near_plane far_plane radius_clip eps2d "
        "sh_degree packed tile_size backgrounds render_mode sparse_grad absgrad rasterize_mode channel_chunk "
        "distributed camera_model segmented covars with_ut with_eval3d radial_coeffs tangential_coeffs "
        "thin_prism_coeffs ftheta_coeffs rolling_shutter viewmats_rs"
    )
    assert list(parameters) == names.split()
    defaults = [parameter.default for parameter in list(parameters.values())[9:]]
    assert defaults == [
        *(0.01, 1e10, 0.0, 0.3, None, True, 16, None, "RGB", False, False, "classic", 32, False, "pinhole"),
        *(False, None, False, False, None, None, None, None, RollingShutterType.GLOBAL, None),
    ]


def test_packed_intermediates_are_the_visible_rows_of_the_others():
    tensors = scene(n=9, cameras=3, batch=(2,))
    _, _, dense = rasterization(**tensors, width=WIDTH, height=HEIGHT, packed=False)
    _, _, packed = rasterization(**tensors, width=WIDTH, height=HEIGHT)
    _, _, radii = restated.rasterization(**tensors, width=WIDTH, height=HEIGHT)
    assert dense["radii"].shape == (2, 3, 9, 2)
    assert dense["radii"].dtype == torch.int32
    assert torch.equal(dense["radii"], radii.to(torch.int32))
    visible = (dense["radii"] > 0).all(-1)
    assert 0 < visible.sum() < visible.numel()
    ids = torch.stack([packed[name] for name in ("batch_ids", "camera_ids", "gaussian_ids")], -1)
    assert torch.equal(ids, visible.nonzero())
    for name in ("means2d", "radii", "depths", "conics", "opacities"):
        assert torch.equal(packed[name], dense[name][visible]), name
    for meta in (dense, packed):
        assert (meta["width"], meta["height"]) == (WIDTH, HEIGHT)
        assert (meta["n_batches"], meta["n_cameras"]) == (2, 3)
        assert (meta["tile_size"], meta["tile_width"], meta["tile_height"]) == (16, 2, 2)
    assert dense["gaussian_ids"] is None


@pytest.mark.parametrize("packed", [True, False])
def test_tile_lists_contain_every_gaussian_that_touches_a_tile(packed):
    tensors = scene(n=9, cameras=2)
    _, _, meta = rasterization(**tensors, width=WIDTH, height=HEIGHT, packed=packed, tile_size=8)
    offsets = torch.cat([meta["isect_offsets"].flatten(), torch.tensor([len(meta["flatten_ids"])])])
    assert meta["isect_offsets"].shape == (2, meta["tile_height"], meta["tile_width"]) == (2, 3, 4)
    means2d, radii = meta["means2d"].reshape(-1, 2), meta["radii"].reshape(-1, 2)
    depths = meta["depths"].flatten()
    image_ids = meta["camera_ids"] if packed else torch.arange(2).repeat_interleave(9)
    counts = torch.zeros(len(means2d), dtype=torch.int32)
    for slot in range(2 * 3 * 4):
        image, y, x = slot // 12, slot % 12 // 4, slot % 4
        listed = meta["flatten_ids"][offsets[slot] : offsets[slot + 1]].long()
        low, high = torch.tensor([x, y]) * 8, torch.tensor([x + 1, y + 1]) * 8
        touches = ((means2d + radii > low) & (means2d - radii < high) & (radii > 0)).all(-1)
        assert set(listed.tolist()) == set((touches & (image_ids == image)).nonzero().flatten().tolist())
        assert (depths[listed].diff() >= 0).all()
        counts[listed] += 1
    assert torch.equal(meta["tiles_per_gauss"].flatten(), counts)
    assert (meta["isect_ids"].diff() >= 0).all()


def test_intermediates_behave_like_a_dictionary():
    _, _, meta = rasterization(**scene(n=4), width=WIDTH, height=HEIGHT)
    assert "flatten_ids" in meta
    assert "nonsense" not in meta
    assert {**meta}.keys() == set(meta)
    assert len(meta) == len(list(meta))
    meta["mine"] = 1
    assert meta.pop("mine") == 1
    del meta["isect_ids"]
    assert meta.get("isect_ids") is None


@pytest.mark.parametrize("packed", [True, False])
def test_means2d_receive_gradients_and_absolute_gradients(packed):
    tensors = scene(n=6, cameras=2)
    tensors["means"].requires_grad_()
    renders, _, meta = rasterization(**tensors, width=WIDTH, height=HEIGHT, packed=packed, absgrad=True)
    meta["means2d"].retain_grad()
    weights = torch.linspace(-1, 3, renders.numel(), dtype=torch.float64).sin().view_as(renders)
    (renders * weights).sum().backward()
    assert meta["means2d"].grad.shape == meta["means2d"].absgrad.shape == meta["means2d"].shape
    expected = absolute_gradients(tensors, weights)
    if packed:
        expected = expected[meta["camera_ids"], meta["gaussian_ids"]]
    torch.testing.assert_close(meta["means2d"].absgrad, expected)
    assert (meta["means2d"].absgrad >= meta["means2d"].grad.abs() - 1e-12).all()


def absolute_gradients(tensors, weights):
    """[c, n, 2] from the reimplementation: sum of the absolute gradients of each pixel."""
    covariances = restated.world_covariances(tensors["quats"], tensors["scales"], None)[None]
    defaults = {"near_plane": 0.01, "far_plane": 1e10, "radius_clip": 0.0, "eps2d": 0.3}
    options = {**defaults, "camera_model": "pinhole", "rasterize_mode": "classic"}
    means, opacities, viewmats, Ks = (
        tensors[name][None] for name in ("means", "opacities", "viewmats", "Ks")
    )
    tables = restated.project(
        means.detach(), covariances, opacities, viewmats, Ks, {**options, "width": WIDTH, "height": HEIGHT}
    )
    totals = []
    for k in range(viewmats.shape[1]):
        mean, conic, z, peak, radii = (table[0, k].detach() for table in tables)
        mean.requires_grad_()
        rest = (conic, z, peak, (radii > 0).all(-1), tensors["colors"], torch.zeros(3).double())
        image, _ = restated.blend(mean, *rest, WIDTH, HEIGHT)
        values = (image * weights[k]).sum(-1).flatten()
        (each,) = torch.autograd.grad(values, mean, torch.eye(len(values)).double(), is_grads_batched=True)
        totals.append(each.abs().sum(dim=0))
    return torch.stack(totals)


@pytest.mark.parametrize("cameras", [1, 3])
@pytest.mark.parametrize("sh_degree", [None, 2])
def test_sparse_gradients_equal_dense_ones(cameras, sh_degree):
    names = ("means", "quats", "scales")
    results = []
    for sparse in (False, True):
        tensors = scene(cameras=cameras, sh=sh_degree is not None)
        for name in names:
            tensors[name].requires_grad_()
        options = {"sparse_grad": sparse, "sh_degree": sh_degree}
        renders, _, meta = rasterization(**tensors, width=WIDTH, height=HEIGHT, **options)
        renders.square().sum().backward()
        results.append([tensors[name].grad for name in names])
        assert all(tensors[name].grad.is_sparse == sparse for name in names)
    seen = set(results[1][0].coalesce().indices()[0].tolist())
    assert seen == set(meta["gaussian_ids"].tolist())
    for dense, sparse in zip(*results, strict=True):
        torch.testing.assert_close(sparse.to_dense(), dense)


def test_sparse_gradients_of_covariances():
    tensors = scene(cameras=1)
    tensors["covars"] = restated.world_covariances(tensors.pop("quats"), tensors.pop("scales"), None)
    tensors["covars"].requires_grad_()
    arguments = {"quats": None, "scales": None, **tensors}
    rasterization(**arguments, width=WIDTH, height=HEIGHT, sparse_grad=True)[0].sum().backward()
    assert tensors["covars"].grad.is_sparse


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("packed", [True, False])
def test_an_empty_scene(packed, dtype):
    for n in (0, 3):
        tensors = {name: tensor.to(dtype) for name, tensor in scene(n=4).items()}
        tensors = {
            name: tensor if name in ("viewmats", "Ks") else tensor[:n] for name, tensor in tensors.items()
        }
        tensors["means"] = (tensors["means"] - torch.tensor([0.0, 0.0, 50.0])).to(dtype).requires_grad_()
        tensors["backgrounds"] = torch.rand(2, 3, dtype=dtype)
        options = {"packed": packed, "render_mode": "RGB+ED", "absgrad": True}
        renders, alphas, meta = rasterization(**tensors, width=WIDTH, height=HEIGHT, **options)
        meta["means2d"].retain_grad()
        renders.sum().backward()
        assert not alphas.any()
        assert not renders[..., 3].any()
        assert torch.equal(renders[0, 0, 0, :3], tensors["backgrounds"][0])
        assert len(meta["flatten_ids"]) == 0
        assert tensors["means"].grad.shape == (n, 3)
        assert meta["means2d"].absgrad.shape == meta["means2d"].shape
        assert not meta["means2d"].absgrad.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_invalid_gaussians_do_not_affect_others(dtype):
    tensors = {name: tensor.to(dtype) for name, tensor in scene(sh=True).items()}
    tensors["means"][3] = torch.nan
    tensors["scales"][4] = torch.inf
    tensors["opacities"][5] = torch.nan
    keep = [i for i in range(14) if i not in (3, 4, 5)]
    for name in ("means", "quats", "scales", "opacities", "colors"):
        tensors[name].requires_grad_()
    clean = {
        name: tensor if name in ("viewmats", "Ks") else tensor.detach()[keep]
        for name, tensor in tensors.items()
    }
    renders, _, _ = rasterization(**tensors, width=WIDTH, height=HEIGHT, sh_degree=3)
    expected, _, _ = rasterization(**clean, width=WIDTH, height=HEIGHT, sh_degree=3)
    torch.testing.assert_close(renders.detach(), expected)
    renders.sum().backward()
    for name in ("means", "quats", "scales", "opacities", "colors"):
        assert torch.isfinite(tensors[name].grad[keep]).all(), name


UNSUPPORTED = {
    "distributed": True,
    "with_ut": True,
    "with_eval3d": True,
    "radial_coeffs": torch.zeros(2, 6),
    "tangential_coeffs": torch.zeros(2, 2),
    "thin_prism_coeffs": torch.zeros(2, 4),
    "ftheta_coeffs": object(),
    "rolling_shutter": RollingShutterType.ROLLING_TOP_TO_BOTTOM,
    "viewmats_rs": torch.zeros(2, 4, 4),
    "camera_model": "ftheta",
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_unsupported_arguments_are_named(name):
    with pytest.raises(ConfigError, match=name):
        rasterization(**scene(), width=WIDTH, height=HEIGHT, **{name: UNSUPPORTED[name]})


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"render_mode": "depth"}, "render_mode"),
        ({"rasterize_mode": "mip"}, "rasterize_mode"),
        ({"sh_degree": 4}, "sh_degree"),
        ({"sh_degree": 3, "colors": torch.zeros(14, 9, 3).double()}, "colors"),
        ({"width": 0}, "width"),
        ({"height": 2.5}, "height"),
        ({"height": math.nan}, "height"),
        ({"height": math.inf}, "height"),
        ({"width": "32"}, "width"),
        ({"width": None}, "width"),
        ({"width": True}, "width"),
        ({"width": torch.tensor([32, 32])}, "width"),
        ({"width": torch.tensor(31.5)}, "width"),
        ({"sh_degree": "3"}, "sh_degree"),
        ({"sh_degree": -1}, "sh_degree"),
        ({"tile_size": 0}, "tile_size"),
        ({"channel_chunk": 0}, "channel_chunk"),
        ({"near_plane": "near"}, "near_plane"),
        ({"far_plane": math.nan}, "far_plane"),
        ({"eps2d": None}, "eps2d"),
        ({"radius_clip": [0.0]}, "radius_clip"),
        ({"sparse_grad": True, "packed": False}, "sparse_grad"),
        ({"means": torch.zeros(14, 2).double()}, "means"),
        ({"means": None}, "means"),
        ({"quats": None}, "quats"),
        ({"scales": torch.ones(14, 3)}, "scales"),
        ({"opacities": torch.ones(14, 1).double()}, "opacities"),
        ({"colors": torch.ones(3, 14, 3).double()}, "colors"),
        ({"colors": torch.ones(3).double()}, "colors"),
        ({"colors": None}, "colors"),
        ({"viewmats": torch.eye(4).double()}, "viewmats"),
        ({"viewmats": torch.zeros(0, 4, 4).double()}, "viewmats"),
        ({"Ks": torch.eye(3).double()[None]}, "Ks"),
        ({"backgrounds": torch.zeros(2, 4).double()}, "backgrounds"),
        ({"covars": torch.zeros(14, 3, 2).double()}, "covars"),
    ],
)
def test_wrong_arguments_are_named(changes, word):
    with pytest.raises(SfumatoError, match=word) as caught:
        rasterization(**{**scene(), "width": WIDTH, "height": HEIGHT, **changes})
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, (ConfigError, ShapeError))


@pytest.mark.parametrize("kind", [float, np.float64, np.float32, np.int64, torch.tensor])
def test_integers_of_any_type_are_accepted(kind):
    plain = {"width": WIDTH, "height": HEIGHT, "tile_size": 8, "channel_chunk": 16, "sh_degree": 2}
    tensors = scene(n=3, sh=True)
    expected, _, _ = rasterization(**tensors, **plain)
    found, _, meta = rasterization(**tensors, **{name: kind(value) for name, value in plain.items()})
    assert torch.equal(found, expected)
    assert all(type(meta[name]) is int for name in ("width", "height", "tile_size", "tile_width"))


def test_sparse_gradients_refuse_batches():
    with pytest.raises(ConfigError, match="sparse_grad"):
        rasterization(**scene(n=3, batch=(2,)), width=WIDTH, height=HEIGHT, sparse_grad=True)
