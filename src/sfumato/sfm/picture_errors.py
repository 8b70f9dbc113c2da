"""The reprojection error of each picture."""

from __future__ import annotations

import numpy as np
import pycolmap


def reprojection_errors(model: pycolmap.Reconstruction) -> dict[str, float]:
    """Mean distance between the points that a picture sees and their projections, pixels, by name, sorted.

    Args:
        model: the reconstruction; pictures that see no point are left out.
    """
    found = {}
    for number in model.reg_image_ids():
        image = model.images[number]
        seen = [one for one in image.points2D if one.has_point3D()]
        if not seen:
            continue
        pose = image.cam_from_world()
        points = np.array([model.points3D[one.point3D_id].xyz for one in seen])
        camera_points = points @ pose.rotation.matrix().T + pose.translation
        projected = model.cameras[image.camera_id].img_from_cam(camera_points)
        away = np.linalg.norm(np.asarray(projected) - np.array([one.xy for one in seen]), axis=1)
        found[image.name] = round(float(away.mean()), 4)
    return dict(sorted(found.items()))
