"""The scene record: n anisotropic Gaussians with view-dependent colour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ShapeError

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class Gaussians:
    """n anisotropic Gaussians with view-dependent colour; unconstrained parameters.

    Attributes:
        means:           [n, 3] centres, world frame, scene units.
        log_scales:      [n, 3] ln of the standard deviations along the local axes, scene units.
        quats:           [n, 4] world_from_local rotation as (w, x, y, z); any non-zero length.
        logit_opacities: [n]    logit of the peak opacity.
        sh:              [n, k, 3] real SH coefficients, k = (degree + 1)**2, degree 0 to 3;
                         sRGB-encoded colour = 0.5 + sum.

    Raises:
        ShapeError: fields disagree in n, dtype or device, or k is not 1, 4, 9 or 16.
    """

    means: Tensor
    log_scales: Tensor
    quats: Tensor
    logit_opacities: Tensor
    sh: Tensor

    def __post_init__(self) -> None:
        sizes = check_shapes(
            like=self.means,
            means=(self.means, "n 3"),
            log_scales=(self.log_scales, "n 3"),
            quats=(self.quats, "n 4"),
            logit_opacities=(self.logit_opacities, "n"),
            sh=(self.sh, "n k 3"),
        )
        if sizes["k"] not in (1, 4, 9, 16):
            raise ShapeError(f"sh has {sizes['k']} coefficients, expected 1, 4, 9 or 16")

    def __len__(self) -> int:
        return self.means.shape[0]

    def __repr__(self) -> str:
        kind = str(self.means.dtype).removeprefix("torch.")
        return (
            f"{type(self).__name__}({len(self)}, SH degree {self.sh_degree}, {kind} on {self.means.device})"
        )

    @property
    def sh_degree(self) -> int:
        """Degree of the stored spherical harmonics, 0 to 3."""
        return {1: 0, 4: 1, 9: 2, 16: 3}[self.sh.shape[1]]

    @property
    def scales(self) -> Tensor:
        """[n, 3] standard deviations along the local axes, scene units."""
        return self.log_scales.exp()

    @property
    def opacities(self) -> Tensor:
        """[n] peak opacity in (0, 1)."""
        return self.logit_opacities.sigmoid()

    def show(self, height_px: int = 480) -> Any:
        """Show the scene in a notebook, to turn and look at: a ``ScenePage``, as of ``sfumato.show``.

        Args:
            height_px: height of the notebook's cell.
        """
        import sfumato

        return sfumato.show(self, height_px)

    def tensors(self) -> dict[str, Tensor]:
        """The five tensors by name, without the further fields of a ``Scene``."""
        return {f.name: getattr(self, f.name) for f in fields(Gaussians)}

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Apply ``function`` to each of the five tensors; further fields of a ``Scene`` are kept."""
        return replace(self, **{name: function(tensor) for name, tensor in self.tensors().items()})

    def select(self, keep: Tensor) -> Self:
        """The Gaussians where the mask ``keep`` [n] is true, or at the indices ``keep`` [m]."""
        return self.map(lambda tensor: tensor[keep])

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move or convert every field, as ``torch.Tensor.to``."""
        return self.map(lambda tensor: tensor.to(*args, **kwargs))

    def detach(self) -> Self:
        """The same values outside the autograd graph."""
        return self.map(torch.Tensor.detach)
