"""Quality on held-out cameras."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from sfumato.capture.cache import ByteCache
from sfumato.capture.dataset import View
from sfumato.capture.multiview import RigCamera
from sfumato.capture.pixels import Pixels
from sfumato.tracking.held_out_cameras import HeldOutCameras
from sfumato.tracking.track_state import default_settings
from support.moving_scenes import cameras, first_scene, photograph, scene_at

pytestmark = pytest.mark.kernels


def rig(pixels):
    camera = cameras()[0]
    views = [
        picture and View(f"{step}", camera, 0, lambda picture=picture: picture, ByteCache(0))
        for step, picture in enumerate(pixels)
    ]
    return RigCamera("a", camera, tuple(views), True)


def held_out(pixels):
    first, camera = first_scene(), rig(pixels)
    return HeldOutCameras((camera,), first, default_settings(first, (camera,)))


def pictures(steps=3):
    return [Pixels(photograph(cameras()[0], step)) for step in range(steps)]


def test_the_true_scene_scores_high_and_a_static_one_low():
    found = held_out(pictures())
    right, still = found.score(scene_at(2), 2), found.score(first_scene(), 2)
    assert right.psnr > 45 and right.psnr_changed > 40
    assert still.psnr_changed < right.psnr_changed - 15


def test_masked_pixels_are_ignored():
    spoilt = pictures()
    mask = np.ones(spoilt[2].rgb.shape[:2], bool)
    mask[:20] = False
    rgb = spoilt[2].rgb.copy()
    rgb[:20] = 255
    without = held_out([*spoilt[:2], Pixels(rgb)]).score(scene_at(2), 2)
    spoilt[2] = Pixels(rgb, mask=mask)
    assert held_out(spoilt).score(scene_at(2), 2).psnr > without.psnr + 20


def test_cameras_without_a_photograph_are_skipped():
    found = held_out([*pictures(2), None])
    assert math.isnan(found.score(scene_at(2), 2).psnr)
    assert found.pictures(scene_at(2), 2) == [None]


def test_colours_of_a_camera_are_fitted_at_the_first_step():
    tinted = [dataclasses.replace(p, rgb=(0.5 * p.rgb + 40).astype(np.uint8)) for p in pictures()]
    score = held_out(tinted).score(scene_at(2), 2)
    assert score.psnr_affine > score.psnr + 10
    assert isinstance(score.psnr_affine, float) and torch.isfinite(torch.tensor(score.psnr_affine))
