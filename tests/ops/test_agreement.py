"""Every operation against its reference: float32 operation, float64 reference, the same rounded inputs.

Scenes are on the host. Operations run on every device of this machine that has a backend; if the backend
lacks an operation, its tests are skipped.
"""

from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sfumato import ops
from sfumato.errors import ConfigError, SfumatoError
from sfumato.ops import reference
from sfumato.ops.backend import available_devices, implementation, served_by
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
    moving_frames,
    moving_neighbours,
    penalised,
)
from support.plain_backend import PLAIN

pytestmark = pytest.mark.kernels

SIZE = {"width": WIDTH, "height": HEIGHT}
PROJECTION = {**SIZE, "near": 0.01, "far": 1e10, "blur_px2": 0.3}
FORWARD, BACKWARD = 1e-4, 1e-3


def covariance_case(n=50):
    scene = gaussians(n)
    return "covariance", {"quats": scene["quats"] * 3, "scales": scene["scales"]}, {}


def project_case(model, n=60, **options):
    scene = gaussians(n, seed=2)
    pose, intrinsics = camera(model)
    inputs = {
        # Spread beyond the image, so that some are culled and some tangents clamped.
        "means": scene["means"] * torch.tensor([2.0, 2.0, 1.0]),
        "covariances": reference.covariance(scene["quats"], scene["scales"]),
        "camera_from_world": pose,
        "intrinsics": intrinsics,
    }
    if options.pop("with_opacities", False):
        options["opacities"] = scene["opacities"] * 0.2
    return "project", inputs, {**PROJECTION, "model": model, **options}


def colour_case(degree, n=50, with_visible=False):
    scene = gaussians(n)
    centre = torch.tensor([0.2, -0.4, -1.0], dtype=torch.float64)
    options = {"degree": degree, "visible": torch.arange(n) % 3 > 0} if with_visible else {"degree": degree}
    return "colour", {"sh": scene["sh"], "means": scene["means"], "camera_centre": centre}, options


def composite_case(channels=3, n=64, opacity=None, size=(WIDTH, HEIGHT)):
    inputs = ellipses(n, channels=channels)
    inputs["mean_px"] *= torch.tensor(size) / torch.tensor([WIDTH, HEIGHT])
    if opacity is not None:
        inputs["opacities"] = opacity * (1 - inputs["opacities"] * 0.01)
    depth, radius_px = inputs.pop("depth"), inputs.pop("radius_px")
    options = {"width": size[0], "height": size[1], "depth": depth, "radius_px": radius_px}
    return "composite", inputs, options


def photometric_case(pixel_loss, weighted, height=37, width=29):
    random = torch.Generator().manual_seed(5)
    image, target, weight = torch.rand(3, height, width, 3, generator=random, dtype=torch.float64)
    weight = (weight[..., 0] * 1.5 - 0.3).clamp(0, 1) if weighted else None
    options = {"weight": weight, "ssim_weight": 0.2, "pixel_loss": pixel_loss}
    return "photometric_loss", {"image": image, "target": target}, options


def opacity_and_scale_case(n=50):
    return "opacity_and_scale", *penalised(n)


def motion_priors_case(n=40, k=11):
    options = moving_neighbours(n, k)
    # Previous poses and edges have no gradient.
    return "motion_priors", {name: options.pop(name) for name in ("means", "quats")}, options


def rigid_motion_case(n=60, m=9):
    return "rigid_motion", *moving_frames(n, m)


CASES = {
    "covariance": covariance_case,
    **{f"project-{model}": partial(project_case, model) for model in MODELS},
    "project-opacities": partial(project_case, "pinhole", with_opacities=True),
    "project-antialiased": partial(project_case, "pinhole", with_opacities=True, antialiased=True),
    "project-clip": partial(project_case, "pinhole", radius_clip=4.0, near=2.5, far=3.5),
    **{f"colour-{degree}": partial(colour_case, degree) for degree in range(4)},
    "colour-visible": partial(colour_case, 3, with_visible=True),
    **{f"composite-{channels}": partial(composite_case, channels) for channels in (1, 3, 4, 9)},
    "composite-opaque": partial(composite_case, opacity=1.0),
    "composite-deep": partial(composite_case, n=700, opacity=0.03, size=(12, 9)),
    "composite-tiles": partial(composite_case, n=100, size=(70, 37)),
    "composite-one-pixel": partial(composite_case, n=20, size=(1, 1)),
    "opacity-and-scale": opacity_and_scale_case,
    "opacity-and-scale-many": partial(opacity_and_scale_case, n=700),
    "opacity-and-scale-one": partial(opacity_and_scale_case, n=1),
    "motion-priors": motion_priors_case,
    "motion-priors-one-edge": partial(motion_priors_case, n=3, k=1),
    "rigid-motion": rigid_motion_case,
    "rigid-motion-one-frame": partial(rigid_motion_case, m=1),
    "photometric-small": partial(photometric_case, "l1", True, height=3, width=7),
    **{
        f"photometric-{pixel_loss}-{'weighted' if weighted else 'plain'}": partial(
            photometric_case, pixel_loss, weighted
        )
        for pixel_loss in ("l1", "mse")
        for weighted in (False, True)
    },
}
# Modules named differently from their operation.
MODULES = {"photometric_loss": "photometric", "adam_step": "adam"}
# Inputs that the reference differentiates, but not the kernels.
WITHOUT_GRADIENT = {"target", "intrinsics"}
every_case = pytest.mark.parametrize("case", CASES)


