"""Steps of several processes against those of one."""

import pytest
import torch

from sfumato.sharding.places import divided_by_place
from sfumato.sharding.sharded_state import random_numbers
from sfumato.training.step import gradients
from support.capture_folders import colmap_folder
from support.sharing import STEPS, together, trained_together

pytestmark = pytest.mark.slow

# Relative to the largest gradient of a field: sums in another order.
ROUNDING = 1e-5


@pytest.fixture
def root(tmp_path):
    return colmap_folder(tmp_path)


def close(found, expected):
    scale = float(expected.abs().max())
    torch.testing.assert_close(found, expected, atol=ROUNDING * scale + 1e-12, rtol=0.0)


@pytest.mark.parametrize(
    ("changes", "views"),
    [
        ({}, [0, 1]),
        ({"exposure": True, "refine_poses": True}, [1, 0, 1]),
        ({"antialiased": True, "crops": 2, "frozen": ["quats"]}, [0]),
    ],
    ids=["two views", "parts with parameters, three views", "a crop of one view, antialiased"],
)
def test_two_processes_find_the_gradients_of_one(root, changes, views):
    found, whole = together(root, changes, views)
    rows = torch.cat(divided_by_place(whole.population.gaussians.means, 2))
    whole.generator = random_numbers(whole.config.seed, 1, 0)
    expected = gradients(whole, views)
    close(found["loss"], expected.loss)
    names = expected.of_gaussians.keys()
    assert names and names <= found.keys()
    for name in names:
        assert float(expected.of_gaussians[name].abs().max()) > 0
        close(found[name], expected.of_gaussians[name][rows])
    assert torch.equal(found["visible"], expected.visible[rows]) and int(found["visible"].sum()) > 0
    close(found["screen_gradient"], expected.screen_gradient[rows])
    assert found["of_parts"].keys() == expected.of_parts.keys()
    for part, of_part in expected.of_parts.items():
        for name, gradient in of_part.items():
            close(found["of_parts"][part][name], gradient)


@pytest.mark.parametrize("strategy", ["adc", "mcmc"])
def test_two_processes_train_alike_twice_and_change_their_number(root, strategy):
    (scene, counts), (again, _) = (trained_together(root, {"strategy": strategy}, 2) for _ in range(2))
    assert len(counts) == STEPS and len(set(counts)) > 1 and len(scene["means"]) == counts[-1]
    for name, tensor in scene.items():
        assert torch.equal(tensor, again[name]), name
