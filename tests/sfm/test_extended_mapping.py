"""Mapping beyond its deadline."""

from types import SimpleNamespace

import pytest

from sfumato.sfm import extended_mapping as module


@pytest.mark.parametrize(
    ("until_s", "rounds", "starts", "deadlines", "expected"),
    [
        # (seconds taken, pictures registered) of each round; 15 pictures are enough.
        (100, [(60, 4)], [None], [100], 4),
        (100, [(100, 20)], [None], [100], 20),
        (100, [(101, 3), (101, 16)], [None, 3], [100, 202], 16),
        (100, [(101, 3), (101, 9), (50, 12)], [None, 3, 9], [100, 202, 404], 12),
        (100, [(101, 3), (101, 3)], [None, 3], [100, 202], 3),
        (100, [(101, 3), (101, None)], [None, 3], [100, 202], 3),
        (1, [(1, None), (5, None), (7, 18)], [None, None, None], [1, 6, 12], 18),
        (100, [(100, None), (20, None)], [None, None], [100, 200], None),
    ],
)
def test_mapping_goes_on_while_it_is_of_no_use(monkeypatch, until_s, rounds, starts, deadlines, expected):
    clock, given = SimpleNamespace(now=0.0), []
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def mapped(until_s, start, number):
        assert number == len(given)
        given.append((start and start.num_reg_images(), until_s))
        seconds, placed = rounds[number]
        clock.now += seconds
        return [] if placed is None else [SimpleNamespace(num_reg_images=lambda: placed)]

    found = module.extended(mapped, until_s, 15)
    assert given == list(zip(starts, deadlines, strict=True))
    assert [model.num_reg_images() for model in found] == ([] if expected is None else [expected])
