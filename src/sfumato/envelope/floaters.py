"""Floaters by support: Gaussians that few views have seen, in front of what is there or by themselves.

A Gaussian of a surface is seen by most of the views in whose picture it lies, and stands where they see
something. One that explains a few photographs from a wrong place hangs before the surface in the views that
have seen it. A group by itself is a floater only where hardly any view supports it, so that things in the
distance stay. That no view has seen a Gaussian by much is no reason: many such together make a picture.
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

# Of a Gaussian's contribution, this share comes from views in which it hangs in front.
_IN_FRONT = 0.5
# Seen by at most so many views, or by this share of all if that is more.
_FEW_VIEWS, _FEW_SHARE = 2, 0.1


@dataclass(frozen=True)
class Floaters:
    """Which of n Gaussians are floaters, and why.

    Attributes:
        in_front: [n] bool, seen by few views, and in front of what is there.
        isolated: [n] bool, in a small group that touches nothing else, and seen by few views.
    """

    in_front: Tensor
    isolated: Tensor

    @property
    def mask(self) -> Tensor:
        """[n] bool, all of them."""
        return self.in_front | self.isolated

    def counts(self) -> dict[str, int | float]:
        """How many there are, as of ``envelope.json``."""
        whole = self.mask
        return {
            "count": int(whole.sum()),
            "share": float(whole.float().mean()) if len(whole) else 0.0,
            **{name: int(getattr(self, name).sum()) for name in ("in_front", "isolated")},
        }


def counts_in_words(found: Mapping[str, Any]) -> str:
    """``Floaters.counts`` in words; a Gaussian may float for several reasons."""
    return (
        f"{found['count']:,} floaters by support ({found['share']:.1%} of the Gaussians): "
        f"{found['in_front']:,} that few views see, in front of what is there, "
        f"{found['isolated']:,} isolated and seen by few"
    )


def floaters_by_support(gaussians: Gaussians, evidence: Sightings) -> Floaters:
    """Find the floaters of a scene.

    Args:
        gaussians: the scene.
        evidence: what its training views tell of it.
    """
    # How many views there are is known where each has its place; else some Gaussian is seen by most.
    most = int(evidence.views.max()) if len(evidence.views) else 0
    views = max(len(evidence.places), most)
    few = evidence.views <= max(_FEW_VIEWS, _FEW_SHARE * views)
    return Floaters(
        in_front=(evidence.in_front > _IN_FRONT) & few,
        isolated=isolated(gaussians) & few if len(gaussians) else torch.zeros(0, dtype=torch.bool),
    )
