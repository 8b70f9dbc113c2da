"""Tiny inputs of the operations, for kernels that are interpreted, and comparisons with the definitions."""

from functools import partial
from unittest import mock

import torch

from sfumato import ops
from sfumato.ops import reference
from sfumato.ops.mesh_hits import mesh_hits
from sfumato.scene.lenses import PINHOLE
from sfumato.training import warm_up
from sfumato.training.config import TrainConfig
from support.gpu_lists import tiles_of
from support.op_scenes import (
    HEIGHT,
    MODELS,
    WIDTH,
    assert_gradients_close,
    camera,
    converted,
    ellipses,
    gaussians,
    gradients,
    moving_neighbours,
    penalised,
)

FORWARD, BACKWARD = 1e-4, 1e-3
PROJECTION = {"width": WIDTH, "height": HEIGHT, "near": 0.01, "far": 1e10, "blur_px2": 0.3}
# Kernels differentiate neither the photograph nor the intrinsics.
WITHOUT_GRADIENT = ("target", "intrinsics")


def covariance_case(n=50):
    scene = gaussians(n)
    return "covariance", {"quats": scene["quats"] * 3, "scales": scene["scales"]}, {}


def project_case(model, n=60, **options):
    scene = gaussians(n, seed=2)
    pose, intrinsics = camera(model)
    inputs = {
        # Spread beyond the image, so that some are culled.
        "means": scene["means"] * torch.tensor([2.0, 2.0, 1.0]),
        "covariances": reference.covariance(scene["quats"], scene["scales"]),
        "camera_from_world": pose,
        "intrinsics": intrinsics,
    }
    if options.get("antialiased"):
        options["opacities"] = scene["opacities"] * 0.2
    return "project", inputs, {**PROJECTION, "model": model, **options}


def beside_the_image_case():
    """Gaussians that reach into an image of one pixel, whose tangents are clamped and conics matter most."""
    name, inputs, options = project_case("pinhole", n=40, width=1, height=1, blur_px2=0.01)
    inputs["means"] = inputs["means"] * torch.tensor([2.0, 2.0, 1.0])
    inputs["intrinsics"] = torch.tensor([[0.8, 0, 0.5], [0, 0.9, 0.45], [0, 0, 1.0]], dtype=torch.float64)
    return name, inputs, options


def beside_the_axis_case():
    """Points of a fisheye from its axis to behind it, across the border of its series."""
    name, inputs, options = project_case("fisheye", n=60)
    tangent = torch.linspace(0, 1, 60, dtype=torch.float64) ** 3 * 2.5
    turn = torch.arange(60, dtype=torch.float64)
    inputs["camera_from_world"] = torch.eye(4, dtype=torch.float64)
    inputs["means"] = torch.stack([tangent * turn.cos(), tangent * turn.sin(), 1.0 + 0 * turn], -1)
    inputs["covariances"] *= 0.01
    return name, inputs, options | {"width": 400, "height": 300}


def colour_case(degree, n=50, form="sh", with_visible=False):
    scene = gaussians(n)
    centre = torch.tensor([0.2, -0.4, -1.0], dtype=torch.float64)
    options = {"degree": degree, "form": form}
    if with_visible:
        options["visible"] = torch.arange(n) % 3 > 0
    return "colour", {"sh": scene["sh"], "means": scene["means"], "camera_centre": centre}, options


def composite_case(channels=3, n=16, opacity=None, size=(16, 8), absolute=False, wider=1.0):
    inputs = ellipses(n, channels=channels)
    inputs["conic"] /= wider**2
    inputs["mean_px"] *= torch.tensor(size) / torch.tensor([WIDTH, HEIGHT])
    if opacity is not None:
        inputs["opacities"] = opacity * (1 - inputs["opacities"] * 0.01)
    # Two at one depth, which keep their order, and one that takes no part.
    inputs["depth"][3:4] = inputs["depth"][4:5]
    inputs["radius_px"][5:6] = 0
    options = {name: inputs.pop(name) for name in ("depth", "radius_px")}
    if absolute:
        inputs["absgrad_probe"] = torch.zeros_like(inputs["mean_px"])
    return "composite", inputs, options | {"width": size[0], "height": size[1]}


