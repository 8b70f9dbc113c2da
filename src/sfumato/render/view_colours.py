"""Colours of Gaussians for a view, in the form that the render settings name."""

from __future__ import annotations

from torch import Tensor

from sfumato import ops
from sfumato.errors import ConfigError
from sfumato.render.settings import Settings
from sfumato.scene.gaussians import Gaussians


def colours_from(
    gaussians: Gaussians, viewpoint: Tensor, settings: Settings, visible: Tensor | None = None
) -> Tensor:
    """[n, 3] colours seen from ``viewpoint`` [3]; see ``ops.colour``."""
    degree = _degree(gaussians, settings)
    return ops.colour(gaussians.sh, gaussians.means, viewpoint, degree, visible, settings.colour)


def colours_of_rays(
    gaussians: Gaussians, settings: Settings, viewpoint: Tensor | None
) -> tuple[Tensor, int | None]:
    """(features, degree) for ``ops.trace_rays``: colours seen from one viewpoint, or from each ray's origin.

    Raises:
        ConfigError: rays have no common viewpoint, and the colour is a sigmoid of spherical harmonics.
    """
    if viewpoint is not None:
        return colours_from(gaussians, viewpoint, settings), None
    if settings.colour == "logit":
        # The same from everywhere.
        return colours_from(gaussians, gaussians.means.new_zeros(3), settings), None
    if settings.colour != "sh":
        raise ConfigError(
            f"colour {settings.colour} is not for rays that begin anywhere: give a camera, or rays with a "
            "viewpoint"
        )
    return gaussians.sh, _degree(gaussians, settings)


def _degree(gaussians: Gaussians, settings: Settings) -> int:
    requested = settings.sh_degree
    return gaussians.sh_degree if requested is None else min(requested, gaussians.sh_degree)
