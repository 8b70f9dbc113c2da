"""The average of the last scenes."""

import torch

from sfumato.training.parts.average import Average
from sfumato.training.step import train_step
from support.capture_folders import colmap_folder
from support.crowd import NAMES, crowd
from support.tiny import OFTEN, tiny_config, tiny_start


def scenes(count):
    return [crowd([0.2, 0.7], [0.1, 0.3]).map(lambda t, k=k: t + k * k) for k in range(count)]


def test_it_is_the_mean_of_every_tenth():
    average, found = Average(), scenes(4)
    for k, scene in enumerate(found):
        average.add(scene, 10 * k)
        average.add(scene.map(lambda t: t + 100), 10 * k + 3)
    assert average.count == 4
    for name in NAMES:
        expected = sum(getattr(scene, name) for scene in found) / 4
        torch.testing.assert_close(getattr(average.gaussians, name), expected)


def test_it_can_be_restored_and_shares_no_memory():
    average, scene = Average(), scenes(1)[0]
    average.add(scene, 0)
    scene.means.add_(1)
    other = Average()
    other.load_state_dict(average.state_dict())
    other.add(scene, 10)
    assert (average.count, other.count) == (1, 2)
    torch.testing.assert_close(other.gaussians.means - average.gaussians.means, torch.full((2, 3), 0.5))
    average.forget()
    assert average.gaussians is None and average.count == 0


def test_a_run_averages_its_last_scenes(tmp_path):
    config = tiny_config(steps=40, schedule=OFTEN)
    _, state = tiny_start(colmap_folder(tmp_path), config)
    average, sizes = state.parts["average"], []
    for k in range(40):
        train_step(state, [0])
        sizes.append(len(state.population))
        assert (average.count > 0) == (k + 1 >= 40)
    assert len(set(sizes[34:])) == 1 and len(set(sizes)) > 1
    assert torch.equal(state.gaussians.means, average.gaussians.means)