def float32_case(case):
    """The operation's name, its inputs and its options in float32."""
    name, inputs, options = CASES[case]()
    return name, converted(inputs, torch.float32), converted(options, torch.float32)


@pytest.fixture(params=available_devices())
def device(request):
    return request.param


def require(operation, device):
    """Skip the test if the device's backend lacks the operation."""
    try:
        implementation(MODULES.get(operation, operation), torch.empty(0, device=device))
    except ConfigError as lacking:
        pytest.skip(str(lacking))


def moved(values, device):
    return {
        name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in values.items()
    }


def as_tuple(outputs):
    return outputs if isinstance(outputs, tuple) else (outputs,)


def run(module, name, inputs, options, device="cpu"):
    """The outputs, on the host."""
    if module is ops:
        require(name, device)
    outputs = getattr(module, name)(**moved(inputs, device), **moved(options, device))
    return tuple(output.cpu() for output in as_tuple(outputs))


def gradients_of(module, name, inputs, options, device="cpu"):
    moving = {key: value for key, value in inputs.items() if key not in WITHOUT_GRADIENT}
    fixed = {key: value for key, value in inputs.items() if key in WITHOUT_GRADIENT}
    return gradients(lambda **leaves: run(module, name, {**leaves, **fixed}, options, device), moving)


@every_case
def test_forward_agrees_with_the_definition(case, device):
    name, inputs, options = float32_case(case)
    found = run(ops, name, inputs, options, device)
    wanted = run(reference, name, converted(inputs, torch.float64), converted(options, torch.float64))
    for index, (got, target) in enumerate(zip(found, wanted, strict=True)):
        assert got.shape == target.shape
        if not target.is_floating_point():
            assert got.dtype == target.dtype
            assert torch.equal(got > 0, target > 0), "another Gaussian is visible"
            assert (got - target).abs().max() <= 1, "a radius is off by more than one rounding"
            continue
        assert got.dtype == torch.float32
        error = ((got.double() - target).norm() / target.norm()).item()
        assert error < FORWARD, f"output {index}: relative error {error:.2e}"
        worst = (got.double() - target).abs().max() / target.abs().max()
        assert worst < 10 * FORWARD, f"output {index}: largest error {worst:.2e} of the largest value"


@every_case
def test_gradients_agree_with_the_definition(case, device):
    name, inputs, options = float32_case(case)
    found = gradients_of(ops, name, inputs, options, device)
    exact = converted(inputs, torch.float64), converted(options, torch.float64)
    wanted = gradients_of(reference, name, *exact)
    assert_gradients_close(found, wanted, BACKWARD)


