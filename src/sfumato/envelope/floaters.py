"""Floaters by support: Gaussians that few views have seen, in front of what is there.

A Gaussian of a surface is seen by most of the views in whose picture it lies, and stands where they see
something. One that explains a few photographs from a wrong place hangs before the surface in the views that
have seen it.
"""

from __future__ import annotations

from torch import Tensor

from sfumato.envelope.sightings import Sightings

# Of a Gaussian's contribution, this share comes from views in which it hangs in front.
_IN_FRONT = 0.5
# Seen by at most so many views, or by this share of all if that is more.
_FEW_VIEWS, _FEW_SHARE = 2, 0.1


def unsupported(evidence: Sightings, views: int) -> Tensor:
    """Which Gaussians are floaters, [n] bool.

    Args:
        evidence: of the training views.
        views: how many training views there are.
    """
    few = max(_FEW_VIEWS, _FEW_SHARE * views)
    return (evidence.in_front > _IN_FRONT) & (evidence.views <= few)
