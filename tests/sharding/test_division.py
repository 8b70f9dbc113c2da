"""Which Gaussians each process gets when a run begins, and when it goes on."""

import pytest
import torch

from sfumato.sharding.places import divided_by_place
from sfumato.sharding.sharded_state import shards
from support.capture_folders import colmap_folder
from support.tiny import tiny_config, tiny_start


def means_of(parts):
    return [part["population"]["means"]["values"] for part in parts]


@pytest.mark.parametrize("before", [(), (1, 2, 2), (4, 2), (-1, 6)], ids=str)
def test_gaussians_are_divided_by_place_without_a_fitting_division(tmp_path, before):
    _, state = tiny_start(colmap_folder(tmp_path), tiny_config())
    state.process_rows = before
    means = state.population.gaussians.means.detach()
    found, expected = means_of(shards(state, 2)), divided_by_place(means, 2)
    assert all(torch.equal(own, means[rows]) for own, rows in zip(found, expected, strict=True))


def test_a_run_that_goes_on_in_as_many_processes_keeps_its_division(tmp_path):
    _, state = tiny_start(colmap_folder(tmp_path), tiny_config())
    means = state.population.gaussians.means.detach()
    state.process_rows = (1, len(means) - 1)
    found = means_of(shards(state, 2))
    assert torch.equal(found[0], means[:1]) and torch.equal(found[1], means[1:])