@every_case
def test_runs_are_bitwise_equal(case, device):
    name, inputs, options = float32_case(case)
    for first, second in zip(*(run(ops, name, inputs, options, device) for _ in range(2)), strict=True):
        assert torch.equal(first, second)
    first, second = (gradients_of(ops, name, inputs, options, device) for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


# Scenes of several chunks or tiles are a special case only for kernels.
@pytest.mark.parametrize(
    "case", [case for case in CASES if case not in ("composite-deep", "composite-tiles")]
)
def test_float64_is_the_definition(case):
    name, inputs, options = CASES[case]()
    found, wanted = run(ops, name, inputs, options), run(reference, name, inputs, options)
    for got, target in zip(found, wanted, strict=True):
        torch.testing.assert_close(got, target, rtol=1e-12, atol=1e-12)
    found, wanted = gradients_of(ops, name, inputs, options), gradients_of(reference, name, inputs, options)
    assert_gradients_close(found, wanted, 1e-10)


@pytest.mark.parametrize("make", [covariance_case, partial(project_case, "pinhole"), partial(colour_case, 3)])
def test_no_gaussians(make, device):
    name, inputs, options = make(n=0)
    inputs = converted(inputs, torch.float32)
    assert all(len(output) == 0 for output in run(ops, name, inputs, options, device))
    assert all(not gradient.any() for gradient in gradients_of(ops, name, inputs, options, device).values())


def test_without_gaussians_the_image_is_the_background(device):
    _, inputs, options = composite_case(n=0)
    inputs, options = converted(inputs, torch.float32), converted(options, torch.float32)
    image, alpha = run(ops, "composite", inputs, options, device)
    assert torch.equal(image, inputs["background"].expand(HEIGHT, WIDTH, 3))
    assert not alpha.any()
    grads = gradients_of(ops, "composite", inputs, options, device)
    assert grads["background"].any()


def rendered(module, scene, pose, intrinsics, model="pinhole", device="cpu"):
    """The whole chain from parameters to an image, on the host."""
    if module is ops:
        for operation in ("covariance", "project", "colour", "composite"):
            require(operation, device)
    scene, pose, intrinsics = moved(scene, device), pose.to(device), intrinsics.to(device)
    covariances = module.covariance(scene["quats"], scene["scales"])
    mean_px, conic, depth, _, radius_px = module.project(
        scene["means"], covariances, pose, intrinsics, **PROJECTION, model=model, opacities=scene["opacities"]
    )
    centre = -pose[:3, :3].T @ pose[:3, 3]
    colours = module.colour(scene["sh"], scene["means"], centre, 3)
    background = torch.full_like(centre, 0.3)
    image, alpha = module.composite(
        mean_px, conic, scene["opacities"], colours, depth, radius_px, background, **SIZE
    )
    return image.cpu(), alpha.cpu()


def edge_scene(edge):
    scene = gaussians(20, seed=4, dtype=torch.float32)
    change = {
        "opacity-0": ("opacities", 0.0),
        "opacity-1": ("opacities", 1.0),
        "tiny": ("scales", 1e-12),
        "huge": ("scales", 1e6),
        "behind": ("means", torch.tensor([0.0, 0.0, -3.0])),
        "on-the-camera-plane": ("means", torch.tensor([0.0, 0.0, 0.0])),
        "just-in-front": ("means", torch.tensor([0.3, 0.1, -0.185])),
        "far-away": ("means", torch.tensor([0.0, 0.0, 1e9])),
        "off-image": ("means", torch.tensor([50.0, 0.0, 3.0])),
        "zero-quaternion": ("quats", 0.0),
        "long-quaternion": ("quats", 1e12),
        "one-needle": ("scales", torch.tensor([1e-7, 3.0, 1e-7])),
    }[edge]
    name, value = change
    scene[name][::4] = value
    return scene


EDGES = (
    *("opacity-0", "opacity-1", "tiny", "huge", "behind", "on-the-camera-plane", "just-in-front"),
    *("far-away", "off-image", "zero-quaternion", "long-quaternion", "one-needle"),
)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("model", MODELS)
def test_edge_cases_give_the_picture_of_the_reference_and_finite_gradients(edge, model, device):
    scene = edge_scene(edge)
    pose, intrinsics = camera(model, torch.float32)
    image, alpha = rendered(ops, scene, pose, intrinsics, model, device)
    exact = converted(scene, torch.float64)
    target, target_alpha = rendered(reference, exact, pose.double(), intrinsics.double(), model)
    assert ((image.double() - target).norm() / target.norm()) < FORWARD
    assert ((alpha.double() - target_alpha).norm() / target_alpha.norm()) < FORWARD
    grads = gradients(lambda **leaves: rendered(ops, leaves, pose, intrinsics, model, device), scene)
    assert all(torch.isfinite(gradient).all() for gradient in grads.values())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[(field, float("nan")) for field in ("means", "quats", "scales", "opacities")],
        *[(field, float("inf")) for field in ("means", "quats", "scales")],
    ],
)
def test_an_invalid_gaussian_is_culled_and_does_not_affect_others(field, value, device):
    scene = gaussians(20, seed=4, dtype=torch.float32)
    pose, intrinsics = camera(dtype=torch.float32)
    scene[field][7] = value
    keep = torch.arange(20) != 7
    image, _ = rendered(ops, scene, pose, intrinsics, device=device)
    kept = {name: tensor[keep] for name, tensor in scene.items()}
    others, _ = rendered(ops, kept, pose, intrinsics, device=device)
    torch.testing.assert_close(image, others, rtol=1e-4, atol=1e-5)
    grads = gradients(lambda **leaves: rendered(ops, leaves, pose, intrinsics, device=device), scene)
    for name, gradient in grads.items():
        assert torch.isfinite(gradient[keep]).all(), name


