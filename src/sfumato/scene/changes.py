"""Operations on scenes: transform, merge, change the SH degree or the colours. Each returns a new scene."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ConfigError
from sfumato.maths.quaternions import quat_from_rotation, quat_product
from sfumato.maths.sh import SH_C0
from sfumato.maths.sh_rotation import rotated_sh
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Metadata, Scene, floating_of, metadata_of, with_metadata

# Tolerance of orthogonality of a rotation.
_ORTHOGONAL = 1e-5
# Directions nearer to each other than this, as lengths of the difference of unit vectors, are the same.
_SAME = 1e-3

_log = logging.getLogger(__name__)


def transformed(gaussians: Gaussians, new_from_old: Tensor) -> Gaussians:
    """The scene under a similarity; its view-dependent colours rotate with it.

    Args:
        gaussians: the scene.
        new_from_old: [4, 4] similarity: (scale * rotation, translation), then (0, 0, 0, 1).

    Returns:
        The scene, whose image is unchanged if the camera is transformed too; its up axis rotates as well.

    Raises:
        ConfigError: the matrix is not a similarity, or a reflection.

    Gradients: every field of ``gaussians``.
    """
    scale, rotation, shift = similarity(new_from_old)
    return moved(gaussians, rotation, rotation.new_full((3,), scale), shift)


def moved(gaussians: Gaussians, rotation: Tensor, scales: Tensor, shift: Tensor) -> Gaussians:
    """The scene under x -> rotation * (scales * x) + shift, with scales equal up to rounding.

    Args:
        gaussians: the scene.
        rotation: [3, 3] float64.
        scales: [3] float64, positive; Gaussians are scaled by their mean.
        shift: [3] float64, scene units.

    Returns:
        As ``transformed``.

    Gradients: every field of ``gaussians``.
    """
    like = gaussians.means
    linear, turn = (rotation * scales).to(like.device), quat_from_rotation(rotation).to(like.device)
    changed = replace(
        gaussians,
        means=(like.double() @ linear.T + shift.to(like.device)).to(like),
        log_scales=gaussians.log_scales + math.log(scales.mean()),
        quats=quat_product(turn, gaussians.quats.double()).to(like),
        sh=rotated_sh(gaussians.sh, rotation),
    )
    if not isinstance(changed, Scene):
        return changed
    known = changed.metadata
    up, offset = _mapped(known.up, rotation), _mapped(known.offset, rotation * scales)
    view = known.view and known.view.moved(rotation * scales, shift)
    return replace(changed, metadata=replace(known, up=up, offset=offset, view=view))


def _mapped(vector: tuple[float, float, float] | None, linear: Tensor) -> tuple[float, float, float] | None:
    """A vector, or None, under a linear map [3, 3]."""
    if vector is None:
        return None
    # Adding zero turns -0.0 into 0.0.
    x, y, z = (linear.new_tensor(vector) @ linear.T + 0.0).tolist()
    return x, y, z


def translation(by: Sequence[float]) -> Tensor:
    """The matrix of a translation.

    Args:
        by: (x, y, z), scene units.

    Returns:
        [4, 4] float64.
    """
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, 3] = torch.tensor(list(by), dtype=torch.float64)
    return matrix


def rotation(degrees: Sequence[float]) -> Tensor:
    """The matrix of rotations about the origin: about x, then y, then z, fixed axes.

    Args:
        degrees: (x, y, z); right-handed, so that 90 about z takes x to y.

    Returns:
        [4, 4] float64; exact for multiples of 90 degrees.
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
    """The matrix of a uniform scaling about the origin.

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


def with_degree(gaussians: Gaussians, degree: int) -> Gaussians:
    """The scene with spherical harmonics of another degree: truncated, or padded with zeros.

    Args:
        gaussians: the scene.
        degree: 0 to 3.

    Raises:
        ConfigError: the degree is not 0 to 3.
    """
    if degree not in (0, 1, 2, 3):
        raise ConfigError(f"degree: {degree} is not an SH degree; give 0, 1, 2 or 3")
    sh = gaussians.sh[:, : (degree + 1) ** 2]
    missing = sh.new_zeros(len(sh), (degree + 1) ** 2 - sh.shape[1], 3)
    return replace(gaussians, sh=torch.cat([sh, missing], dim=1))


def in_colours(gaussians: Gaussians, colours: Tensor) -> Gaussians:
    """The Gaussians in other colours, the same from everywhere.

    Args:
        gaussians: n of them.
        colours: [n, 3] not below zero, at which renderers clamp; RGB, or other values to blend as colours.

    Gradients: colours, and every other field of ``gaussians``.
    """
    return replace(gaussians, sh=((colours - 0.5) / SH_C0)[:, None])


def merged(*scenes: Gaussians) -> Scene:
    """Several scenes as one, in the order given, with the highest of their SH degrees.

    Where their metadata disagree, the first scene's is used, with a warning; all sources are named. Scenes
    with another offset are moved into the frame of the first that has one. The result has no identities, as
    two scenes may use the same ones. Floaters are kept if all scenes have them.

    Args:
        scenes: one or more.

    Raises:
        ConfigError: no scene is given.
    """
    if not scenes:
        raise ConfigError("merge: there is no scene; give one or more")
    known = _agreed(scenes)
    if len(scenes) == 1:
        return with_metadata(scenes[0], known)
    degree = max(scene.sh_degree for scene in scenes)
    parts = [about(with_degree(scene, degree), known.offset).tensors() for scene in scenes]
    floating = [one for one in map(floating_of, scenes) if one is not None]
    return Scene(
        **{name: torch.cat([part[name] for part in parts]) for name in parts[0]},
        metadata=known,
        floating=torch.cat(floating) if len(floating) == len(scenes) else None,
    )


def about(gaussians: Gaussians, offset: Sequence[float] | None) -> Gaussians:
    """The scene in the frame of another offset, if its own is known.

    Args:
        gaussians: the scene.
        offset: of the new frame, as of ``Metadata``; None: unknown.

    Returns:
        The scene, moved where both are known and differ.
    """
    own = metadata_of(gaussians).offset
    if own is None or offset is None or tuple(own) == tuple(offset):
        return gaussians
    x, y, z = offset
    shift = gaussians.means.new_tensor([a - b for a, b in zip(own, offset, strict=True)], dtype=torch.float64)
    known = metadata_of(gaussians)
    view = known.view and known.view.moved(torch.eye(3, dtype=torch.float64), shift.cpu())
    scene = with_metadata(gaussians, replace(known, offset=(x, y, z), view=view))
    return replace(scene, means=(gaussians.means.double() + shift).to(gaussians.means))


def _agreed(scenes: Sequence[Gaussians]) -> Metadata:
    """The metadata of several scenes merged; where they disagree, the first's, with a warning.

    Args:
        scenes: one or more.
    """
    known = [metadata_of(scene) for scene in scenes]
    ups = [one.up for one in known if one.up is not None]
    units = [one.metres_per_unit for one in known if one.metres_per_unit is not None]
    count = sum(one.antialiased for one in known)
    conflicts = (
        [f"{count} of {len(known)} are made for anti-aliased rendering"] if 0 < count < len(known) else []
    )
    if any(np.linalg.norm(np.subtract(up, ups[0])) > _SAME for up in ups):
        conflicts.append("they differ in which way is up")
    if any(abs(unit - units[0]) > _SAME * units[0] for unit in units):
        conflicts.append("they differ in the length of their unit")
    times = {one.time for one in known if one.time is not None}
    if len(times) > 1:
        conflicts.append("they show different moments")
    if conflicts:
        _log.warning("scenes that are joined disagree: %s; what the first says is kept", ", ".join(conflicts))
    return Metadata(
        antialiased=known[0].antialiased,
        up=next(iter(ups), None),
        metres_per_unit=next(iter(units), None),
        offset=next((one.offset for one in known if one.offset is not None), None),
        time=next((one.time for one in known if one.time is not None), None),
        view=next((one.view for one in known if one.view is not None), None),
        source=", ".join(dict.fromkeys(one.source for one in known if one.source)) or None,
    )


def replaced(gaussians: Gaussians, chosen: Tensor, changed: Gaussians) -> Gaussians:
    """The scene with some Gaussians replaced by as many others, in the same rows.

    Args:
        gaussians: n Gaussians.
        chosen: [n] bool.
        changed: as many as are chosen.
    """
    degree = max(gaussians.sh_degree, changed.sh_degree)
    whole, part = with_degree(gaussians, degree), with_degree(changed, degree)
    rows, new = chosen.nonzero()[:, 0], part.tensors()
    fields = {name: old.index_copy(0, rows, new[name]) for name, old in whole.tensors().items()}
    return replace(whole, **fields)


def similarity(new_from_old: Tensor) -> tuple[float, Tensor, Tensor]:
    """Decompose a similarity.

    Args:
        new_from_old: [4, 4] (scale * rotation, translation), then (0, 0, 0, 1).

    Returns:
        Scale, rotation [3, 3] and translation [3], float64 on the CPU.

    Raises:
        ConfigError: the matrix is not a similarity, or a reflection.
    """
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
        f"transform: {matrix.tolist()} is not a similarity; give (scale * rotation, translation) without a "
        "mirror or a shear"
    )


def _cosine_and_sine(degrees: float) -> tuple[float, float]:
    quarters = degrees / 90.0
    if quarters == round(quarters):
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[round(quarters) % 4]
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
