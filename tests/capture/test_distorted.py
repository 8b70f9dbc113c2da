"""Captures without undistortion."""

from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from sfumato.capture.dataset import load_capture
from sfumato.scene.lenses import PINHOLE, Lens
from sfumato.scene.pixel_directions import pixels_with_rays
from sfumato.scene.rays import camera_rays
from support.capture_folders import colmap_folder, picture, save, write_transforms
from support.real_data import real_data

RADIAL = (1, "SIMPLE_RADIAL", 32, 24, (30.0, 16.5, 12.5, -0.2))


def test_pictures_are_unchanged_and_the_camera_has_their_lens(tmp_path):
    view = load_capture(colmap_folder(tmp_path, camera=RADIAL), undistort=False).views[0]
    assert view.camera.lens == Lens("simple_radial", (-0.2,))
    assert view.camera.focal_px == (30.0, 30.0) and view.camera.centre_px == (16.5, 12.5)
    assert (view.load().rgb == picture(seed=0)).all() and view.load().mask is None
    flat = load_capture(tmp_path).views[0]
    assert flat.camera.lens == PINHOLE and (flat.load().rgb != picture(seed=0)).any()


def test_downscaling_averages_and_keeps_the_rays(tmp_path):
    root = colmap_folder(tmp_path, camera=RADIAL)
    whole, half = (load_capture(root, downscale=d, undistort=False).views[0] for d in (1, 2))
    wanted = picture(seed=0).reshape(12, 2, 16, 2, 3).mean(axis=(1, 3))
    assert np.abs(half.load().rgb - wanted).max() <= 0.51
    four = camera_rays(whole.camera).directions.reshape(12, 2, 16, 2, 3).mean(dim=(1, 3))
    torch.testing.assert_close(camera_rays(half.camera).directions, four, atol=2e-3, rtol=0)


def test_pinholes_are_the_same_either_way(tmp_path):
    root = colmap_folder(tmp_path)
    kept, flat = (load_capture(root, undistort=undistort).views[1] for undistort in (False, True))
    assert kept.camera.lens == PINHOLE and kept.camera.focal_px == flat.camera.focal_px
    assert (kept.load().rgb == flat.load().rgb).all()


def test_masks_are_kept_and_pixels_without_a_ray_are_masked(tmp_path):
    # This polynomial has its maximum at r = 1 / sqrt(-3 k) = 0.41, before the corners.
    root = colmap_folder(tmp_path, camera=(1, "SIMPLE_RADIAL", 32, 24, (30.0, 16.5, 12.5, -2.0)))
    mask = np.full((24, 32), 255, np.uint8)
    mask[10:14, 14:18] = 0
    save(root / "masks/a.png", mask)
    first, second, *_ = load_capture(root, undistort=False).views
    seen = pixels_with_rays(second.camera).numpy()
    assert 0 < seen.sum() < seen.size and not seen[0, 0] and seen[12, 16]
    np.testing.assert_array_equal(second.load().mask, seen)
    np.testing.assert_array_equal(first.load().mask, seen & (mask > 0))


def test_random_points_are_drawn_for_distorted_pictures_too(tmp_path):
    names = [f"{i}.png" for i in range(4)]
    lens = {"fl_x": 30.0, "cx": 16.0, "cy": 12.0, "k1": -0.2, "w": 32, "h": 24}
    write_transforms(tmp_path / "transforms.json", names, **lens)
    for i, name in enumerate(names):
        Image.fromarray(picture(seed=i)).save(tmp_path / name)
    kept, flat = (load_capture(tmp_path, undistort=undistort) for undistort in (False, True))
    assert kept.points_are_random and not kept.views[0].camera.lens.is_pinhole
    np.testing.assert_array_equal(kept.points.xyz, flat.points.xyz)


def test_distorted_and_undistorted_pictures_of_a_real_camera_agree():
    """A direction has the same colour in the distorted and in the undistorted picture."""
    root = real_data("south_building")
    kept, flat = (
        load_capture(root, downscale=2, undistort=undistort).views[0] for undistort in (False, True)
    )
    intrinsics = (flat.camera.focal_px, flat.camera.centre_px)
    pose = flat.camera.camera_from_world[:3, :3].numpy()

    def difference(camera):
        in_camera = camera_rays(camera).directions.numpy() @ pose.T
        pixels = in_camera[..., :2] / in_camera[..., 2:] * intrinsics[0] + intrinsics[1]
        columns, rows = np.floor(pixels).astype(int).reshape(-1, 2).T
        inside = (columns >= 0) & (columns < camera.width) & (rows >= 0) & (rows < camera.height)
        assert inside.mean() > 0.95
        ours = kept.load().rgb.reshape(-1, 3)[inside].astype(float)
        return np.abs(ours - flat.load().rgb[rows[inside], columns[inside]]).mean()

    assert difference(kept.camera) < 0.5 * difference(replace(kept.camera, lens=PINHOLE))
