"""Transforms of scenes in formats with an up axis and a node hierarchy.

The frame of a scene is that of its cameras, with y down as in the field's `.ply` files; in glTF and USD y
points up. They differ by a rotation of 180 degrees about z: right, down, front becomes left, up, front.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from sfumato.errors import FormatError
from sfumato.maths.quaternions import rotation_from_quats
from sfumato.scene.changes import moved
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.dynamic_changes import transformed_dynamic
from sfumato.scene.gaussians import Gaussians

# Its own inverse.
Y_UP_FROM_SCENE = np.diag([-1.0, -1.0, 1.0, 1.0])
# The up direction in the scene's frame that becomes +y in the file.
Y_DOWN_UP = (0.0, -1.0, 0.0)
BLOCK = 65536
# Tolerance for the rounding of float32 matrices in files.
_SAME = 1e-4


def placed(gaussians: Gaussians, target_from_source: np.ndarray, what: str) -> Gaussians:
    """The scene under a transform of a file.

    Args:
        gaussians: float32 on the CPU.
        target_from_source: [4, 4] a rotation after positive scales along the source's axes, and a shift.
        what: the file and the node, named in errors.

    Returns:
        The scene in the target frame. SH rotate with it; non-uniform scales do not change them.

    Raises:
        FormatError: the matrix shears, mirrors, or has scales outside 1e-9 to 1e9.
    """
    if np.array_equal(target_from_source, np.eye(4)):
        return gaussians
    rotation, scales = _decomposed(target_from_source, what)
    shift = target_from_source[:3, 3].astype(np.float64)
    changed = moved(gaussians, *(torch.from_numpy(part) for part in (rotation, scales, shift)))
    if np.ptp(scales) <= _SAME * scales.max():
        return changed
    log_scales, quats = _stretched(gaussians, torch.from_numpy(rotation * scales))
    return replace(changed, log_scales=log_scales, quats=quats)


def y_up(scene: DynamicScene) -> DynamicScene:
    """A dynamic scene in a frame whose y points up.

    Args:
        scene: any device or float type, y down.

    Returns:
        float32 on the CPU; ``gaussians`` are where they first exist.
    """
    numbers = {name: getattr(scene, name).cpu() for name in ("ids", "times", "birth", "death")}
    poses = {name: getattr(scene, name).detach().to("cpu", torch.float32) for name in ("means", "quats")}
    gaussians = scene.at_birth().map(lambda tensor: tensor.detach().to("cpu", torch.float32))
    on_host = replace(scene, gaussians=gaussians, **numbers, **poses)
    return transformed_dynamic(on_host, torch.from_numpy(Y_UP_FROM_SCENE))


def _decomposed(matrix: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Rotation [3, 3] and scales [3] along its columns, whose product is the matrix's linear part."""
    linear = matrix[:3, :3].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        scales = np.linalg.norm(linear, axis=0)
    usable = np.isfinite(matrix).all() and scales.min() > 1e-9 and scales.max() < 1e9
    if not usable or not np.allclose(matrix[3], [0, 0, 0, 1]):
        raise FormatError(f"{what} has a transform that is not a rotation with scales")
    u, _, v = np.linalg.svd(linear / scales)
    if not np.allclose(u @ v * scales, linear, atol=_SAME * scales.max()) or np.linalg.det(u @ v) < 0:
        raise FormatError(f"{what} has a transform that shears or mirrors, which Gaussians cannot follow")
    return u @ v, scales


def _stretched(gaussians: Gaussians, linear: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Log scales and quaternions of Gaussians under a map with non-uniform scales.

    NaN where a Gaussian has no valid covariance: the file's values are not checked yet at this point.
    """
    log_scales, quats = torch.empty_like(gaussians.log_scales), torch.empty_like(gaussians.quats)
    for start in range(0, len(gaussians), BLOCK):
        part = slice(start, start + BLOCK)
        # Relative to the largest scale, so that squares do not underflow or overflow.
        largest = gaussians.log_scales[part].double().amax(1, keepdim=True)
        scales = (gaussians.log_scales[part].double() - largest).exp()
        turned = linear @ rotation_from_quats(gaussians.quats[part].double()) * scales[:, None]
        is_finite = turned.isfinite().all(dim=2).all(dim=1)
        turned[~is_finite] = torch.eye(3, dtype=turned.dtype)
        axes, lengths, _ = torch.linalg.svd(turned)
        axes[:, :, 2] *= torch.linalg.det(axes)[:, None]
        log_scales[part] = (lengths.clamp_min(1e-30).log() + largest).float()
        new = Rotation.from_matrix(axes.numpy()).as_quat(scalar_first=True)
        quats[part] = torch.from_numpy(new).float()
        log_scales[part][~is_finite] = math.nan
    return log_scales, quats