def test_adam_agrees_with_the_definition(device):
    require("adam_step", device)
    random = torch.Generator().manual_seed(0)
    for shape in ((), (3,), (16, 3)):
        param, grad = torch.randn(2, 40, *shape, generator=random)
        wanted = [param.double(), torch.zeros_like(param).double(), torch.zeros_like(param).double()]
        found = [tensor.to(device, torch.float32) for tensor in wanted]
        options = {"rate": 0.02, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-15}
        for step in range(1, 8):
            seen = torch.rand(40, generator=random) > 0.4
            before = [tensor.clone() for tensor in found]
            pull = grad * step
            ops.adam_step(found[0], pull.to(device), *found[1:], seen.to(device), **options, step=step)
            reference.adam_step(wanted[0], pull.double(), *wanted[1:], seen, **options, step=step)
            for tensor, old in zip(found, before, strict=True):
                assert torch.equal(tensor.cpu()[~seen], old.cpu()[~seen])
        for got, target in zip(found, wanted, strict=True):
            assert ((got.cpu().double() - target).norm() / target.norm()) < FORWARD


@pytest.mark.parametrize("channels", [3, 4, 9])
def test_absolute_gradients_agree_with_the_definition(channels, device):
    _, inputs, options = float32_case(f"composite-{channels}")

    def probed(module, device, inputs, options):
        return gradients(
            lambda probe: run(module, "composite", inputs, {**options, "absgrad_probe": probe}, device),
            {"probe": torch.zeros_like(inputs["mean_px"])},
        )

    found = probed(ops, device, inputs, options)
    wanted = probed(reference, "cpu", converted(inputs, torch.float64), converted(options, torch.float64))
    assert_gradients_close(found, wanted, BACKWARD)


WRONG = {
    "covariance": [
        ("quats", lambda t: t[:, :3]),
        ("scales", lambda t: t[1:]),
        ("scales", lambda t: t.double()),
    ],
    "project-pinhole": [
        ("means", lambda t: t[0]),
        ("covariances", lambda t: t[:, :3]),
        ("camera_from_world", lambda t: t[:3]),
        ("intrinsics", lambda t: t.double()),
    ],
    "colour-3": [
        ("sh", lambda t: t[..., :2]),
        ("sh", lambda t: t[:, :4]),
        ("means", lambda t: t[1:]),
        ("camera_centre", lambda t: t[None]),
    ],
    "composite-3": [
        ("mean_px", lambda t: t[:, :1]),
        ("conic", lambda t: t[1:]),
        ("opacities", lambda t: t[:, None]),
        ("colours", lambda t: t[1:]),
        ("background", lambda t: t[1:]),
        ("opacities", lambda t: t.double()),
    ],
    "motion-priors": [("means", lambda t: t[:, :2]), ("quats", lambda t: t[1:])],
    "photometric-l1-plain": [("image", lambda t: t[..., :1]), ("target", lambda t: t[1:])],
}


@pytest.mark.parametrize(
    ("case", "index"), [(case, i) for case, wrongs in WRONG.items() for i in range(len(wrongs))]
)
def test_wrong_shapes_and_types_are_named(case, index):
    name, inputs, options = float32_case(case)
    field, spoil = WRONG[case][index]
    with pytest.raises(SfumatoError) as caught:
        getattr(ops, name)(**{**inputs, field: spoil(inputs[field])}, **options)
    assert "\n" not in str(caught.value)


def test_only_existing_operations_of_a_backend_are_compared():
    with served_by("plain", PLAIN):
        test_forward_agrees_with_the_definition("covariance", "cpu")
        test_gradients_agree_with_the_definition("covariance", "cpu")
        with pytest.raises(pytest.skip.Exception, match="the plain backend has no operation 'composite'"):
            test_forward_agrees_with_the_definition("composite-3", "cpu")


@every_case
@pytest.mark.slow
def test_torch_compile_supports_the_operation(case, device):
    name, inputs, options = float32_case(case)
    require(name, device)
    inputs, options = moved(inputs, device), moved(options, device)
    compiled = torch.compile(lambda **leaves: getattr(ops, name)(**leaves, **options), backend="aot_eager")
    wanted = run(ops, name, inputs, options, device)
    for got, target in zip(as_tuple(compiled(**inputs)), wanted, strict=True):
        assert torch.equal(got.cpu(), target)


class RegisteredCalls(TorchDispatchMode):
    """Records every call of a registered operation of the package, forward and backward."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.namespace == "sfumato":
            self.calls.append((function, args, kwargs or {}))
        return function(*args, **(kwargs or {}))


def as_leaf(value, wants_gradient):
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(wants_gradient and value.is_floating_point())
    return [as_leaf(item, wants_gradient) for item in value] if isinstance(value, list) else value


@every_case
@pytest.mark.slow
def test_registration_passes_the_checks_of_torch(case, device):
    name, inputs, options = float32_case(case)
    with RegisteredCalls() as seen:
        gradients_of(ops, name, inputs, options, device)
    assert any(call[0].name().startswith(f"sfumato::{name}") for call in seen.calls)
    for function, args, kwargs in seen.calls:
        args = tuple(as_leaf(value, "backward" not in function.name()) for value in args)
        torch.library.opcheck(function, args, kwargs)
