"""Validation of the arguments of ``rasterization``, and their split into batches and cameras."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import prod
from typing import Any

from torch import Tensor

from sfumato.checks import check_shapes, number, whole_number
from sfumato.errors import ConfigError, ShapeError

RENDER_MODES = ("RGB", "D", "ED", "RGB+D", "RGB+ED")
RASTERIZE_MODES = ("classic", "antialiased")
CAMERA_MODELS = ("pinhole", "ortho", "fisheye")
TENSORS = (
    "means",
    "quats",
    "scales",
    "opacities",
    "colors",
    "viewmats",
    "Ks",
    "backgrounds",
    "covars",
    "radial_coeffs",
    "tangential_coeffs",
    "viewmats_rs",
)
UNSUPPORTED = ("distributed", "thin_prism_coeffs", "ftheta_coeffs")
# Supported only with with_ut and with_eval3d, which render along rays.
_RAY_ARGUMENTS = ("radial_coeffs", "tangential_coeffs", "viewmats_rs")
# Number of radial coefficients of each camera model.
_RADIAL = {"pinhole": 6, "fisheye": 4}


class RollingShutterType(Enum):
    """Readout of a sensor; any but GLOBAL needs with_ut and with_eval3d."""

    ROLLING_TOP_TO_BOTTOM = 0
    ROLLING_LEFT_TO_RIGHT = 1
    ROLLING_BOTTOM_TO_TOP = 2
    ROLLING_RIGHT_TO_LEFT = 3
    GLOBAL = 4


@dataclass(frozen=True)
class Options:
    """The settings of a call that are not tensors; names and units as in ``rasterization``."""

    width: int
    height: int
    near_plane: float
    far_plane: float
    radius_clip: float
    eps2d: float
    sh_degree: int | None
    packed: bool
    tile_size: int
    render_mode: str
    sparse_grad: bool
    absgrad: bool
    rasterize_mode: str
    camera_model: str
    channel_chunk: int
    with_ut: bool = False
    with_eval3d: bool = False
    rolling_shutter: Any = RollingShutterType.GLOBAL

    def __post_init__(self) -> None:
        self._convert_numbers()
        for name, allowed in (
            ("render_mode", RENDER_MODES),
            ("rasterize_mode", RASTERIZE_MODES),
            ("camera_model", CAMERA_MODELS),
            ("sh_degree", (None, 0, 1, 2, 3)),
        ):
            if getattr(self, name) not in allowed:
                choices = ", ".join(map(repr, allowed))
                raise ConfigError(f"{name}={getattr(self, name)!r} is not supported: give one of {choices}")
        if self.sparse_grad and not self.packed:
            raise ConfigError("sparse_grad=True needs packed=True")
        # Callers may pass gsplat's own enumeration: members are compared by name.
        name = str(getattr(self.rolling_shutter, "name", self.rolling_shutter))
        object.__setattr__(self, "rolling_shutter", name)
        self._check_rays()

    def _convert_numbers(self) -> None:
        # Scripts pass NumPy scalars, integral floats and tensors of one element; kernels take plain numbers.
        for name in ("width", "height", "tile_size", "channel_chunk"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least=1))
        if self.sh_degree is not None:
            object.__setattr__(self, "sh_degree", whole_number("sh_degree", self.sh_degree))
        for name in ("near_plane", "far_plane", "radius_clip", "eps2d"):
            object.__setattr__(self, name, number(name, getattr(self, name)))

    def _check_rays(self) -> None:
        if self.with_ut != self.with_eval3d:
            raise ConfigError("with_ut and with_eval3d are supported together only: give both or neither")
        if not self.with_ut:
            if self.rolling_shutter != "GLOBAL":
                raise ConfigError("rolling_shutter needs with_ut=True and with_eval3d=True")
            return
        for name, value in (("packed", False), ("absgrad", False), ("rasterize_mode", "classic")):
            if getattr(self, name) != value:
                raise ConfigError(
                    f"with_ut=True does not support {name}={getattr(self, name)!r}: give {value!r}"
                )

    @property
    def has_colour(self) -> bool:
        return self.render_mode.startswith("RGB")

    @property
    def has_depth(self) -> bool:
        return self.render_mode.endswith("D")

    @property
    def expects_depth(self) -> bool:
        return self.render_mode.endswith("ED")


@dataclass(frozen=True)
class Inputs:
    """The tensors of a call, one list entry per batch; b batches of n Gaussians and c cameras.

    Attributes:
        batch_dims:  the leading dimensions of the caller's tensors; their product is b.
        means:       b of [n, 3].
        quats:       b of [n, 4], or None where covars are given.
        scales:      b of [n, 3], or None where covars are given.
        covars:      b of [n, 3, 3] or [n, 6], or None.
        opacities:   b of [n].
        colours:     b of [n, d] or [n, k, 3]; with a camera dimension [c, ...] before n if per_camera.
        per_camera:  colours have a camera dimension.
        viewmats:    b of [c, 4, 4].
        intrinsics:  b of [c, 3, 3].
        backgrounds: b of [c, d], or None.
        radial:      b of [c, 6], or [c, 4] of a fisheye, or None.
        tangential:  b of [c, 2], or None.
        viewmats_rs: b of [c, 4, 4] at the end of the exposure, or None.
    """

    batch_dims: tuple[int, ...]
    means: list[Tensor]
    quats: list[Tensor] | None
    scales: list[Tensor] | None
    covars: list[Tensor] | None
    opacities: list[Tensor]
    colours: list[Tensor]
    per_camera: bool
    viewmats: list[Tensor]
    intrinsics: list[Tensor]
    backgrounds: list[Tensor] | None
    radial: list[Tensor] | None = None
    tangential: list[Tensor] | None = None
    viewmats_rs: list[Tensor] | None = None

    @property
    def n_gaussians(self) -> int:
        return self.means[0].shape[0]

    @property
    def n_cameras(self) -> int:
        return self.viewmats[0].shape[0]


def refuse_unsupported(arguments: dict[str, Any]) -> None:
    """Raise for an argument that is set although it has no effect here.

    Args:
        arguments: value by name of the arguments in ``UNSUPPORTED``.

    Raises:
        ConfigError: naming the argument.
    """
    for name, value in arguments.items():
        if value is not None and value is not False:
            raise ConfigError(f"{name} is not supported: leave it at its default")


def check_inputs(tensors: dict[str, Tensor | None], options: Options) -> Inputs:
    """Check shapes, types and devices against those of the means, and split the batches.

    Args:
        tensors: the arguments in ``TENSORS`` by name.
        options: the settings of the call.

    Returns:
        The tensors by batch.

    Raises:
        ShapeError: naming the tensor, what it is and what it should be.
        ConfigError: sparse_grad with batches.
    """
    means, viewmats = tensors["means"], tensors["viewmats"]
    if not isinstance(means, Tensor) or means.ndim < 2 or not means.is_floating_point():
        raise ShapeError("means must be a floating-point tensor of shape [..., n, 3]")
    if not isinstance(viewmats, Tensor) or viewmats.ndim != means.ndim + 1:
        raise ShapeError(f"viewmats must be a tensor [..., c, 4, 4] of {means.ndim + 1} dimensions")
    batch_dims, n, c = tuple(means.shape[:-2]), means.shape[-2], viewmats.shape[-3]
    if prod(batch_dims) * c == 0:
        raise ShapeError(f"means {list(means.shape)} and viewmats {list(viewmats.shape)} ask for no image")
    if options.sparse_grad and batch_dims:
        raise ConfigError("sparse_grad=True does not support batch dimensions")
    shapes = {
        "means": (n, 3),
        **_shape_covariances(tensors["covars"], len(batch_dims), n),
        "opacities": (n,),
        "viewmats": (c, 4, 4),
        "Ks": (c, 3, 3),
        **_shape_colours(tensors, len(batch_dims), (c, n), options),
        **_shape_rays(tensors, c, options),
    }
    full_shapes = {name: " ".join(map(str, (*batch_dims, *shape))) for name, shape in shapes.items()}
    # This also refuses what is not a tensor, such as None.
    given: dict[str, Any] = {name: tensors[name] for name in shapes}
    check_shapes(like=means, **{name: (given[name], shape) for name, shape in full_shapes.items()})
    split = {name: _per_batch(given[name], len(batch_dims)) for name in shapes}
    return Inputs(
        batch_dims=batch_dims,
        means=split["means"],
        quats=split.get("quats"),
        scales=split.get("scales"),
        covars=split.get("covars"),
        opacities=split["opacities"],
        colours=split["colors"],
        per_camera=len(shapes["colors"]) == (3 if options.sh_degree is None else 4),
        viewmats=split["viewmats"],
        intrinsics=split["Ks"],
        backgrounds=split.get("backgrounds"),
        radial=split.get("radial_coeffs"),
        tangential=split.get("tangential_coeffs"),
        viewmats_rs=split.get("viewmats_rs"),
    )


def _per_batch(tensor: Tensor, n_batch_dims: int) -> list[Tensor]:
    # Without batches the tensor itself is kept: a view of it could not pass a sparse gradient back.
    if n_batch_dims == 0:
        return [tensor]
    return list(tensor.reshape(-1, *tensor.shape[n_batch_dims:]).unbind(0))


def _shape_covariances(covars: Tensor | None, n_batch_dims: int, n: int) -> dict[str, tuple]:
    if covars is None:
        return {"quats": (n, 4), "scales": (n, 3)}
    is_packed = isinstance(covars, Tensor) and covars.ndim == n_batch_dims + 2
    return {"covars": (n, 6) if is_packed else (n, 3, 3)}


def _shape_rays(tensors: dict[str, Tensor | None], c: int, options: Options) -> dict[str, tuple]:
    given = [name for name in _RAY_ARGUMENTS if tensors[name] is not None]
    if given and not options.with_ut:
        raise ConfigError(f"{given[0]} needs with_ut=True and with_eval3d=True")
    if options.with_ut and tensors["covars"] is not None:
        raise ConfigError("with_ut=True does not support covars: give quats and scales")
    if ("viewmats_rs" in given) != (options.rolling_shutter != "GLOBAL"):
        raise ConfigError("viewmats_rs and a rolling_shutter belong together: give both or neither")
    takes = {"pinhole": _RAY_ARGUMENTS[:2], "fisheye": _RAY_ARGUMENTS[:1]}.get(options.camera_model, ())
    for name in set(given) - {*takes, "viewmats_rs"}:
        raise ConfigError(f"{name} does not fit camera_model={options.camera_model!r}: leave it out")
    shapes = {
        "radial_coeffs": (c, _RADIAL.get(options.camera_model, 0)),
        "tangential_coeffs": (c, 2),
        "viewmats_rs": (c, 4, 4),
    }
    return {name: shapes[name] for name in given}


def _shape_colours(
    tensors: dict[str, Tensor | None], n_batch_dims: int, sizes: tuple[int, int], options: Options
) -> dict[str, tuple]:
    colors, (c, n) = tensors["colors"], sizes
    if not isinstance(colors, Tensor):
        raise ShapeError(f"colors must be a torch.Tensor, not {type(colors).__name__}")
    tail = ("?",) if options.sh_degree is None else ("?", 3)
    per_camera = colors.ndim == n_batch_dims + 2 + len(tail)
    shapes = {"colors": (c, n, *tail) if per_camera else (n, *tail)}
    if options.sh_degree is not None and (options.sh_degree + 1) ** 2 > colors.shape[max(-2, -colors.ndim)]:
        raise ShapeError(
            f"colors {list(colors.shape)} has too few coefficients for sh_degree={options.sh_degree}"
        )
    if tensors["backgrounds"] is not None:
        shapes["backgrounds"] = (c, colors.shape[-1] if options.has_colour else "?")
    return shapes
