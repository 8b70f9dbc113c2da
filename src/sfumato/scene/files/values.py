"""Between arrays of a file and the scene record: what a value may be, and what bytes stand for."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from sfumato.errors import FormatError
from sfumato.maths.sh import SH_C0
from sfumato.scene.gaussians import Gaussians

# exp(40) is 2e17 units; squares of it still fit float32, those of much larger scales do not.
MAX_LOG_SCALE = 40.0
# What a scale of zero becomes: its square is still a normal float32.
MIN_LOG_SCALE = -40.0
# Of spherical harmonics: files with more are read without those above.
MAX_SH_DEGREE = 3
MAX_SH_COEFFICIENTS = (MAX_SH_DEGREE + 1) ** 2
# Opacities of exactly 0 and 1 have no logit; these differ from them by less than any format resolves.
OPACITY_MARGIN = 1e-6

_AXES = {"means": "xyz", "log_scales": "xyz", "quats": "wxyz"}


def checked_scene(
    path: Path | str,
    means: np.ndarray,
    log_scales: np.ndarray,
    quats: np.ndarray,
    logit_opacities: np.ndarray,
    sh: np.ndarray,
) -> Gaussians:
    """The scene that a file holds, if its values are such as a scene can have.

    Args:
        path: named in errors.
        means: [n, 3] float32.
        log_scales: [n, 3] float32.
        quats: [n, 4] float32 (w, x, y, z).
        logit_opacities: [n] float32.
        sh: [n, k, 3] float32.

    Returns:
        The scene; it shares the arrays' memory.

    Raises:
        FormatError: a value is NaN or infinite, a quaternion is zero, or a scale overflows.
    """
    arrays = {
        "means": means,
        "log_scales": log_scales,
        "quats": quats,
        "logit_opacities": logit_opacities,
        "sh": sh,
    }
    check_arrays(str(path), arrays)
    return Gaussians(**{name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()})


def checked_arrays(gaussians: Gaussians) -> dict[str, np.ndarray]:
    """Fields of a scene as float32 arrays, ready to be written.

    Args:
        gaussians: any device or float type.

    Raises:
        FormatError: a value is NaN or infinite, a quaternion is zero, or a scale overflows.
    """
    arrays = {
        name: tensor.detach().to("cpu", torch.float32).numpy() for name, tensor in vars(gaussians).items()
    }
    check_arrays("the scene cannot be saved", arrays)
    return arrays


def check_arrays(what: str, arrays: dict[str, np.ndarray]) -> None:
    """Refuse values that no scene has.

    Args:
        what: what is wrong if one is found: a path, or words.
        arrays: the fields of a scene by name.

    Raises:
        FormatError: naming the field, its component and how many Gaussians have such a value.
    """
    for name, array in arrays.items():
        # A sum is finite only if its terms are: one cheap pass for files that are well.
        with np.errstate(invalid="ignore"):
            total = array.sum(dtype=np.float64)
        if math.isfinite(total):
            continue
        bad = ~np.isfinite(array.reshape(len(array), -1))
        column = int(bad.any(axis=0).argmax())
        axis = f" ({_AXES[name][column]})" if name in _AXES else ""
        count = int(bad.any(axis=1).sum())
        raise FormatError(f"{what}: {name}{axis} is NaN or infinite for {count} of {len(array)} Gaussians")
    with np.errstate(over="ignore", under="ignore"):
        lengths = np.square(arrays["quats"]).sum(axis=1)
    bad_turns = int(np.count_nonzero(~((lengths > 0) & np.isfinite(lengths))))
    if bad_turns:
        raise FormatError(
            f"{what}: the quaternion is zero or huge for {bad_turns} of {len(lengths)} Gaussians"
        )
    large = int(np.count_nonzero((arrays["log_scales"] > MAX_LOG_SCALE).any(axis=1)))
    if large:
        raise FormatError(
            f"{what}: scales exceed exp({MAX_LOG_SCALE:g}) for {large} of {len(lengths)} Gaussians"
        )


def degrees_dropped(degree: int) -> str:
    """What is said of a file whose SH go up to a degree above what scenes have."""
    return f"SH of degree {degree}; those above {MAX_SH_DEGREE} are dropped"


def log_of_scales(path: Path | str, scales: np.ndarray) -> np.ndarray:
    """Logarithms of standard deviations; zero becomes a very thin Gaussian.

    Args:
        path: named in errors.
        scales: [n, 3] float.

    Returns:
        [n, 3] float32, at least MIN_LOG_SCALE; NaN stays NaN.

    Raises:
        FormatError: a scale is negative.
    """
    bad = int(np.count_nonzero((scales < 0).any(axis=1)))
    if bad:
        raise FormatError(f"{path}: a scale is negative for {bad} of {len(scales)} Gaussians")
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(scales, dtype=np.float32), np.float32(MIN_LOG_SCALE))


def logit_of_opacities(path: Path | str, opacities: np.ndarray) -> np.ndarray:
    """Logits of opacities; 0 and 1 become what is nearly so.

    Args:
        path: named in errors.
        opacities: [n] float.

    Returns:
        [n] float32; NaN stays NaN.

    Raises:
        FormatError: an opacity is below 0 or above 1.
    """
    bad = int(np.count_nonzero((opacities < 0) | (opacities > 1)))
    if bad:
        raise FormatError(
            f"{path}: the opacity is not between 0 and 1 for {bad} of {len(opacities)} Gaussians"
        )
    inside = np.clip(opacities.astype(np.float64), OPACITY_MARGIN, 1 - OPACITY_MARGIN)
    return (np.log(inside) - np.log1p(-inside)).astype(np.float32)


def fold_filter(filters: np.ndarray, log_scales: np.ndarray, logits: np.ndarray) -> None:
    """Fold Mip-Splatting's 3D filter into scales and opacities, in place; integrals over each Gaussian stay.

    Args:
        filters: [n] standard deviations of the filter, scene units.
        log_scales: [n, 3] float32.
        logits: [n] float32, of opacities.

    Source: Yu et al. 2024, eq. 9.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        before = log_scales.astype(np.float64)
        after = np.logaddexp(2 * before, 2 * np.log(np.abs(filters.astype(np.float64)))[:, None]) / 2
        # ln of the opacities: ln sigmoid(x) = -ln(1 + exp(-x)).
        opacities = (before - after).sum(axis=1) - np.logaddexp(0, -logits.astype(np.float64))
        log_scales[:] = after
        changed = filters != 0
        logits[changed] = (opacities - np.log(-np.expm1(opacities)))[changed]


def finite_where_meant(logits: np.ndarray, log_scales: np.ndarray) -> None:
    """Replace infinities that stand for opacities of 0 and 1, and for scales of 0, in place.

    Converters write them when they take logits and logarithms of what bytes held.

    Args:
        logits: of opacities, float32 of any shape.
        log_scales: float32 of any shape.
    """
    edge = np.float32(np.log1p(-OPACITY_MARGIN) - np.log(OPACITY_MARGIN))
    logits[np.isposinf(logits)] = edge
    logits[np.isneginf(logits)] = -edge
    log_scales[np.isneginf(log_scales)] = MIN_LOG_SCALE


def opacities_of_logits(logits: np.ndarray) -> np.ndarray:
    """[n] float32 opacities of [n] logits."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-logits.astype(np.float32)))


def colour_of_base(base: np.ndarray) -> np.ndarray:
    """Colours, 0 to 1 where they can be shown, of degree-0 coefficients of any shape."""
    return base * np.float32(SH_C0) + np.float32(0.5)


def base_of_colour(colours: np.ndarray) -> np.ndarray:
    """Degree-0 coefficients of colours of any shape."""
    return (colours - np.float32(0.5)) / np.float32(SH_C0)
