"""Cameras from structure from motion as a calibration of the original pictures."""

import numpy as np
import pytest

from sfumato.scene.lenses import distort
from sfumato.sequences.calibrate import calibration_of
from support.found import pose_errors


@pytest.mark.slow
def test_lenses_and_poses_are_those_of_the_original_pictures(bent):
    calibration = calibration_of(bent.out)
    found = {f"{camera.names[0]}": camera.camera_from_world for camera in calibration.cameras}
    true = {name.rpartition(".")[0]: pose for name, pose in bent.shots.poses.items()}
    degrees, shares = pose_errors(found, true)
    assert sorted(found) == sorted(true) and degrees.max() < 0.5 and shares.max() < 0.01
    camera, lens = calibration.cameras[0], bent.shots.lens
    assert camera.size_px == (lens.width, lens.height) and len(calibration.points) > 300
    corner = np.array([[0.4, 0.3], [-0.4, 0.3], [0.0, -0.35]])
    seen = distort(camera.lens, corner) * camera.focal_px + camera.centre_px
    np.testing.assert_allclose(seen, lens.project(corner), atol=1.5)
