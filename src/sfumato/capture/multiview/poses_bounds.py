"""``poses_bounds.npy`` of LLFF, as used by Neural 3D Video for the cameras of a rig.

Source: Mildenhall et al., Local Light Field Fusion, SIGGRAPH 2019, and its published code; Li et al., Neural
3D Video Synthesis, CVPR 2022, which holds out the first camera.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sfumato.capture.multiview.calibration import CalibratedCamera, RigCalibration
from sfumato.capture.multiview.number_arrays import read_numbers
from sfumato.capture.readers.pose_forms import from_opencv
from sfumato.errors import CaptureError
from sfumato.scene.lenses import PINHOLE

NAME = "poses_bounds.npy"
_COLUMNS = 17
_MOST_CAMERAS = 1000


def find_bounds(root: Path) -> Path | None:
    """The file in a folder, or None."""
    return root / NAME if (root / NAME).is_file() else None


def read_bounds(root: Path, path: Path) -> RigCalibration:
    """Read poses and focal lengths of cameras whose principal point is the centre of the picture.

    A row holds a matrix [3, 5] and the nearest and farthest depth, which are not used. The columns of the
    matrix are the camera's axes down, right and backward and its position, all in the world frame, and
    (height, width, focal length).

    Args:
        root: dataset folder.
        path: the file.

    Raises:
        CaptureError: it has another shape, or a camera's values are impossible.
    """
    rows = read_numbers(
        path, lambda shape: len(shape) == 2 and shape[1] == _COLUMNS and shape[0] <= _MOST_CAMERAS
    )
    cameras = []
    for index, row in enumerate(rows[:, :15].reshape(-1, 3, 5)):
        where = f"{path}: camera {index}"
        world_from_camera = np.eye(4)
        down, right, backward, centre, (height, width, focal) = row.T
        world_from_camera[:3] = np.stack([right, down, -backward, centre], axis=1)
        if not (1 <= width < 1e6 and 1 <= height < 1e6):
            raise CaptureError(f"{where}: the picture size {width:g}x{height:g} is not possible")
        size_px = (round(float(width)), round(float(height)))
        cameras.append(
            CalibratedCamera(
                (), from_opencv(world_from_camera, where), (float(focal), float(focal)),
                (0.5 * size_px[0], 0.5 * size_px[1]), size_px, PINHOLE,
            )
        )  # fmt: skip
    return RigCalibration(path, tuple(cameras), is_in_order=True, first_is_held_out=True)
