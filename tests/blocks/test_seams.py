"""Where pixels lie, joined cores, and the quality of seams."""

import math

import numpy as np
import pytest
import torch

import sfumato
from sfumato.blocks.block_plan import BlockPlan, PlannedBlock
from sfumato.blocks.ground_cells import GroundCell, GroundPlane
from sfumato.blocks.joining import in_cell, joined
from sfumato.blocks.seams import PixelErrors, seam_quality
from sfumato.blocks.seen_positions import PositionImages, seen_by, touched_by
from sfumato.capture.dataset import load_capture
from sfumato.render.settings import RasterSettings
from sfumato.training.config import TrainConfig
from support.crowd import crowd

INFINITE = math.inf
FLOOR = GroundPlane(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))


def wall(depth=4.0, side=61):
    """A nearly opaque wall across the cameras of the tiny dataset."""
    x, y = np.meshgrid(np.linspace(-3, 4, side), np.linspace(-3, 3, side))
    scene = crowd([0.99] * x.size, 0.08)
    means = np.stack([x.ravel(), y.ravel(), np.full(x.size, depth)], axis=1)
    scene.means.copy_(torch.from_numpy(means))
    return scene


def halves(line, margin=0.5):
    """Two blocks, cut at x = line."""
    west = GroundCell((-INFINITE, -INFINITE), (line, INFINITE), (margin, 0.0))
    east = GroundCell((line, -INFINITE), (INFINITE, INFINITE), (margin, 0.0))
    return BlockPlan(
        FLOOR, (PlannedBlock(west, ("b.png",), (1.0,), 0.5), PlannedBlock(east, ("c.png",), (1.0,), 0.5))
    )


@pytest.mark.slow
def test_pixels_show_where_they_lie(data):
    view = load_capture(data).views[0]
    positions, covered = PositionImages(wall(), RasterSettings())(view.camera)
    assert covered.all() and positions.shape == (24, 32, 3)
    torch.testing.assert_close(positions[..., 2], torch.full((24, 32), 4.0), atol=0.02, rtol=0)
    # By the pinhole's own formula, for the pixel in column 25 and row 6; a Gaussian is as wide.
    expected = torch.tensor([4 * (25.5 - 16.5) / 30, 4 * (6.5 - 12.5) / 31])
    torch.testing.assert_close(positions[6, 25, :2], expected, atol=0.16, rtol=0)


def test_what_nothing_covers_is_nowhere(data):
    views = load_capture(data).views
    far = wall()
    far.means[:, 0] += 100
    assert [len(points) for points in seen_by(views, far, RasterSettings())] == [0, 0, 0]
    assert not touched_by(views, far, RasterSettings()).any()
    assert len(seen_by(views, wall(), RasterSettings())[0]) == 24 * 32


def test_cores_are_joined_without_what_lies_beyond_them(tmp_path):
    plan, scene = halves(0.5), wall()
    paths = [tmp_path / "west.ply", tmp_path / "east.ply"]
    for path, block in zip(paths, plan.blocks, strict=True):
        part = scene.select(in_cell(scene, FLOOR, block.cell, overlap=True))
        assert len(part) > len(scene) / 2
        sfumato.save(part, path)
    whole = joined(plan, paths, antialiased=False)
    assert len(whole) == len(scene)
    rows = {tuple(row) for row in scene.means.tolist()}
    assert {tuple(row) for row in whole.means.tolist()} == rows


def test_errors_along_a_seam_are_told_apart(data):
    capture, plan, scene = load_capture(data), halves(0.0, margin=0.4), wall()
    wrong = scene.map(torch.clone)
    wrong.sh[(scene.means[:, 0].abs() < 0.4)] += 3.0
    right = seam_quality(scene, capture, TrainConfig(steps=1), plan)
    spoilt = seam_quality(wrong, capture, TrainConfig(steps=1), plan, shape=scene)
    assert 0.1 < right.to_plain()["share_of_pixels"] < 0.3
    assert spoilt.seams.pixels == right.seams.pixels
    assert spoilt.seams.squares > 1.2 * right.seams.squares
    assert spoilt.elsewhere.squares == pytest.approx(right.elsewhere.squares, rel=0.2)
    assert "along the seams" in spoilt.describe()


def test_the_psnr_is_that_of_all_pixels_together():
    errors = PixelErrors()
    assert errors.psnr is None
    errors.add(torch.tensor([0.01, 0.03]))
    errors.add(torch.tensor([0.02]))
    assert errors.pixels == 3 and errors.psnr == pytest.approx(-10 * math.log10(0.02))
