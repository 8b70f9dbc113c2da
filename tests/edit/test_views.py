import numpy as np
import pytest
import torch

from sfumato.edit.mask_files import read_masked_views
from sfumato.edit.masked_views import MaskedView, in_masks
from sfumato.errors import CaptureError, ConfigError, ShapeError
from sfumato.paths.look import looking_at, pinhole
from sfumato.scene.lenses import Lens
from support.capture_folders import colmap_folder, save
from support.editable import scene_of

# In front, behind it as seen from the first view, beside, and behind the first camera.
PLACES = [[0, 0, 0], [0, 0, 2.0], [1.0, 0, 0], [0, 0, -20.0]]


def view(position, *, marked=True):
    """A view towards (0, 0, 0) with a mask of its centre."""
    mask = torch.zeros(30, 40, dtype=torch.bool)
    mask[13:17, 18:22] = marked
    return MaskedView(pinhole(looking_at(position, (0, 0, 0)), (40, 30), 40.0), mask)


def test_masks_of_two_views_determine_the_selection():
    scene = scene_of(PLACES)
    front, side = view((0, 0, -5)), view((-5.0, 0, 0))
    assert in_masks(scene, [front]).tolist() == [True, True, False, False]
    assert in_masks(scene, [front, side]).tolist() == [True, False, False, False]
    assert in_masks(scene, [front, side], share=0.5).tolist() == [True, True, True, False]


def test_the_pixel_of_a_centre_decides():
    scene = scene_of([[0.0, 0, 0]])
    seen = view((0, 0, -5))
    mask = torch.zeros(30, 40, dtype=torch.bool)
    mask[15, 20] = True
    assert in_masks(scene, [MaskedView(seen.camera, mask)]).tolist() == [True]
    assert in_masks(scene, [MaskedView(seen.camera, ~mask)]).tolist() == [False]


def test_invalid_masks_are_refused():
    scene, seen = scene_of(PLACES), view((0, 0, -5))
    with pytest.raises(ConfigError, match="at least one"):
        in_masks(scene, [])
    with pytest.raises(ConfigError, match="share"):
        in_masks(scene, [seen], share=0.0)
    with pytest.raises(ShapeError, match="mask"):
        in_masks(scene, [MaskedView(seen.camera, seen.mask.T)])
    lens = Lens("radial", (0.1, 0.0))
    bent = type(seen.camera)(seen.camera.camera_from_world, (9.0, 9.0), (20, 15), (40, 30), lens)
    with pytest.raises(ConfigError, match="undistort"):
        in_masks(scene, [MaskedView(bent, seen.mask)])


def test_masks_in_a_folder_are_those_of_the_photographs_with_their_names(tmp_path):
    data = colmap_folder(tmp_path / "data")
    with pytest.raises(CaptureError, match="no mask"):
        read_masked_views(data, tmp_path / "masks")
    left = np.zeros((24, 32), np.uint8)
    left[:, :10] = 255
    save(tmp_path / "masks/a.png", left)
    save(tmp_path / "masks/c.png.png", np.full((24, 32), 255, np.uint8))
    views = read_masked_views(data, tmp_path / "masks")
    assert len(views) == 2
    assert torch.equal(views[0].mask, torch.from_numpy(left > 0)) and bool(views[1].mask.all())
    assert views[0].camera.size_px == (32, 24)
