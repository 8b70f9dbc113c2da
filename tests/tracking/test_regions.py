"""Image regions with motion, and the Gaussians that touch them."""

import numpy as np
import pytest
import torch

from sfumato.render.rasterize import rasterize
from sfumato.render.visibility import Footprints, footprints
from sfumato.scene.cameras import Camera
from sfumato.tracking.regions import TILE_PX, Region, bounding_box, footprint_mask, moving_regions
from support.moving_scenes import SETTINGS, cameras, first_scene

pytestmark = pytest.mark.kernels

SIZE_PX = (200, 120)


def moving(*boxes):
    mask = np.zeros(SIZE_PX[::-1], bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def covered(regions):
    mask = np.zeros(SIZE_PX[::-1], bool)
    for region in regions:
        mask[region.slices] = True
    return mask


def test_without_motion_there_are_no_regions():
    assert moving_regions(moving()) == ()


def test_regions_cover_motion_with_a_margin_of_a_tile():
    mask = moving((70, 50, 75, 55), (190, 110, 200, 120))
    regions = moving_regions(mask)
    assert len(regions) == 2
    assert set(regions) == {Region(48, 32, 48, 48), Region(160, 80, 40, 40)}
    assert (covered(regions) | ~mask).all()


def test_adjacent_boxes_are_merged_and_distant_ones_are_not():
    assert len(moving_regions(moving((20, 20, 30, 60), (60, 20, 70, 60)))) == 1
    assert len(moving_regions(moving((0, 0, 8, 8), (190, 110, 198, 118)))) == 2


def test_tiles_of_footprints_are_those_of_their_inner_halves():
    found = Footprints(
        torch.tensor([[40.0, 40.0], [90.0, 70.0]]), torch.tensor([[40, 8], [0, 0]], dtype=torch.int32)
    )
    mask = footprint_mask(found, SIZE_PX)
    expected = moving((TILE_PX, 2 * TILE_PX, 4 * TILE_PX, 3 * TILE_PX))
    assert np.array_equal(mask, expected)


def test_gaussians_that_do_not_touch_a_region_do_not_change_it():
    """Rendering a region with only the Gaussians that touch it gives identical results."""
    scene, camera, region = first_scene(), cameras()[0], Region(16, 0, 32, 16)
    touched = region.touched(footprints(scene, camera, SETTINGS))
    assert 0 < touched.sum() < len(scene)
    few, all_of_them = (
        rasterize(gaussians, region.of(camera), SETTINGS).image
        for gaussians in (scene.select(touched), scene)
    )
    assert torch.equal(few, all_of_them)


def test_a_region_renders_its_part_of_the_picture():
    """Small Gaussians, for which the clamping of the affine approximation has no effect."""
    ball, camera, region = (
        first_scene().select(torch.arange(440) >= 400),
        cameras()[0],
        Region(16, 16, 32, 16),
    )
    part = rasterize(ball, region.of(camera), SETTINGS).image
    torch.testing.assert_close(
        part, rasterize(ball, camera, SETTINGS).image[region.slices], atol=5e-5, rtol=0
    )


def test_a_cropped_camera_sees_the_part_of_the_picture():
    camera = Camera(torch.eye(4), (50.0, 60.0), (20.0, 15.0), (40, 30))
    part = Region(8, 4, 16, 10).of(camera)
    assert part.centre_px == (12.0, 11.0) and part.size_px == (16, 10) and part.focal_px == (50.0, 60.0)


def test_the_box_around_regions_stays_in_the_image():
    regions = (Region(16, 32, 48, 16), Region(96, 48, 16, 32))
    assert bounding_box(regions, 8, SIZE_PX) == Region(8, 24, 112, 64)
    assert bounding_box(regions, 1000, SIZE_PX) == Region(0, 0, *SIZE_PX)
