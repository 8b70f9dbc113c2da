"""The offset of scenes in map coordinates: edits rotate it, and joined scenes keep their true positions."""

import pytest
import torch

from sfumato.scene import changes
from sfumato.scene.scene import Metadata, with_metadata
from support.scene_files import blob


def test_an_offset_turns_with_the_scene():
    scene = with_metadata(blob(6, 1), Metadata(offset=(1000.0, 2000.0, 5.0)))
    # A rotation by 90 degrees about z, a scale of 2, and a translation that is applied to the positions.
    change = torch.tensor([[0.0, -2, 0, 3], [2, 0, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]], dtype=torch.float64)
    changed = changes.transformed(scene, change)
    assert changed.metadata.offset == pytest.approx((-4000.0, 2000.0, 10.0))
    whole = scene.means.double() + torch.tensor([1000.0, 2000.0, 5.0], dtype=torch.float64)
    moved = changed.means.double() + torch.tensor(changed.metadata.offset, dtype=torch.float64)
    assert torch.allclose(moved, whole @ change[:3, :3].T + change[:3, 3], atol=1e-5)


def test_scenes_of_different_offsets_are_joined_at_their_true_positions():
    one = with_metadata(blob(3, 0), Metadata(offset=(1e6, 0.0, 0.0)))
    other = with_metadata(blob(4, 1), Metadata(offset=(1e6 + 10, -5.0, 0.0)))
    unknown = blob(2, 2)
    both = changes.merged(one, other, unknown)
    assert both.metadata.offset == (1e6, 0.0, 0.0)
    assert torch.equal(both.means[:3], one.means) and torch.equal(both.means[7:], unknown.means)
    assert torch.allclose(both.means[3:7], other.means + torch.tensor([10.0, -5.0, 0.0]))
