import pytest
import torch

from sfumato.ops.reference import composite
from support.op_scenes import HEIGHT, WIDTH, assert_finite_differences, ellipses, gradients, weighted_sum

SIZE = {"width": WIDTH, "height": HEIGHT}


def stack(opacities, colours, depths, conic=(0.5, 0.0, 0.5)):
    """Ellipses on top of each other, centred on pixel (3, 2)."""
    n = len(opacities)
    return {
        "mean_px": torch.tensor([[3.5, 2.5]], dtype=torch.float64).expand(n, 2),
        "conic": torch.tensor([conic], dtype=torch.float64).expand(n, 3),
        "opacities": torch.tensor(opacities, dtype=torch.float64),
        "colours": torch.tensor(colours, dtype=torch.float64),
        "depth": torch.tensor(depths, dtype=torch.float64),
        "radius_px": torch.full((n, 2), 9, dtype=torch.int32),
        "background": torch.tensor([10.0], dtype=torch.float64),
    }


def smooth(radius_px, **inputs):
    return composite(**inputs, radius_px=radius_px, **SIZE, alpha_min=0.0, transmittance_stop=0.0)


def without_order(inputs):
    """The inputs that have gradients."""
    return {name: value for name, value in inputs.items() if name not in ("depth", "radius_px")}


def drop_row(value, row):
    return value if len(value) != 6 else torch.cat([value[:row], value[row + 1 :]])


def test_known_value():
    image, alpha = composite(**stack([0.5, 0.8], [[1.0], [2.0]], [2.0, 1.0]), **SIZE)
    assert image[2, 3, 0].item() == pytest.approx(0.8 * 2 + 0.2 * 0.5 * 1 + 0.1 * 10)
    assert alpha[2, 3].item() == pytest.approx(0.9)
    beside = torch.exp(torch.tensor(-0.25)).item()
    near, far = 0.8 * beside, 0.5 * beside
    assert alpha[2, 4].item() == pytest.approx(1 - (1 - near) * (1 - far))
    assert image[17, 23, 0] == 10


def test_rotated_ellipse_has_the_right_orientation():
    # sigma = (dx^2 + dy^2) / 2 + 0.9 dx dy is small where dx = -dy.
    _, alpha = composite(**stack([0.9], [[1.0]], [1.0], conic=(1.0, 0.9, 1.0)), **SIZE)
    assert alpha[1, 4] > 2 * alpha[3, 4]
    assert alpha[1, 4].item() == pytest.approx(0.9 * torch.exp(torch.tensor(-0.1)).item(), rel=1e-6)


def test_equal_depths_keep_the_order_of_rows():
    first, _ = composite(**stack([0.9, 0.9], [[1.0], [2.0]], [1.0, 1.0]), **SIZE)
    second, _ = composite(**stack([0.9, 0.9], [[2.0], [1.0]], [1.0, 1.0]), **SIZE)
    assert first[2, 3, 0] < second[2, 3, 0]


def test_alphas_below_one_255th_are_skipped():
    _, alpha = composite(**stack([0.99 / 255, 1.01 / 255], [[1.0], [1.0]], [1.0, 2.0]), **SIZE)
    assert alpha[2, 3].item() == pytest.approx(1.01 / 255)


def test_alpha_is_capped_and_passes_no_gradient_there():
    inputs = stack([1.0], [[1.0]], [1.0])
    _, alpha = composite(**inputs, **SIZE)
    assert alpha[2, 3].item() == pytest.approx(0.999)
    opacities = inputs["opacities"].requires_grad_()
    conic = inputs["conic"].clone().requires_grad_()
    _, alpha = composite(**{**inputs, "conic": conic}, **SIZE)
    grads = torch.autograd.grad(alpha[2, 3], (opacities, conic))
    assert not any(grad.any() for grad in grads)