def motion_priors_case(n=20, k=5):
    options = moving_neighbours(n, k)
    # The same rotations, but turns of neighbours have other signs.
    options["quats"][::2] *= -1
    # What was before, and what the edges are, has no gradient.
    return "motion_priors", {name: options.pop(name) for name in ("means", "quats")}, options


def photometric_case(pixel_loss, weighted, height=12, width=7):
    random = torch.Generator().manual_seed(5)
    image, target, weight = torch.rand(3, height, width, 3, generator=random, dtype=torch.float64)
    weight = (weight[..., 0] * 1.5 - 0.3).clamp(0, 1) if weighted else None
    options = {"weight": weight, "ssim_weight": 0.2, "pixel_loss": pixel_loss}
    return "photometric_loss", {"image": image, "target": target}, options


CASES = {
    "covariance": covariance_case,
    **{f"project-{model}": partial(project_case, model) for model in MODELS},
    "project-antialiased": partial(project_case, "pinhole", antialiased=True),
    "project-clip": partial(project_case, "pinhole", radius_clip=4.0, near=2.5, far=3.5),
    "project-beside-the-image": beside_the_image_case,
    "project-beside-the-axis": beside_the_axis_case,
    **{f"colour-{degree}": partial(colour_case, degree) for degree in range(4)},
    "colour-visible": partial(colour_case, 3, with_visible=True),
    "colour-sigmoid": partial(colour_case, 2, form="sh-sigmoid", with_visible=True),
    "colour-logit": partial(colour_case, 0, form="logit"),
    **{f"composite-{channels}": partial(composite_case, channels) for channels in (1, 2, 3, 4)},
    "composite-9": partial(composite_case, 9, n=8),
    "composite-absolute": partial(composite_case, 3, absolute=True),
    "composite-absolute-6": partial(composite_case, 6, n=8, absolute=True),
    # Wide and opaque, so that alpha is clamped in several pixels.
    "composite-clamped": partial(composite_case, n=5, opacity=1.05, size=(5, 4), wider=30.0),
    # Pixels stop, and the tile ends before its list does.
    "composite-opaque": partial(composite_case, n=24, opacity=1.0, size=(5, 4)),
    "composite-tiles": partial(composite_case, n=16, size=(21, 11)),
    "composite-one-pixel": partial(composite_case, n=8, size=(1, 1)),
    **{f"opacity-and-scale-{n}": lambda n=n: ("opacity_and_scale", *penalised(n)) for n in (1, 300)},
    "motion-priors": motion_priors_case,
    "motion-priors-one-edge": partial(motion_priors_case, n=3, k=1),
    "photometric-l1-plain": partial(photometric_case, "l1", False),
    "photometric-l1-weighted": partial(photometric_case, "l1", True),
    "photometric-mse-weighted": partial(photometric_case, "mse", True),
    "photometric-small": partial(photometric_case, "mse", False, height=3, width=7),
}


def called(module, name, inputs, options):
    outputs = getattr(module, name)(**inputs, **options)
    return outputs if isinstance(outputs, tuple) else (outputs,)


def check(case):
    """Compare results and gradients of a case with the definition."""
    name, inputs, options = CASES[case]()
    inputs, options = converted(inputs, torch.float32), converted(options, torch.float32)
    exact, exact_options = converted(inputs, torch.float64), converted(options, torch.float64)
    compare(called(ops, name, inputs, options), called(reference, name, exact, exact_options))
    fixed = {key: inputs[key] for key in inputs if key in WITHOUT_GRADIENT}
    moving = {key: inputs[key] for key in inputs if key not in WITHOUT_GRADIENT}
    found = gradients(lambda **leaves: called(ops, name, {**leaves, **fixed}, options), moving)
    exact_fixed, exact_moving = converted(fixed, torch.float64), converted(moving, torch.float64)
    wanted = gradients(
        lambda **leaves: called(reference, name, {**leaves, **exact_fixed}, exact_options), exact_moving
    )
    assert_gradients_close(found, wanted, BACKWARD)


