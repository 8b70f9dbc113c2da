"""Merging of overlapping models."""

import numpy as np
import pycolmap
import pytest

from sfumato.sfm import mapping
from sfumato.sfm.merging import merged
from support.found import pose_errors, poses_of

pytestmark = pytest.mark.slow


@pytest.fixture
def task(solved):
    return mapping.Task(solved.out / "work/database.db", solved.out / "work/frames/images", 12, 2.0, 0)


def part(task, folder, numbers):
    """A model of only the pictures with these numbers, in another frame and scale."""
    options = pycolmap.IncrementalPipelineOptions()
    options.num_threads = options.mapper.num_threads = 1
    options.random_seed = 0
    options.image_names = [f"{number:02d}.png" for number in numbers]
    options.min_model_size = 3
    found = pycolmap.incremental_mapping(task.database, task.images, folder, options)
    (model,) = found.values()
    assert model.num_reg_images() == len(numbers)
    return model


def joined(task, folder, *parts):
    models = []
    for number, numbers in enumerate(parts):
        path = folder / str(number)
        path.mkdir()
        models.append(part(task, path, numbers))
    turn = pycolmap.Rotation3d(np.array([0.3, 0.5, -0.2]))
    for number, model in enumerate(models[1:], 2):
        model.transform(pycolmap.Sim3d(1.7 * number, turn, np.array([4.0, -1.0, 2.0])))
    before = poses_of(models[0])
    model, *apart = merged(models, lambda m: mapping.retriangulated(m, task, folder))
    return model, len(apart), before


def test_two_overlapping_models_are_merged_in_the_frame_of_the_first(task, solved, tmp_path):
    model, apart, before = joined(task, tmp_path, range(8), range(4, 12))
    assert apart == 0 and model.num_reg_images() == 12
    after = poses_of(model)
    for name, pose in before.items():
        np.testing.assert_allclose(after[name], pose, atol=1e-9)
    degrees, shares = pose_errors(after, solved.shots.poses)
    assert degrees.max() < 1.0 and shares.max() < 0.01
    assert model.num_points3D() > 500


def test_a_chain_is_merged_in_any_order(task, solved, tmp_path):
    """The first and the second model overlap only with the third."""
    model, apart, _ = joined(task, tmp_path, range(6), range(7, 12), range(2, 11))
    assert apart == 0 and model.num_reg_images() == 12
    degrees, shares = pose_errors(poses_of(model), solved.shots.poses)
    assert degrees.max() < 1.0 and shares.max() < 0.01


def test_models_without_overlap_are_not_merged(task, tmp_path):
    model, apart, before = joined(task, tmp_path, range(6), range(6, 12))
    assert apart == 1 and sorted(poses_of(model)) == sorted(before)
