"""The hierarchy of hulls: every Gaussian once, boxes that contain their content, refitting, order."""

import numpy as np
import pytest
import torch

from sfumato.ops.constants import ALPHA_MIN
from sfumato.ops.cpu.free_trace import tree as bvh
from sfumato.ops.cpu.free_trace.order import middle_of
from sfumato.ops.reference import covariance
from support.ray_scenes import PARTS, SCENES, generator

pytestmark = pytest.mark.kernels


def arrays_of(scene):
    return [scene[name].numpy().copy() for name in PARTS]


def several(n=1000, seed=0):
    """Gaussians of all kinds, in many leaves and more than two levels."""
    random = generator(seed)
    scenes = [make(random) for make in SCENES.values()]
    pool = [np.concatenate([scene[name].numpy() for scene in scenes]) for name in PARTS]
    rows = np.random.default_rng(seed).integers(0, len(pool[0]), n)
    means, quats, scales, opacities = (values[rows] for values in pool)
    spread = np.random.default_rng(seed + 1).normal(size=means.shape) * 3
    return [(means + spread).astype(np.float32), quats, scales, opacities]


def node_boxes(tree):
    """[nodes, 16, 2, 3] lowest and highest corner of each child."""
    return tree.boxes.reshape(-1, 2, 3, 16).transpose(0, 3, 1, 2)


def hulls(means, quats, scales, opacities):
    """[n, 2, 3] boxes of the hulls, in float64."""
    packed = covariance(*(torch.from_numpy(t).double() for t in (quats, scales))).numpy()
    half = np.sqrt(packed[:, [0, 3, 5]] * 2 * np.log(opacities.astype(np.float64) / ALPHA_MIN)[:, None])
    return np.stack([means - half, means + half], 1)


def leaf_boxes(tree):
    """Boxes of every leaf, intersected with those of all its ancestors."""
    boxes, leaves = node_boxes(tree), len(tree.order) // 16
    found = np.full((leaves, 2, 3), np.nan)
    waiting = [(len(tree.below) - 1, np.array([[-np.inf] * 3, [np.inf] * 3]))]
    while waiting:
        node, around = waiting.pop()
        for child in range(16):
            box = boxes[node, child]
            if (box[0] > box[1]).any():
                continue
            box = np.stack([np.maximum(box[0], around[0]), np.minimum(box[1], around[1])])
            below = int(tree.below[node])
            if below >= 0:
                found[below + child] = box
            else:
                waiting.append((-1 - (below - child), box))
    return found


@pytest.mark.parametrize("n", [1, 15, 16, 17, 256, 257, 1000, 4097, 5000])
def test_every_hull_is_contained_in_the_boxes_of_its_slot(n):
    scene = several(n)
    tree = bvh.build(*scene)
    slots = tree.order
    assert sorted(slots[slots >= 0]) == list(range(n))
    boxes = leaf_boxes(tree)[np.arange(len(slots)) // 16][slots >= 0]
    wanted = hulls(*scene)[slots[slots >= 0]]
    seen = scene[3][slots[slots >= 0]] > ALPHA_MIN
    assert (boxes[seen, 0] <= wanted[seen, 0]).all()
    assert (boxes[seen, 1] >= wanted[seen, 1]).all()


def test_boxes_are_tight():
    scene = several(1)
    box, wanted = node_boxes(bvh.build(*scene))[0, 0], hulls(*scene)[0]
    assert np.abs(box - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_neighbours_share_leaves():
    """The leaves of a cube of small Gaussians are not much larger than an equal division of the cube."""
    random = np.random.default_rng(0)
    n = 16**3 * 2
    scene = several(n)
    scene[0] = random.random((n, 3), np.float32)
    scene[2] = np.full((n, 3), 1e-4, np.float32)
    scene[3][:] = 0.9
    sides = np.diff(leaf_boxes(bvh.build(*scene)), axis=1)[:, 0]
    assert sides.prod(1).mean() < 1.5 * 16 / n


def test_huge_gaussians_are_separated_from_small_ones():
    n = 4096
    scene = several(n)
    scene[0] = np.random.default_rng(0).random((n, 3), np.float32)
    scene[2] = np.full((n, 3), 1e-3, np.float32)
    scene[2][::16] = 1.0
    scene[3][:] = 0.9
    sides = np.diff(leaf_boxes(bvh.build(*scene)), axis=1)[:, 0]
    # One in sixteen: spread randomly, they would enlarge two thirds of the leaves.
    assert (sides.max(1) > 1.0).mean() < 0.25


def test_refitting_equals_building_with_the_old_order():
    before, after = several(seed=0), several(seed=5)
    tree = bvh.build(*before)
    order = tree.order.copy()
    bvh.refit(tree, *after)
    assert (tree.order == order).all()
    boxes = leaf_boxes(tree)[np.arange(len(order)) // 16][order >= 0]
    wanted = hulls(*after)[order[order >= 0]]
    assert (boxes[:, 0] <= wanted[:, 0]).all()
    assert (boxes[:, 1] >= wanted[:, 1]).all()
    again = bvh.build(*before)
    bvh.refit(tree, *before)
    assert all(np.array_equal(a, b) for a, b in zip(tree, again, strict=True))


BROKEN = [
    *((part, value) for part in range(4) for value in (np.nan, np.inf)),
    *((part, 0.0) for part in (1, 2, 3)),
    (2, -1.0),
    (3, ALPHA_MIN / 2),
]


@pytest.mark.parametrize(("part", "value"), BROKEN)
def test_invisible_gaussians_do_not_enlarge_boxes_and_can_reappear(part, value):
    whole = several(300)
    spoilt = [values.copy() for values in whole]
    spoilt[part][::3] = value
    tree = bvh.build(*spoilt)
    assert sorted(tree.order[tree.order >= 0]) == list(range(300))
    keep = np.arange(300) % 3 > 0
    boxes, wanted = node_boxes(tree)[-1], hulls(*(values[keep] for values in whole))
    assert boxes[:, 0].min(0) == pytest.approx(wanted[:, 0].min(0), rel=1e-5)
    assert boxes[:, 1].max(0) == pytest.approx(wanted[:, 1].max(0), rel=1e-5)
    bvh.refit(tree, *whole)
    boxes, wanted = leaf_boxes(tree)[np.arange(304) // 16][:300], hulls(*whole)[tree.order[:300]]
    assert (boxes[:, 0] <= wanted[:, 0]).all()
    assert (boxes[:, 1] >= wanted[:, 1]).all()


@pytest.mark.parametrize("count", [17, 32, 33, 255, 257, 4096, 4097, 70000])
def test_ranges_are_halved_at_whole_subtrees(count):
    middle = middle_of.py_func(0, count)
    assert 0 < middle < count
    capacity = 16
    while capacity * 16 < count:
        capacity *= 16
    assert middle % capacity == 0
    assert abs(middle - count / 2) <= capacity
