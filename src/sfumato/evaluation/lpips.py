"""LPIPS, the learned perceptual distance, if its weights are on the machine.

Nothing is downloaded. Two files are needed per net: the backbone as torchvision publishes it
(``alexnet-*.pth`` or ``vgg16-*.pth``, in torch's hub cache or the folder SFUMATO_LPIPS) and the
linear weights of the ``lpips`` package (``alex.pth`` or ``vgg.pth``, in the installed package or the
same folder).
"""

from __future__ import annotations

import importlib.util
import os
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ConfigError, FormatError, ShapeError

NORMALISATION = "inputs scaled to [-1, 1]"
# Means and deviations of the backbones' training images, for inputs in [-1, 1].
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
EPSILON = 1e-10
# Below this the last feature map of a net would have no pixel.
MIN_SIZE_PX = 32


@dataclass(frozen=True)
class Convolution:
    """One convolutional layer with a ReLU, and optional pooling before it.

    Attributes:
        key: its name in the backbone's state dict.
        shape: of its weights (out, in, height, width).
        stride, padding: in pixels.
        pool: (window, stride) of max pooling before it, or None.
        compared: whether its output is one of the compared feature maps.
    """

    key: str
    shape: tuple[int, int, int, int]
    stride: int = 1
    padding: int = 1
    pool: tuple[int, int] | None = None
    compared: bool = True


def _vgg16() -> tuple[Convolution, ...]:
    layers, index, channels = [], 0, 3
    for block, (width, depth) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]):
        for i in range(depth):
            pool = (2, 2) if block and i == 0 else None
            shape = (width, channels, 3, 3)
            layers.append(Convolution(f"features.{index}", shape, pool=pool, compared=i == depth - 1))
            channels, index = width, index + 2
        index += 1
    return tuple(layers)


NETS: dict[str, tuple[Convolution, ...]] = {
    "alex": (
        Convolution("features.0", (64, 3, 11, 11), stride=4, padding=2),
        Convolution("features.3", (192, 64, 5, 5), padding=2, pool=(3, 2)),
        Convolution("features.6", (384, 192, 3, 3), pool=(3, 2)),
        Convolution("features.8", (256, 384, 3, 3)),
        Convolution("features.10", (256, 256, 3, 3)),
    ),
    "vgg": _vgg16(),
}
BACKBONE_FILES = {"alex": "alexnet-*.pth", "vgg": "vgg16-*.pth"}


