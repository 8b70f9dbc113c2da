"""Writing of models, checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.sfm.stage_files import no_space

if TYPE_CHECKING:
    import pycolmap


def write_model(model: pycolmap.Reconstruction, folder: Path) -> None:
    """Write a model and check that it is complete, which COLMAP does not.

    Raises:
        SfumatoError: the disk is full.
    """
    model.write_binary(folder)
    names = [model.images[number].name for number in model.reg_image_ids()]
    features = sum(model.images[number].num_points2D() for number in model.reg_image_ids())
    observations = sum(point.track.length() for point in model.points3D.values())
    # Sizes from COLMAP's documentation of the format.
    least_bytes = {
        "cameras.bin": 8 + sum(24 + 8 * len(camera.params) for camera in model.cameras.values()),
        "images.bin": 8 + 73 * len(names) + sum(len(name.encode()) for name in names) + 24 * features,
        "points3D.bin": 8 + 51 * model.num_points3D() + 8 * observations,
    }
    if any((folder / name).stat().st_size < least for name, least in least_bytes.items()):
        raise no_space(folder)
