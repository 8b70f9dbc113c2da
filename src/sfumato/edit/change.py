"""Changes of a scene: moved, turned, scaled, coloured, joined. Each gives another scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ConfigError
from sfumato.maths.sh import SH_C0
from sfumato.maths.sh_rotation import rotated_sh
from sfumato.scene.files.placing import joined
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Scene, turned

_ORTHOGONAL = 1e-5
# Rec. 709.
_LUMA = (0.2126, 0.7152, 0.0722)


def transformed(gaussians: Gaussians, new_from_old: Tensor) -> Gaussians:
    """The scene moved, turned and scaled as a whole; its colours turn with it.

    Args:
        gaussians: the scene.
        new_from_old: [4, 4] similarity: (scale * rotation, translation), then (0, 0, 0, 1).

    Returns:
        The scene, whose picture from a camera moved along is the same; which way is up turns along.

    Raises:
        ConfigError: the matrix is no similarity; a mirror image is none.

    Gradients: every field of ``gaussians``.
    """
    scale, rotation, shift = _similarity(new_from_old)
    like = gaussians.means
    means = gaussians.means.double() @ (scale * rotation).T + shift
    changed = replace(
        gaussians,
        means=means.to(like),
        log_scales=gaussians.log_scales + math.log(scale),
        quats=_quat_product(_quat_from_rotation(rotation), gaussians.quats),
        sh=rotated_sh(gaussians.sh, rotation),
    )
    return turned(changed, rotation)


def translation(by: Sequence[float]) -> Tensor:
    """The matrix of a shift.

    Args:
        by: (x, y, z), scene units.

    Returns:
        [4, 4] float64.
    """
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, 3] = torch.tensor(list(by), dtype=torch.float64)
    return matrix


def rotation(degrees: Sequence[float]) -> Tensor:
    """The matrix of turns about the origin: first about x, then about y, then about z, fixed axes.

    Args:
        degrees: (x, y, z); right-handed, so that 90 about z takes x to y.

    Returns:
        [4, 4] float64; quarter turns are exact.
    """
    matrix = np.eye(4)
    for axis, angle in enumerate(degrees):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(4)
        cosine, sine = _cosine_and_sine(angle)
        turn[first, first] = turn[second, second] = cosine
        turn[second, first], turn[first, second] = sine, -sine
        matrix = turn @ matrix
    return torch.from_numpy(matrix)


def scaling(factor: float) -> Tensor:
    """The matrix of a scene made larger about the origin.

    Args:
        factor: more than 0.

    Returns:
        [4, 4] float64.

    Raises:
        ConfigError: the factor is not positive.
    """
    if not 0 < factor < math.inf:
        raise ConfigError(f"scale: the factor is {factor}; give a number above 0")
    return torch.diag(torch.tensor([factor, factor, factor, 1.0], dtype=torch.float64))


def recoloured(gaussians: Gaussians, matrix: Tensor, offset: Sequence[float]) -> Gaussians:
    """Colours under a linear map: new = matrix @ old + offset, in every direction.

    Args:
        gaussians: the scene.
        matrix: [3, 3] from red, green and blue to red, green and blue.
        offset: [3] added to them.

    Returns:
        The scene.

    Gradients: every field of ``gaussians``.
    """
    check_shapes(matrix=(matrix, "3 3"))
    matrix = matrix.double()
    # Colour is 0.5 + sum, so that a map of colours moves the constant as well.
    constant = (matrix.sum(dim=1) * 0.5 - 0.5 + torch.tensor(list(offset)).double()) / SH_C0
    sh = gaussians.sh.double() @ matrix.T
    sh = torch.cat([sh[:, :1] + constant, sh[:, 1:]], dim=1)
    return replace(gaussians, sh=sh.to(gaussians.sh))


def painted(gaussians: Gaussians, rgb: Sequence[float]) -> Gaussians:
    """One colour from every direction.

    Args:
        gaussians: the scene.
        rgb: red, green and blue in [0, 1].

    Raises:
        ConfigError: a number is outside.
    """
    if not all(0 <= value <= 1 for value in rgb):
        raise ConfigError(f"paint: the colour is {list(rgb)}; give red, green and blue in [0, 1]")
    return recoloured(gaussians, torch.zeros(3, 3), rgb)


def tinted(gaussians: Gaussians, gain: Sequence[float]) -> Gaussians:
    """Colours multiplied.

    Args:
        gaussians: the scene.
        gain: factors of red, green and blue, 0 or more.

    Raises:
        ConfigError: a factor is negative.
    """
    if not all(0 <= value < math.inf for value in gain):
        raise ConfigError(f"tint: the factors are {list(gain)}; give 0 or more for red, green and blue")
    return recoloured(gaussians, torch.diag(torch.tensor(list(gain))), (0.0, 0.0, 0.0))


def saturated(gaussians: Gaussians, factor: float) -> Gaussians:
    """Colours moved away from grey, or towards it.

    Args:
        gaussians: the scene.
        factor: 0 leaves grey of the same luma, 1 everything as it is.

    Raises:
        ConfigError: the factor is negative.
    """
    if not 0 <= factor < math.inf:
        raise ConfigError(f"saturate: the factor is {factor}; give 0 or more")
    grey = torch.tensor([_LUMA] * 3, dtype=torch.float64)
    matrix = factor * torch.eye(3, dtype=torch.float64) + (1 - factor) * grey
    return recoloured(gaussians, matrix, (0.0, 0.0, 0.0))


def faded(gaussians: Gaussians, factor: float) -> Gaussians:
    """Opacities multiplied.

    Args:
        gaussians: the scene.
        factor: above 0, at most 1.

    Raises:
        ConfigError: the factor is outside.
    """
    if not 0 < factor <= 1:
        raise ConfigError(f"fade: the factor is {factor}; give a number above 0, up to 1")
    return replace(gaussians, logit_opacities=_faded_logits(gaussians.logit_opacities, factor))


def with_degree(gaussians: Gaussians, degree: int) -> Gaussians:
    """The scene with spherical harmonics of another degree: cut off, or with zeros added.

    Args:
        gaussians: the scene.
        degree: 0 to 3.

    Raises:
        ConfigError: the degree is none of them.
    """
    if degree not in (0, 1, 2, 3):
        raise ConfigError(f"degree: {degree} is no SH degree; give 0, 1, 2 or 3")
    sh = gaussians.sh[:, : (degree + 1) ** 2]
    missing = sh.new_zeros(len(sh), (degree + 1) ** 2 - sh.shape[1], 3)
    return replace(gaussians, sh=torch.cat([sh, missing], dim=1))


def merged(*scenes: Gaussians) -> Scene:
    """Several scenes as one, in the order given, with the highest of their SH degrees.

    Where what is known of them disagrees, a warning says so, and what the first says holds.

    Args:
        scenes: one or more.

    Raises:
        ConfigError: there is none.
    """
    if not scenes:
        raise ConfigError("merge: there is no scene; give one or more")
    return joined(scenes)


def _similarity(new_from_old: Tensor) -> tuple[float, Tensor, Tensor]:
    """Scale, rotation [3, 3] and translation [3] of a matrix, float64."""
    check_shapes(new_from_old=(new_from_old, "4 4"))
    matrix = new_from_old.detach().to("cpu", torch.float64)
    linear, shift = matrix[:3, :3], matrix[:3, 3]
    determinant = float(torch.linalg.det(linear))
    last_is_plain = torch.equal(matrix[3], torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64))
    if bool(matrix.isfinite().all()) and determinant > 0 and last_is_plain:
        scale = determinant ** (1 / 3)
        turn = linear / scale
        if bool(((turn @ turn.T - torch.eye(3).double()).abs() < _ORTHOGONAL).all()):
            return scale, turn, shift
    raise ConfigError(
        f"transform: {matrix.tolist()} is no similarity; give (scale * rotation, translation) without a "
        "mirror or a shear"
    )


def _cosine_and_sine(degrees: float) -> tuple[float, float]:
    quarters = degrees / 90.0
    if quarters == round(quarters):
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[round(quarters) % 4]
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def _quat_from_rotation(turn: Tensor) -> Tensor:
    """[4] unit quaternion (w, x, y, z) of a rotation matrix.

    It is the eigenvector of the largest eigenvalue of a symmetric matrix, well defined for every angle.

    Source: Bar-Itzhack 2000.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = turn.tolist()
    whole = torch.tensor(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, xy + yx, xz + zx],
            [xz - zx, xy + yx, yy - xx - zz, yz + zy],
            [yx - xy, xz + zx, yz + zy, zz - xx - yy],
        ],
        dtype=torch.float64,
    )
    quat = torch.linalg.eigh(whole).eigenvectors[:, -1]
    return quat if quat[quat.abs().argmax()] > 0 else -quat


def _quat_product(first: Tensor, second: Tensor) -> Tensor:
    """first [4] times each row of second [n, 4]: the rotations one after the other, second first."""
    w, x, y, z = first.tolist()
    left = torch.tensor(
        [[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]],
        dtype=torch.float64,
    )
    return (second.double() @ left.T).to(second)


def _faded_logits(logits: Tensor, factor: float) -> Tensor:
    """logit(factor * sigmoid(logits)), exact at both ends of the range."""
    if factor == 1:
        return logits
    # factor s / (1 - factor s) with s = e / (1 + e) is factor e / (1 + (1 - factor) e).
    wide = logits.double()
    return (math.log(factor) + wide - torch.nn.functional.softplus(wide + math.log1p(-factor))).to(logits)