class Lpips:
    """The learned perceptual distance with given weights.

    Args:
        net: "alex" or "vgg".
        backbone: state dict of torchvision's AlexNet or VGG16; only its convolutions are used.
        linear: state dict of the ``lpips`` package, ``lin0.model.1.weight`` [1, d, 1, 1] and so on.

    Raises:
        ConfigError: the net is unknown.
        FormatError: a weight is missing or has another shape.

    Source: Zhang et al. 2018, version 0.1 weights.
    """

    def __init__(self, net: str, backbone: Mapping[str, Tensor], linear: Mapping[str, Tensor]) -> None:
        if net not in NETS:
            raise ConfigError(f'net {net!r} is unknown: give "alex" or "vgg"')
        self.net = net
        self.description = f"{net}, {NORMALISATION}"
        self._layers = [
            (
                layer,
                _weight(backbone, f"{layer.key}.weight", layer.shape),
                _weight(backbone, f"{layer.key}.bias", layer.shape[:1]),
            )
            for layer in NETS[net]
        ]
        widths = [layer.shape[0] for layer in NETS[net] if layer.compared]
        self._linear = [_weight(linear, f"lin{i}.model.1.weight", (1, d, 1, 1)) for i, d in enumerate(widths)]

    @torch.no_grad()
    def __call__(self, image: Tensor, target: Tensor, keep: Tensor | None = None) -> float:
        """Distance of two images.

        Args:
            image:  [h, w, 3] values in [0, 1]; others are clamped.
            target: [h, w, 3] values in [0, 1].
            keep: [h, w] bool, the pixels that count; None: all. Others are black in both images, and each
                feature is weighted by the fraction of counted pixels in its cell.

        Returns:
            0 for equal images, about 1 for unrelated ones.

        Raises:
            ShapeError: shapes differ or are smaller than 32 pixels.
        """
        sizes = check_shapes(image=(image, "h w 3"), target=(target, "h w 3"))
        if min(sizes["h"], sizes["w"]) < MIN_SIZE_PX:
            raise ShapeError(f"image is {sizes['w']}x{sizes['h']}; LPIPS needs at least {MIN_SIZE_PX} pixels")
        counted = torch.ones(1, 1, *image.shape[:2]) if keep is None else keep.cpu().float()[None, None]
        if keep is not None:
            image, target = (tensor * keep.to(tensor.device)[..., None] for tensor in (image, target))
        total = 0.0
        pairs = zip(self._features(image), self._features(target), self._linear, strict=True)
        for first, second, weight in pairs:
            distances = F.conv2d((first - second).square(), weight)
            shares = F.adaptive_avg_pool2d(counted, (distances.shape[2], distances.shape[3]))
            total += float((shares * distances).sum() / shares.sum())
        return total

    def _features(self, image: Tensor) -> list[Tensor]:
        """The compared feature maps, each pixel's vector scaled to length 1."""
        planes = image.detach().to("cpu", torch.float32).clamp(0, 1).permute(2, 0, 1)[None]
        shift, scale = (torch.tensor(values)[None, :, None, None] for values in (SHIFT, SCALE))
        planes = (2 * planes - 1 - shift) / scale
        maps = []
        for layer, weight, bias in self._layers:
            if layer.pool:
                planes = F.max_pool2d(planes, *layer.pool)
            planes = F.relu(F.conv2d(planes, weight, bias, layer.stride, layer.padding))
            if layer.compared:
                maps.append(planes / (planes.square().sum(1, keepdim=True).sqrt() + EPSILON))
        return maps


def find_lpips(nets: Iterable[str] = ("alex", "vgg")) -> tuple[Lpips | None, str]:
    """Load LPIPS from weights that are already on this machine.

    Args:
        nets: names of nets, the preferred first.

    Returns:
        The metric with its description, or None with the reason in one line.
    """
    reasons = []
    for net in nets:
        backbone = _first_file(_backbone_folders(), BACKBONE_FILES[net])
        linear = _first_file(_linear_folders(), f"{net}.pth")
        if backbone is None or linear is None:
            what = BACKBONE_FILES[net] if backbone is None else f"the linear weights {net}.pth"
            reasons.append(f"{net}: {what} not found")
            continue
        try:
            metric = Lpips(net, _load(backbone), _load(linear))
        except FormatError as error:
            reasons.append(f"{net}: {error}")
            continue
        return metric, metric.description
    return None, "; ".join(reasons)


def _backbone_folders() -> list[Path]:
    return [*_given_folder(), Path(torch.hub.get_dir()) / "checkpoints"]


def _linear_folders() -> list[Path]:
    spec = importlib.util.find_spec("lpips")
    installed = [
        Path(folder) / "weights" / "v0.1" for folder in (spec and spec.submodule_search_locations) or []
    ]
    return [*_given_folder(), *installed]


def _given_folder() -> list[Path]:
    given = os.environ.get("SFUMATO_LPIPS")
    return [Path(given)] if given else []


def _first_file(folders: Iterable[Path], pattern: str) -> Path | None:
    return next((path for folder in folders for path in sorted(folder.glob(pattern)) if path.is_file()), None)


def _load(path: Path) -> Mapping[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise FormatError(f"{path} cannot be read as weights ({type(error).__name__})") from error
    if not isinstance(state, Mapping):
        raise FormatError(f"{path} holds no table of weights")
    return state


def _weight(state: Mapping[str, Tensor], key: str, shape: tuple[int, ...]) -> Tensor:
    tensor = state.get(key)
    if not isinstance(tensor, Tensor) or tensor.shape != shape:
        found = list(tensor.shape) if isinstance(tensor, Tensor) else "nothing"
        raise FormatError(f"LPIPS weight {key} should be {list(shape)}, found {found}")
    return tensor.detach().to(torch.float32)
