"""Floaters by support: Gaussians seen by few views that lie in front of the surface or in isolation.

A Gaussian of a surface is seen by most of the views that have it in their frustum, at the rendered depth. A
Gaussian that explains a few photographs from a wrong position lies in front of the surface in the views that
see it. An isolated group is a floater only if hardly any view supports it, so that distant objects are kept.
A small contribution to every view is no criterion: many such Gaussians together can form a surface.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfumato.edit.clean import isolated
from sfumato.envelope.sightings import Sightings
from sfumato.scene.gaussians import Gaussians

# Least share of a Gaussian's contribution that comes from views in which it lies in front of the surface.
_IN_FRONT = 0.5
# Few: at most this many views, or this share of all views if that is more.
_FEW_VIEWS, _FEW_SHARE = 2, 0.1


@dataclass(frozen=True)
class Floaters:
    """Which of n Gaussians are floaters, and why.

    Attributes:
        in_front: [n] bool, seen by few views, in front of the surface.
        isolated: [n] bool, seen by few views, in a small group apart from all other Gaussians.
    """

    in_front: Tensor
    isolated: Tensor

    @property
    def mask(self) -> Tensor:
        """[n] bool, all of them."""
        return self.in_front | self.isolated

    def counts(self) -> dict[str, int | float]:
        """Their numbers, as in ``envelope.json``."""
        whole = self.mask
        return {
            "count": int(whole.sum()),
            "share": float(whole.float().mean()) if len(whole) else 0.0,
            **{name: int(getattr(self, name).sum()) for name in ("in_front", "isolated")},
        }


def counts_in_words(found: Mapping[str, Any]) -> str:
    """``Floaters.counts`` in words; a Gaussian may be a floater for both reasons."""
    return (
        f"{found['count']:,} floaters by support ({found['share']:.1%} of the Gaussians): "
        f"{found['in_front']:,} that few views see, in front of what is there, "
        f"{found['isolated']:,} isolated and seen by few"
    )


def floaters_by_support(gaussians: Gaussians, evidence: Sightings) -> Floaters:
    """Find the floaters of a scene.

    Args:
        gaussians: the scene.
        evidence: from its training views.
    """
    # Places are at most 64; with more views, their number is estimated by the Gaussian that most have seen.
    most = int(evidence.views.max()) if len(evidence.views) else 0
    views = max(len(evidence.places), most)
    few = evidence.views <= max(_FEW_VIEWS, _FEW_SHARE * views)
    return Floaters(
        in_front=(evidence.in_front > _IN_FRONT) & few,
        isolated=isolated(gaussians) & few if len(gaussians) else torch.zeros(0, dtype=torch.bool),
    )