def compare(found, wanted):
    """Results within 1e-4 of the definition's, and none of their numbers out of proportion."""
    for index, (got, target) in enumerate(zip(found, wanted, strict=True)):
        assert got.shape == target.shape, f"output {index}: {list(got.shape)} instead of {list(target.shape)}"
        if not target.is_floating_point():
            assert torch.equal(got > 0, target > 0), "another Gaussian is visible"
            assert (got - target).abs().max() <= 1, "a radius is off by more than one rounding"
            continue
        assert got.dtype == torch.float32, f"output {index} is {got.dtype}"
        error = ((got.double() - target).norm() / target.norm()).item()
        assert error < FORWARD, f"output {index}: relative error {error:.2e}"
        worst = (got.double() - target).abs().max() / target.abs().max()
        assert worst < 10 * FORWARD, f"output {index}: largest error {worst:.2e} of the largest value"


def check_adam():
    """Seven steps, of whole rows and of leading columns."""
    random = torch.Generator().manual_seed(0)
    for shape, rate in (((), 0.02), ((16, 3), 0.02), ((4,), torch.tensor([0.02, 0.01, 0.03]))):
        param, grad = torch.randn(2, 40, *shape, generator=random)
        wanted = [param.double(), torch.zeros_like(param).double(), torch.zeros_like(param).double()]
        found = [tensor.float() for tensor in wanted]
        exact_rate = rate.double() if isinstance(rate, torch.Tensor) else rate
        for step in range(1, 8):
            seen = torch.rand(40, generator=random) > 0.4
            before = [tensor.clone() for tensor in found]
            ops.adam_step(found[0], grad * step, *found[1:], seen, rate=rate, step=step)
            ops.adam_step(wanted[0], (grad * step).double(), *wanted[1:], seen, rate=exact_rate, step=step)
            for tensor, old in zip(found, before, strict=True):
                assert torch.equal(tensor[~seen], old[~seen]), "a row that was not seen has changed"
                assert len(shape) != 1 or torch.equal(tensor[:, 3], old[:, 3]), "a column without a rate"
        compare(found, wanted)


def check_mesh_hits(n):
    """Small triangles in the unit cube, and rays from around them; exact but for the rounding of results."""
    random = torch.Generator().manual_seed(n)

    def uniform(*shape):
        return torch.rand(*shape, generator=random)

    vertices = (uniform(n, 1, 3) + 0.6 * (uniform(n, 3, 3) - 0.5)).reshape(-1, 3)
    faces, ends = torch.arange(3 * n).reshape(n, 3), 0.1 + 3 * uniform(60)
    origins = 4 * uniform(60, 3) - 1.5
    directions = uniform(60, 3) - origins
    directions[0], directions[1] = 0, torch.tensor([0.0, 0.0, 1.0])
    inputs = [vertices, faces, origins, directions, torch.full_like(ends, 0.1), ends]
    found = mesh_hits(*inputs)
    wanted = mesh_hits(*[one.double() if one.is_floating_point() else one for one in inputs])
    assert torch.equal(found.face, wanted.face), "another triangle"
    assert found.face[0] == -1 and (n < 20 or (found.face >= 0).sum() > 5)
    for got, target in ((found.distance, wanted.distance), (found.corners, wanted.corners)):
        torch.testing.assert_close(got.double(), target, rtol=1e-6, atol=1e-6)


