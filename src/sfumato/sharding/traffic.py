"""The splats of the views of one step on their way to the renderers, and their gradients on the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from sfumato.sharding.places import renderers
from sfumato.sharding.ranks import Ranks


class Traffic:
    """Who renders which view, and how many splats each process sends for it.

    Args:
        ranks: the processes; every one creates this object together.
        own_counts: number of splats of this process in each view.

    Attributes:
        mine: the views that this process renders.
        sent_bytes: what this process has sent to others.
    """

    mine: list[int]
    sent_bytes: int

    def __init__(self, ranks: Ranks, own_counts: Sequence[int]) -> None:
        self._ranks, self.sent_bytes = ranks, 0
        # [processes][views].
        self._counts = ranks.gathered(own_counts).tolist()
        places = renderers(np.array(self._counts))
        views = range(len(own_counts))
        self._views_of = [[view for view in views if places[view] == rank] for rank in range(ranks.count)]
        self.mine = self._views_of[ranks.rank]

    def to_renderers(self, splats: Sequence[Tensor]) -> dict[int, Tensor]:
        """The splats of all processes in the views that this one renders.

        Args:
            splats: [m, c] of this process in each view.
        """
        sent = [_stacked([splats[view] for view in views], splats[0]) for views in self._views_of]
        expected = [[counts[view] for view in self.mine] for counts in self._counts]
        received = self._exchange(sent, expected)
        pieces = [part.split(lengths) for part, lengths in zip(received, expected, strict=True)]
        return {view: torch.cat([piece[place] for piece in pieces]) for place, view in enumerate(self.mine)}

    def to_owners(self, gradients: Mapping[int, Tensor], like: Tensor) -> list[Tensor]:
        """The gradients [m, k] of the splats of this process in each view.

        Args:
            gradients: of the splats of the views that this process renders.
            like: [0, k].
        """
        pieces = {
            view: found.split([counts[view] for counts in self._counts]) for view, found in gradients.items()
        }
        sent = [
            _stacked([pieces[view][rank] for view in self.mine], like) for rank in range(self._ranks.count)
        ]
        own = self._counts[self._ranks.rank]
        expected = [[own[view] for view in views] for views in self._views_of]
        received = self._exchange(sent, expected)
        found: dict[int, Tensor] = {}
        for part, views, lengths in zip(received, self._views_of, expected, strict=True):
            found |= dict(zip(views, part.split(lengths), strict=True))
        return [found[view] for view in range(len(own))]

    def _exchange(self, sent: Sequence[Tensor], expected: Sequence[Sequence[int]]) -> list[Tensor]:
        for rank, part in enumerate(sent):
            self.sent_bytes += part.nbytes if rank != self._ranks.rank else 0
        return self._ranks.exchange(sent, [sum(lengths) for lengths in expected])


def _stacked(parts: Sequence[Tensor], like: Tensor) -> Tensor:
    """The rows of all parts; none, of the shape of ``like``, without parts."""
    return torch.cat(list(parts)) if parts else like[:0]
