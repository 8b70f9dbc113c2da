"""Conversion and validation of values between file arrays and the scene record."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from sfumato.errors import FormatError
from sfumato.maths.sh import SH_C0
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Metadata, Scene

_log = logging.getLogger(__name__)

# exp(40) is 2e17 units; its square still fits float32, those of much larger scales do not.
MAX_LOG_SCALE = 40.0
# Replaces the logarithm of zero; the square of the scale is still a normal float32.
MIN_LOG_SCALE = -40.0
# Higher degrees in files are dropped.
MAX_SH_DEGREE = 3
MAX_SH_COEFFICIENTS = (MAX_SH_DEGREE + 1) ** 2
# Opacities of exactly 0 and 1 have no finite logit; they are changed by this, below the precision of formats.
OPACITY_MARGIN = 1e-6
# Row i: the components of a quaternion other than the i-th, the largest, which formats leave out.
OTHER_COMPONENTS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
# Tolerance of the up axis, as a distance of unit vectors: about five degrees.
_UPRIGHT = 0.1

NOTHING_KNOWN = Metadata()

# Hints in messages: invalid values in files that become NaN.
_ALSO = {
    "log_scales": " (as of a scale below 0)",
    "logit_opacities": " (as of an opacity outside 0 to 1)",
}
_AXES = {"means": "xyz", "log_scales": "xyz", "quats": "wxyz"}


def scene_of(arrays: dict[str, np.ndarray], metadata: Metadata = NOTHING_KNOWN) -> Scene:
    """The scene of a file's arrays, whose values are not checked yet.

    Args:
        arrays: means [n, 3], log_scales [n, 3], quats [n, 4] (w, x, y, z), logit_opacities [n] and
            sh [n, k, 3], float32; the scene shares their memory.
        metadata: of the file.
    """
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    return Scene(**tensors, metadata=metadata)


def checked(scene: Scene, path: Path, *, repair: bool) -> Scene:
    """Check the values of a scene that was read.

    Args:
        scene: float32 on the CPU.
        path: its file, named in errors.
        repair: drop Gaussians with invalid values, and count them in a warning.

    Raises:
        FormatError: a value is NaN or infinite, a quaternion is zero, or a scale overflows; with
            ``repair``, of every Gaussian.
    """
    bad, what = faults({name: tensor.numpy() for name, tensor in scene.tensors().items()})
    if bad is None:
        return scene
    count = int(np.count_nonzero(bad))
    what += next((also for field, also in _ALSO.items() if what.startswith(field)), "")
    if not repair:
        raise FormatError(f"{path}: {what}; sfumato convert --repair leaves them out")
    if count == len(bad):
        raise FormatError(f"{path} cannot be repaired: {what}, and none of the others is well")
    _log.warning("%s: %d of %d Gaussians are left out, such as: %s", path, count, len(bad), what)
    return scene.select(torch.from_numpy(~bad))


def checked_arrays(gaussians: Gaussians) -> dict[str, np.ndarray]:
    """Fields of a scene as float32 arrays, ready to be written.

    Args:
        gaussians: any device or float type.

    Raises:
        FormatError: a value is NaN or infinite, a quaternion is zero, or a scale overflows.
    """
    arrays = {
        name: tensor.detach().to("cpu", torch.float32).numpy() for name, tensor in gaussians.tensors().items()
    }
    bad, what = faults(arrays)
    if bad is not None:
        raise FormatError(f"the scene cannot be saved: {what}")
    return arrays


def warn_of_lost_metadata(
    known: Metadata, what: str, *, up: Sequence[float] | None = None, metres_per_unit: float | None = None
) -> None:
    """Warn of metadata that a format cannot hold.

    Args:
        known: metadata of the scene.
        what: the format.
        up: the format's fixed up direction in the scene's frame, if it has one.
        metres_per_unit: the format's fixed unit, if it has one.
    """
    if known.antialiased:
        _log.warning("%s cannot store that this scene is made for anti-aliased rendering", what)
    if known.offset is not None and any(known.offset):
        _log.warning(
            "%s does not say that (%.15g, %.15g, %.15g) is to be added to the positions", what, *known.offset
        )
    if known.view is not None:
        _log.warning("%s cannot store the view with which this scene opens", what)
    if known.up is not None and up is not None and math.dist(known.up, up) > _UPRIGHT:
        _log.warning(
            "%s takes (%g, %g, %g) for up, which in this scene is (%.3g, %.3g, %.3g); sfumato edit --rotate "
            "turns it",
            *(what, *up, *known.up),
        )
    if None not in (known.metres_per_unit, metres_per_unit) and known.metres_per_unit != metres_per_unit:
        _log.warning(
            "%s counts in metres, and a unit of this scene is %g of them: sfumato edit --scale %g",
            *(what, known.metres_per_unit, known.metres_per_unit),
        )


def faults(arrays: dict[str, np.ndarray]) -> tuple[np.ndarray | None, str]:
    """Find the Gaussians with invalid values.

    Args:
        arrays: the fields of a scene by name.

    Returns:
        [n] bool, or None if all are valid; and a description of the first fault, with its count.
    """
    found = [*_not_finite(arrays)]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        lengths = np.square(arrays["quats"]).sum(axis=1)
        found.append(("the quaternion is zero or huge", ~((lengths > 0) & np.isfinite(lengths))))
        large = np.any(arrays["log_scales"] > MAX_LOG_SCALE, axis=1)
        found.append((f"scales exceed exp({MAX_LOG_SCALE:g})", large))
    found = [(what, bad) for what, bad in found if bad.any()]
    if not found:
        return None, ""
    what, first = found[0]
    return np.any([bad for _, bad in found], axis=0), f"{what} for {first.sum()} of {len(first)} Gaussians"


def _not_finite(arrays: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """For each field with NaN or infinity: a description, and which Gaussians [n] have it."""
    for name, array in arrays.items():
        # A sum is finite only if all terms are: one cheap pass for valid files.
        with np.errstate(invalid="ignore"):
            total = array.sum(dtype=np.float64)
        if math.isfinite(total):
            continue
        bad = ~np.isfinite(array.reshape(len(array), -1))
        axis = f" ({_AXES[name][int(bad.any(axis=0).argmax())]})" if name in _AXES else ""
        yield f"{name}{axis} is NaN or infinite", bad.any(axis=1)


def degrees_dropped(degree: int) -> str:
    """Part of a warning about a file with SH of too high a degree."""
    return f"SH of degree {degree}; those above {MAX_SH_DEGREE} are dropped"


def log_of_scales(scales: np.ndarray) -> np.ndarray:
    """Logarithms of standard deviations; zero becomes a very thin Gaussian.

    Args:
        scales: [n, 3] float.

    Returns:
        [n, 3] float32, at least MIN_LOG_SCALE; NaN for NaN and negative scales.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.maximum(np.log(scales, dtype=np.float32), np.float32(MIN_LOG_SCALE))