def test_a_pixel_stops_before_the_transmittance_limit():
    # After two of alpha 0.98 the transmittance is 4e-4; a third would leave 8e-6.
    inputs = stack([0.98, 0.98, 0.98, 0.5], [[1.0], [1.0], [7.0], [7.0]], [1.0, 2.0, 3.0, 4.0])
    image, alpha = composite(**inputs, **SIZE)
    assert alpha[2, 3].item() == pytest.approx(1 - 4e-4)
    assert image[2, 3, 0].item() == pytest.approx((1 - 4e-4) * 1 + 4e-4 * 10)


def test_culled_gaussians_are_ignored_whatever_their_values():
    inputs = ellipses(6)
    image, alpha = composite(**{name: drop_row(value, 2) for name, value in inputs.items()}, **SIZE)
    inputs["radius_px"][2] = 0
    for name in ("mean_px", "conic", "opacities", "colours", "depth"):
        inputs[name][2] = torch.nan
    found = composite(**inputs, **SIZE)
    assert torch.equal(found[0], image)
    assert torch.equal(found[1], alpha)
    grads = gradients(lambda **leaves: composite(**{**inputs, **leaves}, **SIZE), without_order(inputs))
    assert all(torch.isfinite(grad).all() for grad in grads.values())


def test_order_of_rows_does_not_matter():
    inputs = ellipses(10)
    shuffle = torch.randperm(10)
    shuffled = {name: value[shuffle] if len(value) == 10 else value for name, value in inputs.items()}
    for first, second in zip(composite(**inputs, **SIZE), composite(**shuffled, **SIZE), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("channels", [1, 5])
def test_gradients_with_a_smooth_cutoff(channels):
    inputs = ellipses(5, channels=channels)
    order = {name: inputs[name] for name in ("depth", "radius_px")}
    assert_finite_differences(lambda **leaves: smooth(**leaves, **order), without_order(inputs))


def test_gradients_with_the_thresholds():
    inputs = ellipses(6, seed=3)
    inputs["opacities"][:] = 0.97
    inputs["mean_px"] = inputs["mean_px"] * 0.2 + torch.tensor([9.0, 7.0])
    order = {name: inputs[name] for name in ("depth", "radius_px")}
    smooth_alpha = smooth(**inputs)[1]
    alpha = composite(**inputs, **SIZE)[1]
    assert ((smooth_alpha - alpha).abs() > 1e-5).any(), "no threshold was crossed"
    # Small steps: no pair may cross a threshold.
    assert_finite_differences(
        lambda **leaves: composite(**leaves, **order, **SIZE), without_order(inputs), step=1e-6, share=1e-6
    )


@pytest.mark.slow
def test_probe_collects_absolute_gradients_of_each_pixel():
    inputs = ellipses(4)
    means = inputs["mean_px"].requires_grad_()
    probe = torch.zeros(4, 2, dtype=torch.float64, requires_grad=True)
    image, alpha = composite(**inputs, **SIZE, absgrad_probe=probe)
    total = weighted_sum((image, alpha))
    weights = torch.autograd.grad(total, (image, alpha), retain_graph=True)
    total.backward()
    image, alpha = composite(**inputs, **SIZE)
    per_pixel = ((image * weights[0]).sum(-1) + alpha * weights[1]).flatten()
    grads = torch.stack([torch.autograd.grad(value, means, retain_graph=True)[0] for value in per_pixel])
    torch.testing.assert_close(probe.grad, grads.abs().sum(0))
    torch.testing.assert_close(means.grad, grads.sum(0))


def test_without_gaussians_the_image_is_the_background():
    image, alpha = composite(**ellipses(0), **SIZE)
    assert torch.equal(image, ellipses(0)["background"].expand(HEIGHT, WIDTH, 3))
    assert not alpha.any()


def test_image_shifts_with_the_means():
    inputs = ellipses(6)
    image, _ = composite(**inputs, **SIZE)
    inputs["mean_px"] = inputs["mean_px"] + torch.tensor([2.0, 1.0])
    shifted, _ = composite(**inputs, **SIZE)
    torch.testing.assert_close(shifted[1:, 2:], image[:-1, :-2])
