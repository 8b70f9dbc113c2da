"""Small random inputs for the operations, and gradient checks that name the wrong row."""

import torch

WIDTH, HEIGHT = 24, 18
MODELS = ("pinhole", "ortho", "fisheye")


def gaussians(n=12, seed=0, dtype=torch.float64, degree=3):
    """Parameters of ``n`` Gaussians in front of :func:`camera`, by name."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    parameters = {
        "means": normal(n, 3) * torch.tensor([0.8, 0.6, 0.6]) + torch.tensor([0.0, 0.0, 3.0]),
        "quats": normal(n, 4),
        "scales": (normal(n, 3) * 0.4 - 1.5).exp(),
        "opacities": (normal(n) * 0.8).sigmoid(),
        "sh": normal(n, (degree + 1) ** 2, 3) * 0.3,
    }
    return {name: value.to(dtype) for name, value in parameters.items()}


def camera(model="pinhole", dtype=torch.float64):
    """camera_from_world and intrinsics of a slightly turned camera that sees the Gaussians."""
    angle = torch.tensor(0.15, dtype=torch.float64)
    camera_from_world = torch.eye(4, dtype=torch.float64)
    camera_from_world[0, 0] = camera_from_world[2, 2] = angle.cos()
    camera_from_world[0, 2], camera_from_world[2, 0] = angle.sin(), -angle.sin()
    camera_from_world[:3, 3] = torch.tensor([-0.3, 0.1, 0.2])
    focal = {"pinhole": 20.0, "ortho": 7.0, "fisheye": 18.0}[model]
    intrinsics = torch.tensor([[focal, 0.0, 11.3], [0.0, focal * 1.1, 9.4], [0.0, 0.0, 1.0]])
    return camera_from_world.to(dtype), intrinsics.to(dtype)


def ellipses(n=12, seed=0, dtype=torch.float64, channels=3):
    """Inputs of ``composite`` by name: ellipses of a few pixels, scattered over the image."""
    random = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=random, dtype=torch.float64)

    factors = (uniform(n, 2, 2) - 0.5) * 5
    inverse = torch.linalg.inv(factors @ factors.transpose(1, 2) + torch.eye(2))
    inputs = {
        "mean_px": uniform(n, 2) * torch.tensor([WIDTH, HEIGHT]),
        "conic": torch.stack([inverse[:, 0, 0], inverse[:, 0, 1], inverse[:, 1, 1]], -1),
        "opacities": uniform(n) * 0.9 + 0.05,
        "colours": uniform(n, channels),
        "depth": uniform(n) + 1,
        "background": uniform(channels),
    }
    inputs = {name: value.to(dtype) for name, value in inputs.items()}
    # Large enough to reach every pixel where alpha is at least 1/255.
    inputs["radius_px"] = torch.full((n, 2), 40, dtype=torch.int32)
    return inputs


def moving_neighbours(n=12, k=4, seed=0, dtype=torch.float64):
    """Inputs of ``motion_priors`` by name: individual motions and rotations, some missing edges."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    neighbours = torch.randint(n, (n, k), generator=random) if n else torch.zeros(0, k)
    neighbours[neighbours == torch.arange(n)[:, None]] = -1
    before, quats = normal(n, 3), normal(n, 4)
    inputs = {
        "means": before + 0.2 * normal(n, 3),
        "quats": 2 * quats + 0.4 * normal(n, 4),
        "previous_means": before,
        "previous_quats": quats,
        "neighbours": neighbours.int(),
        "weights": torch.rand(n, k, generator=random, dtype=torch.float64) / max(k, 1),
        "rest_distances": torch.rand(n, k, generator=random, dtype=torch.float64) * 3,
    }
    return converted(inputs, dtype)


def moving_frames(n=12, m=5, seed=0, dtype=torch.float64):
    """Inputs of ``rigid_motion``: those with gradients, and those without; some frames carry no Gaussian."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    moving = {"means": normal(n, 3), "quats": 2 * normal(n, 4)}
    moving |= {"frame_means": normal(m, 3), "frame_quats": 3 * normal(m, 4)}
    rest_quats = torch.nn.functional.normalize(normal(m, 4), dim=1)
    frames = torch.randint(max(m - 1, 1), (n,), generator=random)
    fixed = {"rest_means": normal(m, 3), "rest_quats": rest_quats, "frames": frames}
    return converted(moving, dtype), converted(fixed, dtype)


def converted(values, dtype):
    """The same with floating tensors in ``dtype``."""
    return {
        name: value.to(dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for name, value in values.items()
    }


def weighted_sum(outputs):
    """A scalar that weights every entry of every floating output differently."""
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    total = 0.0
    for output in outputs:
        if output.is_floating_point():
            weights = torch.linspace(0.3, 1.7, output.numel(), dtype=torch.float64).cos()
            total = total + (output.double().flatten() * weights).sum()
    return total


def gradients(function, inputs):
    """Gradients by name of :func:`weighted_sum` of ``function(**inputs)``."""
    leaves = {name: value.detach().clone().requires_grad_() for name, value in inputs.items()}
    total = weighted_sum(function(**leaves))
    grads = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, grads, strict=True))


def assert_gradients_close(found, wanted, share):
    """Check each gradient within ``share`` of its norm, and that no single row is wrong."""
    for name, target in wanted.items():
        got, target = found[name].double(), target.double()
        scale = target.norm().clamp_min(1e-12)
        error = ((got - target).norm() / scale).item()
        assert error < share, f"gradient of {name}: relative error {error:.2e}, allowed {share:.0e}"
        rows = target.flatten(1) if target.ndim > 1 else target[:, None]
        difference = (got - target).flatten(1) if target.ndim > 1 else (got - target)[:, None]
        typical = rows.norm(dim=1).mean().clamp_min(1e-12)
        ratio = difference.norm(dim=1) / (rows.norm(dim=1) + 0.01 * typical)
        worst = int(ratio.argmax())
        assert ratio[worst] < 30 * share, f"gradient of {name}: row {worst} is off by {ratio[worst]:.2e}"


def assert_finite_differences(function, inputs, step=1e-4, share=1e-6):
    """Autograd of ``function`` against fourth-order central differences of each entry, in float64."""

    def numeric(name):
        gradient = torch.zeros_like(inputs[name])
        for index in range(gradient.numel()):
            for shift, factor in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
                moved = inputs[name].clone()
                moved.view(-1)[index] += shift * step
                value = weighted_sum(function(**{**inputs, name: moved}))
                gradient.view(-1)[index] += factor * value / (12 * step)
        return gradient

    assert_gradients_close(gradients(function, inputs), {name: numeric(name) for name in inputs}, share)


def penalised(n):
    """Inputs and options of the penalty on opacities and scales of n Gaussians."""
    scene = gaussians(n)
    weights = {"least_distance": 3.0, "opacity_weight": 0.7, "scale_weight": 0.4}
    options = {"means": scene["means"], "viewpoint": torch.tensor([0.2, -0.4, -1.0], dtype=torch.float64)}
    inputs = {"log_scales": scene["scales"].log(), "logit_opacities": torch.logit(scene["opacities"])}
    return inputs, options | weights
