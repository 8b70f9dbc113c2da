"""Adam on the rigid motions of bodies at one step in time."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.maths.quaternions import normalised, quat_product, rotation_from_quats
from sfumato.tracking.pose_descent import BETAS, epsilon_of
from sfumato.tracking.track_state import MovingPoses


class BodyDescent:
    """Moves the Gaussians of each body together, by what the gradients of all their poses have in common.

    The gradient of one pose is small and noisy, where a surface has little texture; that of a body is not.

    Args:
        bodies: [a] int64 body of each of the Gaussians that exist, 0 to k - 1.
        rows: [a] int64 rows of these among all m.
        count: k, number of bodies.
    """

    def __init__(self, bodies: Tensor, rows: Tensor, count: int) -> None:
        self._bodies, self._rows, self._count = bodies, rows, count
        self._sizes = bodies.bincount(minlength=count).clamp(min=1)[:, None]
        # Translations, then rotation vectors about the mean position times the radius of the body.
        self._motions = torch.zeros(count, 6, requires_grad=True)
        self._adam = torch.optim.Adam([self._motions], betas=BETAS)

    def descend(self, poses: MovingPoses, gradients: tuple[Tensor, Tensor], rate: float) -> None:
        """One step.

        Args:
            poses: of all m Gaussians, changed in place.
            gradients: [m, 3] and [m, 4] with respect to their means and quaternions.
            rate: learning rate of positions, scene units.
        """
        means, quats = (tensor.detach()[self._rows] for tensor in (poses.means, poses.quats))
        forces, of_quats = (tensor[self._rows] for tensor in gradients)
        arms = means - self._means(means)[self._bodies]
        radii = self._means(arms.square().sum(1, keepdim=True)).sqrt().clamp(min=1e-12)
        torques = torch.linalg.cross(arms, forces) + _torques(quats, of_quats)
        self._motions.grad = torch.cat([self._sums(forces), self._sums(torques) / radii], dim=1)
        group = self._adam.param_groups[0]
        group["lr"], group["eps"] = rate, epsilon_of(self._motions.grad)
        self._adam.step()
        moved = self._motions.detach().clone()
        self._motions.detach().zero_()
        turns = torch.cat([torch.ones(self._count, 1), 0.5 * moved[:, 3:] / radii], dim=1)
        turn = normalised(turns)[self._bodies]
        turned = torch.einsum("mab,mb->ma", rotation_from_quats(turn), arms)
        poses.means.detach()[self._rows] = means - arms + turned + moved[self._bodies, :3]
        poses.quats.detach()[self._rows] = quat_product(turn, quats)

    def _sums(self, values: Tensor) -> Tensor:
        return values.new_zeros(self._count, values.shape[1]).index_add(0, self._bodies, values)

    def _means(self, values: Tensor) -> Tensor:
        return self._sums(values) / self._sizes


def _torques(quats: Tensor, gradients: Tensor) -> Tensor:
    """[n, 3] gradients with respect to a small rotation after that of each quaternion, from theirs [n, 4]."""
    w, x, y, z = quats.unbind(1)
    a, b, c, d = gradients.unbind(1)
    return 0.5 * torch.stack(
        [b * w - a * x + d * y - c * z, c * w - a * y + b * z - d * x, d * w - a * z + c * x - b * y], dim=1
    )
