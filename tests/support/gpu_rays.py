"""Rays that the GPU's kernels trace, against the definition in float64."""

from unittest import mock

import torch

from sfumato import ops
from sfumato.ops.reference.trace_rays import trace_rays as definition
from sfumato.ops.trace_rays import Hierarchy
from support import ray_scenes, trace_scenes
from support.op_scenes import assert_gradients_close, converted, weighted_sum

FORWARD, BACKWARD = 1e-4, 1e-3
LIMITS = {"near": 0.01, "far": 1e10}


def with_gradients(function, inputs):
    """The results of ``function(**inputs)``, and the gradients of a sum of them by name."""
    leaves = {name: value.detach().clone().requires_grad_() for name, value in inputs.items()}
    found = function(**leaves)
    grads = torch.autograd.grad(weighted_sum(found), list(leaves.values()), materialize_grads=True)
    return [one.detach() for one in found], dict(zip(leaves, grads, strict=True))


def compare(found, targets):
    """Results within the tolerance of those in float64, and no number out of proportion."""
    for got, target in zip(found, targets, strict=True):
        assert got.dtype == torch.float32 and got.shape == target.shape
        error = ((got - target).norm() / target.norm()).item()
        assert error < FORWARD, f"relative error {error:.2e}"
        assert (got - target).abs().max() < FORWARD * target.abs().max()


def agree(function, wanted, inputs):
    """Compare results and gradients with those of ``wanted`` in float64; returns the results."""
    found, grads = with_gradients(function, inputs)
    targets, target_grads = with_gradients(wanted, converted(inputs, torch.float64))
    compare(found, targets)
    assert_gradients_close(grads, target_grads, BACKWARD)
    return found


def kept(number):
    """So few hits in a pass that rays need several."""
    from sfumato.ops.gpu import ray_passes

    return mock.patch.object(ray_passes, "KEPT", number)


def few(scene, n, m):
    """The first Gaussians and rays of inputs."""
    sizes = dict.fromkeys((*ray_scenes.PARTS, "features"), n) | dict.fromkeys(("origins", "directions"), m)
    return {name: value[: sizes.get(name)] for name, value in scene.items()}


def check_free_rays(name="scattered", n=11, m=32, **limits):
    """Rays from all around, of one of the scenes that are hard to trace, and some that see nothing."""
    inputs = few(ray_scenes.inputs_of(name, m=max(m, n)), n, m)
    inputs["directions"][3], inputs["origins"][4, 1] = 0.0, torch.nan
    inputs["means"][0], inputs["features"][0], inputs["scales"][n - 1] = torch.nan, torch.nan, 0.0
    limits = LIMITS | limits
    with kept(4):
        found = agree(
            lambda **values: ops.trace_rays(**values, **limits),
            lambda **values: definition(**values, **limits),
            inputs,
        )
    assert torch.equal(found[0][3:5], inputs["background"].expand(2, -1)) and not found[1][3:5].any()
    assert (found[1] > 0.01).float().mean() > 0.4


def check_rays_of_harmonics(degree=1, n=4, m=12):
    """Colours seen from each ray's origin, of a tree that was refitted, in two batches."""
    inputs = few(ray_scenes.inputs_of("scattered", m=m), n, m)
    inputs["features"] = 0.6 * torch.randn(n, 4, 3, generator=ray_scenes.generator(1))
    shape = [inputs[name] for name in ray_scenes.PARTS]
    tree = Hierarchy.build(shape[0].flip(0), *shape[1:])
    tree.refit(*shape)
    from sfumato.ops.gpu import ray_passes

    with mock.patch.object(ray_passes, "MOST_RECORDS", 12):
        agree(
            lambda **values: ops.trace_rays(**values, **LIMITS, degree=degree, hierarchy=tree),
            lambda **values: definition(**values, **LIMITS, degree=degree),
            inputs,
        )


def check_image_rays(one_order, n=6, height=4):
    """Pixels in one order for all and with origins of their own, or each in its own order from one point."""
    width = 11 if one_order else 8
    inputs = trace_scenes.scene(n=n, directions=trace_scenes.pinhole(width, height))
    depths = None
    if one_order:
        random = torch.Generator().manual_seed(2)
        inputs["offsets"] = 0.1 * torch.randn(height, width, 3, generator=random)
        depths = inputs["means"][:, 0].clone() + 5.0

    def traced(**values):
        ordered = None if depths is None else depths.to(values["means"])
        return ops.trace(**values, **LIMITS, depths=ordered)[:3]

    with kept(2):
        found, grads = with_gradients(traced, inputs | {"absgrad_probe": torch.zeros(n)})
    exact = converted(inputs, torch.float64)
    lengths = grads.pop("absgrad_probe")
    targets, target_grads = with_gradients(traced, exact)
    compare(found, targets)
    assert_gradients_close(grads, target_grads, BACKWARD)
    wanted = lengths_of_means(traced, exact)
    assert (lengths - wanted).norm() < BACKWARD * wanted.norm(), "the absolute gradient"


def lengths_of_means(function, inputs):
    """[n] sum over the pixels of the length of the gradient of the means that one pixel has."""
    means = inputs["means"].clone().requires_grad_()
    found = function(**inputs | {"means": means})
    pulls = torch.autograd.grad(weighted_sum(tuple(one := [t.detach().requires_grad_() for t in found])), one)
    total = torch.zeros(len(means), dtype=means.dtype)
    for y, x in torch.cartesian_prod(*map(torch.arange, found[1].shape)).tolist():
        mine = sum((one[y, x] * pull[y, x]).sum() for one, pull in zip(found, pulls, strict=True))
        if mine.requires_grad:
            total += torch.autograd.grad(mine, means, retain_graph=True)[0].norm(dim=1)
    return total


def check_nothing():
    """No Gaussians, no rays, a single Gaussian that cannot be seen, and a tree as torch expects it."""
    whole = few(ray_scenes.inputs_of("scattered", m=4), 1, 4)
    for n, m in ((0, 4), (1, 0)):
        inputs = few(whole, n, m)
        (image, alpha, distance), grads = with_gradients(
            lambda **values: ops.trace_rays(**values, **LIMITS), inputs
        )
        assert (
            torch.equal(image, inputs["background"].expand(m, 3)) and not alpha.any() and not distance.any()
        )
        assert not any(grads[name].any() for name in ray_scenes.PARTS)
        directions = inputs["directions"][None]
        scene = {name: inputs[name] for name in (*ray_scenes.PARTS, "background")}
        traced = ops.trace(
            **scene, **LIMITS, colours=inputs["features"], eye=torch.zeros(3), directions=directions
        )
        assert torch.equal(traced.image[0], image) and not traced.visible.any()
    hidden = whole | {"opacities": torch.full((1,), 0.003)}
    image, alpha, _ = ops.trace_rays(**hidden, **LIMITS)
    assert torch.equal(image, whole["background"].expand(4, 3)) and not alpha.any()
    shape = [whole[name] for name in ray_scenes.PARTS]
    torch.library.opcheck(
        torch.ops.sfumato.hierarchy, tuple(shape), test_utils=("test_schema", "test_faketensor")
    )
    tree = Hierarchy.build(*shape).arrays
    given = [*shape, whole["features"][:, None], whole["origins"], whole["directions"], whole["background"]]
    given = [one.clone().requires_grad_() for one in given]
    limits = torch.tensor([[0.01], [1e10]], dtype=torch.float64)
    torch.library.opcheck(
        torch.ops.sfumato.trace_rays,
        (*given, tree, limits, -1),
        test_utils=("test_schema", "test_faketensor"),
    )