def logit_of_opacities(opacities: np.ndarray) -> np.ndarray:
    """Logits of opacities; 0 and 1 are moved inwards by OPACITY_MARGIN.

    Args:
        opacities: [n] float.

    Returns:
        [n] float32; NaN for NaN and opacities outside 0 to 1.
    """
    wide = opacities.astype(np.float64)
    wide = np.where((wide >= 0) & (wide <= 1), np.clip(wide, OPACITY_MARGIN, 1 - OPACITY_MARGIN), np.nan)
    return (np.log(wide) - np.log1p(-wide)).astype(np.float32)


def fold_filter(filters: np.ndarray, log_scales: np.ndarray, logits: np.ndarray) -> None:
    """Fold Mip-Splatting's 3D filter into scales and opacities, in place, preserving the Gaussians'
    integrals.

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


def finite_extremes(logits: np.ndarray, log_scales: np.ndarray) -> None:
    """Replace infinities that encode opacities of 0 and 1, and scales of 0, in place.

    Converters write them as logits and logarithms of quantised values.

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
    """Colours, 0 to 1 if displayable, of degree-0 coefficients of any shape."""
    return base * np.float32(SH_C0) + np.float32(0.5)


def base_of_colour(colours: np.ndarray) -> np.ndarray:
    """Degree-0 coefficients of colours of any shape."""
    return (colours - np.float32(0.5)) / np.float32(SH_C0)
