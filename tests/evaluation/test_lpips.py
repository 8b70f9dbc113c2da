"""LPIPS with random weights against a restatement, and the search for weights."""

import pytest
import torch
from torch import nn

from sfumato.errors import FormatError, ShapeError
from sfumato.evaluation.lpips import NETS, Lpips, find_lpips


def random_weights(net: str, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    backbone = {}
    for layer in NETS[net]:
        fan_in = layer.shape[1] * layer.shape[2] * layer.shape[3]
        backbone[f"{layer.key}.weight"] = normal(*layer.shape) * (2 / fan_in) ** 0.5
        backbone[f"{layer.key}.bias"] = 0.1 * normal(layer.shape[0])
    widths = [64, 192, 384, 256, 256] if net == "alex" else [64, 128, 256, 512, 512]
    linear = {f"lin{i}.model.1.weight": normal(1, d, 1, 1).abs() for i, d in enumerate(widths)}
    return backbone, linear


def alexnet() -> tuple[nn.Sequential, list[int]]:
    layers = [nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2)]
    layers += [nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()]
    layers += [nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers), [1, 4, 7, 9, 11]


def vgg16() -> tuple[nn.Sequential, list[int]]:
    layers, channels = [], 3
    for width in [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512]:
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()] if width else [nn.MaxPool2d(2)]
        channels = width or channels
    return nn.Sequential(*layers), [3, 8, 15, 22, 29]


def restated(net, backbone, linear, image, target):
    """The definition of the paper and its published code, with torch.nn modules in float64."""
    model, taps = alexnet() if net == "alex" else vgg16()
    model.load_state_dict({key.removeprefix("features."): value for key, value in backbone.items()})
    model.double()
    shift = torch.tensor([-0.030, -0.088, -0.188], dtype=torch.float64)
    scale = torch.tensor([0.458, 0.448, 0.450], dtype=torch.float64)
    total, pair = (
        0.0,
        [((x.double() * 2 - 1 - shift) / scale).permute(2, 0, 1)[None] for x in (image, target)],
    )
    for i, layer in enumerate(model):
        pair = [layer(x) for x in pair]
        if i in taps:
            unit = [x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + 1e-10) for x in pair]
            weight = linear[f"lin{taps.index(i)}.model.1.weight"].double()[0, :, 0, 0]
            total += torch.einsum("bdhw,d->bhw", (unit[0] - unit[1]) ** 2, weight).mean().item()
    return total


def images(h=40, w=52):
    generator = torch.Generator().manual_seed(1)
    return torch.rand((h, w, 3), generator=generator), torch.rand((h, w, 3), generator=generator)


@pytest.mark.parametrize("net", ["alex", "vgg"])
@torch.no_grad()
def test_agrees_with_a_restatement(net):
    weights = random_weights(net)
    metric, (image, target) = Lpips(net, *weights), images()
    assert metric(image, target) == pytest.approx(restated(net, *weights, image, target), rel=1e-4)
    assert metric.description == f"{net}, inputs scaled to [-1, 1]"


def test_is_zero_for_equal_images_symmetric_and_clamped():
    metric, (image, target) = Lpips("alex", *random_weights("alex")), images()
    assert metric(image, image) == 0
    assert metric(image, target) == pytest.approx(metric(target, image), rel=1e-6)
    assert metric(image, target) > 0.1
    assert metric(image * 0 + 3, image * 0 + 1) == 0


def test_refuses_other_shapes():
    backbone, linear = random_weights("alex")
    with pytest.raises(FormatError, match=r"lin2.model.1.weight should be \[1, 384, 1, 1\], found nothing"):
        Lpips("alex", backbone, {k: v for k, v in linear.items() if k != "lin2.model.1.weight"})
    with pytest.raises(FormatError, match=r"features.8.bias should be \[256\], found \[3\]"):
        Lpips("alex", backbone | {"features.8.bias": torch.zeros(3)}, linear)
    with pytest.raises(ShapeError, match="at least 32"):
        Lpips("alex", backbone, linear)(torch.zeros(31, 60, 3), torch.zeros(31, 60, 3))


@pytest.fixture
def empty_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setenv("SFUMATO_LPIPS", str(tmp_path))
    return tmp_path


def test_finds_weights_in_the_given_folder(empty_machine):
    backbone, linear = random_weights("alex")
    torch.save(backbone, empty_machine / "alexnet-owt-0.pth")
    torch.save(linear, empty_machine / "alex.pth")
    metric, said = find_lpips()
    assert said == "alex, inputs scaled to [-1, 1]"
    image, target = images()
    assert metric(image, target) == Lpips("alex", backbone, linear)(image, target)


def test_missing_or_broken_weights_are_named(empty_machine):
    metric, reason = find_lpips(["alex"])
    assert metric is None
    assert reason == "alex: alexnet-*.pth not found"
    (empty_machine / "alexnet-owt-0.pth").write_bytes(b"no weights at all")
    (empty_machine / "alex.pth").write_bytes(b"")
    metric, reason = find_lpips(["alex"])
    assert metric is None
    assert "cannot be read as weights" in reason


def test_masked_pixels_have_no_influence():
    metric = Lpips("alex", *random_weights("alex"))
    image, target, other = torch.rand(3, 64, 96, 3, generator=torch.Generator().manual_seed(1))
    keep = torch.zeros(64, 96, dtype=torch.bool)
    keep[:, :48] = True
    mixed = torch.where(keep[..., None], image, other)
    assert metric(image, target, keep) == metric(mixed, target, keep) != metric(image, target)
    assert metric(image, target, torch.ones_like(keep)) == pytest.approx(metric(image, target), rel=1e-5)
    # Positions without kept pixels do not lower the mean.
    assert metric(image, target, keep) > 0.7 * metric(image, target)
