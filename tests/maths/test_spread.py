"""Evenly spaced subsets."""

import numpy as np
import pytest

from sfumato.maths.spread import coarse_to_fine, evenly


@pytest.mark.parametrize("count", [1, 2, 7, 80, 350])
def test_every_prefix_is_spread_evenly(count):
    order = coarse_to_fine(count)
    assert sorted(order) == list(range(count))
    for most in range(2, count):
        gaps = np.diff(sorted(order[:most]))
        # No gap exceeds the mean gap rounded up to a power of two.
        assert gaps.max() < 4 * count / most


def test_the_requested_number_is_taken_without_long_gaps():
    assert evenly(5, 9) == [0, 1, 2, 3, 4] and evenly(0, 3) == []
    for most in (1, 3, 120, 349):
        places = evenly(350, most)
        assert len(set(places)) == most and places[0] >= 0 and places[-1] < 350
        assert max(np.diff([-places[0] - 1, *places, 699 - places[-1]])) <= 350 // most + 1