def check_nothing():
    """No Gaussians leave the background, and no gradients."""
    for make in (covariance_case, partial(project_case, "pinhole"), partial(colour_case, 3)):
        name, inputs, options = make(n=0)
        inputs = converted(inputs, torch.float32)
        assert all(len(output) == 0 for output in called(ops, name, inputs, options)), name
        found = gradients(lambda name=name, options=options, **a: called(ops, name, a, options), inputs)
        assert not any(gradient.any() for gradient in found.values()), name
    name, inputs, options = composite_case(n=0)
    inputs, options = converted(inputs, torch.float32), converted(options, torch.float32)
    image, alpha = called(ops, name, inputs, options)
    assert torch.equal(image, inputs["background"].expand(8, 16, 3)) and not alpha.any()
    assert gradients(lambda **leaves: called(ops, name, leaves, options), inputs)["background"].any()


def check_registration():
    """Torch's own checks of the operation with lists that are kept for its gradient."""
    _, inputs, options = composite_case(n=3, size=(3, 2))
    values = {**converted(inputs, torch.float32), **converted(options, torch.float32)}
    names = ("mean_px", "conic", "opacities", "colours", "depth", "radius_px", "background")
    leaves = [values[name].requires_grad_(name not in ("depth", "radius_px")) for name in names]
    torch.library.opcheck(torch.ops.sfumato.composite, (*leaves, torch.empty(0), [3, 2]))


def check_whole_chain(model):
    """From parameters to a picture, with Gaussians that are broken or at an edge of what can be drawn."""
    scene = gaussians(16, seed=4, dtype=torch.float32, degree=1)
    for row, (field, value) in enumerate(EDGES):
        scene[field][row] = value
    pose, intrinsics = camera(model, torch.float32)
    exact = converted(scene, torch.float64)
    target = rendered(reference, exact, pose.double(), intrinsics.double(), model)
    compare(rendered(ops, scene, pose, intrinsics, model), target)
    grads = gradients(lambda **leaves: rendered(ops, leaves, pose, intrinsics, model), scene)
    sound = torch.ones(16, dtype=torch.bool)
    sound[[row for row, (_, value) in enumerate(EDGES) if value != value or value == float("inf")]] = False
    for name, gradient in grads.items():
        assert torch.isfinite(gradient[sound]).all(), f"the gradient of {name} is not finite"


EDGES = [
    *[("opacities", 0.0), ("opacities", 1.0), ("scales", 1e-12), ("scales", 1e6), ("quats", 0.0)],
    *[("quats", 1e12), ("means", 1e9), ("means", float("nan")), ("scales", float("inf"))],
]


def rendered(module, scene, pose, intrinsics, model):
    covariances = module.covariance(scene["quats"], scene["scales"])
    options = {**PROJECTION, "model": model, "opacities": scene["opacities"]}
    mean_px, conic, depth, _, radius_px = module.project(
        scene["means"], covariances, pose, intrinsics, **options
    )
    centre = -pose[:3, :3].T @ pose[:3, 3]
    colours = module.colour(scene["sh"], scene["means"], centre, 1)
    return module.composite(
        mean_px, conic, scene["opacities"], colours, depth, radius_px, torch.full_like(centre, 0.3),
        width=WIDTH, height=HEIGHT,
    )  # fmt: skip


def check_training_steps(strategy):
    """Steps of training with refinement change a tiny scene, and its numbers stay finite."""
    states, take = [], warm_up.train_step

    def kept(state, views):
        states.append((state, take(state, views)))

    with mock.patch.multiple(warm_up, _SIDE_PX=16, _STEPS=1, train_step=kept):
        warm_up.take_steps(TrainConfig(steps=4, strategy=strategy), [(PINHOLE, False)])
    ((state, stats),) = states
    assert 0 < stats.loss < 1 and stats.visible > 0
    assert all(tensor.isfinite().all() for tensor in state.gaussians.tensors().values())


def check_tall_tiles():
    """Tiles of 16x16 px, which only large images have."""
    with tiles_of(16):
        check("composite-tiles")
