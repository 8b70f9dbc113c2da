"""The order in which views are drawn."""

from collections import Counter

import torch

from sfumato.training.sampler import ViewSampler


def drawn(count, weights=None, views=4, seed=0):
    sampler = ViewSampler(views, torch.Generator().manual_seed(seed), weights)
    return [sampler.next() for _ in range(count)]


def test_every_view_is_drawn_once_an_epoch():
    order = drawn(12)
    assert all(sorted(order[start : start + 4]) == [0, 1, 2, 3] for start in (0, 4, 8))
    assert order[:4] != order[4:8] or order[4:8] != order[8:]
    assert drawn(12, [0.5] * 4) == order, "equal weights change nothing"


def test_views_are_drawn_in_proportion_to_their_weights():
    order = drawn(4000, [1.0, 0.5, 0.25, 0.25])
    counts = Counter(order)
    assert counts[0] == 2000 and counts[1] == 1000
    assert abs(counts[2] - 500) < 80 and counts[2] + counts[3] == 1000
    assert all(Counter(order[start : start + 4])[0] == 2 for start in range(0, 4000, 4))
    assert order == drawn(4000, [1.0, 0.5, 0.25, 0.25])


def test_an_interrupted_epoch_goes_on():
    generator = torch.Generator().manual_seed(1)
    whole = ViewSampler(4, generator, [1.0, 0.5, 0.25, 0.25])
    first = [whole.next() for _ in range(2)]
    saved, random = whole.state_dict(), generator.get_state()
    rest = [whole.next() for _ in range(9)]
    other = torch.Generator()
    other.set_state(random)
    again = ViewSampler(4, other, [1.0, 0.5, 0.25, 0.25])
    again.load_state_dict(saved)
    assert [again.next() for _ in range(9)] == rest and len(first) == 2
