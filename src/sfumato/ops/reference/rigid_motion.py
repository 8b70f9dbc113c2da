"""Definition of the poses of Gaussians that are fixed to moving frames."""

import torch
from torch import Tensor

from sfumato.maths.quaternions import conjugate, normalised, quat_product, rotation_from_quats


def rigid_motion(
    means: Tensor,
    quats: Tensor,
    frame_means: Tensor,
    frame_quats: Tensor,
    rest_means: Tensor,
    rest_quats: Tensor,
    frames: Tensor,
) -> tuple[Tensor, Tensor]:
    """Poses of Gaussians that move with rigid frames.

    Args:
        means: [n, 3] at rest, world frame, scene units.
        quats: [n, 4] at rest, world_from_local as (w, x, y, z), any non-zero length.
        frame_means: [m, 3] origins of the frames now.
        frame_quats: [m, 4] rotations of the frames now, any non-zero length.
        rest_means: [m, 3] origins of the frames at rest.
        rest_quats: [m, 4] rotations of the frames at rest, of length one.
        frames: [n] int64 row of the frame of each Gaussian.

    Returns:
        [n, 3] means and [n, 4] quaternions; see :func:`sfumato.ops.rigid_motion`.

    Gradients: all but ``frames``.
    """
    rotations = quat_product(normalised(frame_quats), conjugate(rest_quats))[frames]
    shifts = means - rest_means[frames]
    rotated = torch.einsum("nab,nb->na", rotation_from_quats(rotations), shifts)
    return frame_means[frames] + rotated, quat_product(rotations, quats)
