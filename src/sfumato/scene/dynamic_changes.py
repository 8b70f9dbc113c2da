"""Changes of a scene that moves, at all steps. Each gives another scene."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sfumato.maths.quaternions import quat_from_rotation, quat_product
from sfumato.scene.changes import similarity, transformed
from sfumato.scene.dynamic import DynamicScene


def transformed_dynamic(scene: DynamicScene, new_from_old: Tensor) -> DynamicScene:
    """The scene moved, turned and scaled as a whole, at all steps.

    Args:
        scene: the scene.
        new_from_old: [4, 4] similarity: (scale * rotation, translation), then (0, 0, 0, 1).

    Raises:
        ConfigError: the matrix is no similarity; a mirror image is none.
    """
    means, quats = transformed_poses(scene.means, scene.quats, new_from_old)
    gaussians = transformed(scene.gaussians, new_from_old)
    return replace(scene, gaussians=gaussians, means=means, quats=quats)


def held(scene: DynamicScene) -> DynamicScene:
    """The scene with poses at all steps: of the first or last step of a Gaussian where it does not exist."""
    steps = torch.arange(scene.num_steps, device=scene.birth.device)[:, None]
    nearest = torch.minimum(torch.maximum(steps, scene.birth), scene.death - 1)
    columns = torch.arange(len(scene.ids), device=scene.birth.device)
    return replace(scene, means=scene.means[nearest, columns], quats=scene.quats[nearest, columns])


def transformed_poses(means: Tensor, quats: Tensor, new_from_old: Tensor) -> tuple[Tensor, Tensor]:
    """Poses under a similarity.

    Args:
        means: [..., 3] world frame, scene units.
        quats: [..., 4] rotations as (w, x, y, z).
        new_from_old: [4, 4].

    Returns:
        [..., 3] and [..., 4]; NaN stay NaN.

    Raises:
        ConfigError: the matrix is no similarity.
    """
    scale, rotation, shift = similarity(new_from_old)
    rotation, shift = rotation.to(means.device), shift.to(means.device)
    turned = quat_product(quat_from_rotation(rotation), quats.double())
    return (scale * means.double() @ rotation.T + shift).to(means), turned.to(quats)
