"""Merging of models that share pictures or points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pycolmap

# Least number of shared pictures: enough to overdetermine a similarity.
_SHARED_PICTURES = 3
# Fraction of the shared observations that must fit, and their largest reprojection error.
_FITTING_SHARE, _FITTING_PX = 0.3, 8.0


def merged(
    models: Sequence[pycolmap.Reconstruction],
    retriangulate: Callable[[pycolmap.Reconstruction], pycolmap.Reconstruction],
) -> list[pycolmap.Reconstruction]:
    """Merge into the first model every other one that overlaps it.

    Args:
        models: of the same database, the largest first; at least one.
        retriangulate: triangulates the points of a model again.

    Returns:
        The joined model first, then those that could not be joined.
    """
    whole, rest = models[0], list(models[1:])
    joined = True
    while joined and rest:
        joined = False
        for model in rest:
            if _join(whole, model):
                rest.remove(model)
                whole, joined = retriangulate(whole), True
                break
    return [whole, *rest]


def _join(whole: pycolmap.Reconstruction, part: pycolmap.Reconstruction) -> bool:
    """Add the cameras that only ``part`` has to ``whole``; False if the two do not align."""
    import pycolmap

    shared = set(whole.reg_image_ids()) & set(part.reg_image_ids())
    if len(shared) < _SHARED_PICTURES:
        return False
    whole_from_part = pycolmap.align_reconstructions_via_reprojections(
        part, whole, _FITTING_SHARE, _FITTING_PX
    )
    if whole_from_part is None:
        return False
    part.transform(whole_from_part)
    for image_id in sorted(set(part.reg_image_ids()) - shared):
        _add_picture(whole, part, image_id)
    return True


def _add_picture(whole: pycolmap.Reconstruction, part: pycolmap.Reconstruction, image_id: int) -> None:
    """Add one picture of ``part`` to ``whole``, which lacks pictures that are not registered in it."""
    import pycolmap

    theirs = part.image(image_id)
    if whole.exists_image(image_id):
        ours = whole.image(image_id)
        assert ours.frame is not None and theirs.frame is not None
        ours.frame.rig_from_world = theirs.frame.rig_from_world
        whole.register_frame(ours.frame_id)
        return
    if not whole.exists_camera(theirs.camera_id):
        whole.add_camera_with_trivial_rig(part.camera(theirs.camera_id))
    copy = pycolmap.Image(
        name=theirs.name,
        keypoints=np.array([point.xy for point in theirs.points2D]).reshape(-1, 2),
        camera_id=theirs.camera_id,
        image_id=image_id,
    )
    whole.add_image_with_trivial_frame(copy, theirs.cam_from_world())
