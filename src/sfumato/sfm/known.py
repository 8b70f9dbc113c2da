"""Known cameras of a posed dataset: its pictures as footage, and a model with the given poses."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from sfumato.capture.images import read_header
from sfumato.capture.readers import PosedDataset, PosedImage
from sfumato.capture.resample import DistortedCamera
from sfumato.capture.view_plans import stored_camera
from sfumato.errors import CaptureError
from sfumato.footage.frames_file import Footage, Picture
from sfumato.outputs import replacing, write_error
from sfumato.scene.lenses import LENS_COEFFICIENTS

if TYPE_CHECKING:
    import pycolmap

_SPACE = re.compile(r"\s+")
# Lenses that COLMAP has only as a special case of another one, and the number of zero coefficients to add.
_SPECIAL_CASES = {"fisheye": ("OPENCV_FISHEYE", 4)}
_ONE_FOCAL = ("SIMPLE_RADIAL", "RADIAL", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE")


@dataclass(frozen=True)
class KnownCameras:
    """Pictures whose cameras are given.

    Attributes:
        footage: the pictures, as if they had been gathered.
        poses: camera_from_world [4, 4] by name.
        cameras: the intrinsics of each value of ``Picture.camera``.
    """

    footage: Footage
    poses: dict[str, np.ndarray]
    cameras: dict[str, DistortedCamera]


def place_known(source: PosedDataset, folder: Path) -> KnownCameras:
    """Place the pictures of a posed dataset in one folder, upright; unchanged ones are linked.

    Args:
        source: the dataset.
        folder: the target; emptied first.

    Raises:
        CaptureError: a picture is missing or has another shape than its camera.
    """
    shutil.rmtree(folder, ignore_errors=True)
    groups: dict[Hashable, str] = {}
    pictures, poses, cameras = [], {}, {}
    for frame in sorted(source.frames, key=lambda frame: frame.name):
        turn, camera = stored_camera(frame, read_header(frame.path))
        if camera.lens.is_panorama:
            raise CaptureError(
                f"{frame.path} is a panorama, whose points cannot be found; give a dataset with points, or "
                "start from random ones with sfumato train"
            )
        group = groups.setdefault((frame.intrinsics.camera_id, camera), f"camera {len(groups) + 1}")
        name = colmap_name(frame, turn)
        if name in poses:
            raise CaptureError(f"two pictures would both be called {name!r}; rename {frame.path}")
        _place(frame.path, folder / name, turn)
        focal_px = float(np.mean(camera.focal_px))
        pictures.append(
            Picture(name, str(frame.path), group, camera.size_px, focal_px, None, None, 1.0, 0.5, None)
        )
        poses[name], cameras[group] = frame.camera_from_world, camera
    footage = Footage(folder, tuple(sorted(pictures, key=lambda picture: picture.name)), ())
    return KnownCameras(footage, poses, cameras)


def colmap_camera(camera: DistortedCamera, number: int = 0) -> pycolmap.Camera:
    """The same intrinsics in COLMAP's form."""
    import pycolmap

    lens = camera.lens
    model, missing = _SPECIAL_CASES.get(lens.model, (lens.model.upper(), 0))
    focal = list(camera.focal_px)
    if model in _ONE_FOCAL:
        if abs(focal[0] - focal[1]) > 1e-9 * focal[0]:
            # The richer model of the same family has a focal length for each axis.
            model, missing = {"SIMPLE_RADIAL": ("OPENCV", 3), "RADIAL": ("OPENCV", 2)}.get(
                model, ("OPENCV_FISHEYE", 4 - len(LENS_COEFFICIENTS[lens.model]))
            )
        else:
            focal = focal[:1]
    return pycolmap.Camera(
        model=model,
        width=camera.size_px[0],
        height=camera.size_px[1],
        params=[*focal, *camera.centre_px, *lens.coefficients, *[0.0] * missing],
        camera_id=number,
        has_prior_focal_length=True,
    )


def posed_model(database: Path, known: KnownCameras) -> pycolmap.Reconstruction:
    """A model with the given cameras and no points, with the ids of the database."""
    import pycolmap

    model = pycolmap.Reconstruction()
    with pycolmap.Database.open(database) as opened:
        group_of = {picture.name: picture.camera for picture in known.footage.pictures}
        for image in sorted(opened.read_all_images(), key=lambda image: image.image_id):
            if image.camera_id not in model.cameras:
                camera = colmap_camera(known.cameras[group_of[image.name]], image.camera_id)
                model.add_camera_with_trivial_rig(camera)
            copy = pycolmap.Image(
                name=image.name,
                keypoints=np.asarray(opened.read_keypoints(image.image_id))[:, :2],
                camera_id=image.camera_id,
                image_id=image.image_id,
            )
            pose = known.poses[image.name]
            model.add_image_with_trivial_frame(copy, pycolmap.Rigid3d(pose[:3]))
    return model


def back_to_given(model: pycolmap.Reconstruction, known: KnownCameras) -> None:
    """Move a refined model back into the frame and scale of the given cameras."""
    import pycolmap

    placed = [model.images[i] for i in sorted(model.reg_image_ids())]
    found = np.array([image.projection_center() for image in placed])
    given = np.array([-known.poses[i.name][:3, :3].T @ known.poses[i.name][:3, 3] for i in placed])
    given_from_found = pycolmap.estimate_sim3d(found, given)
    if given_from_found is None:
        raise CaptureError("the given cameras stand in one place or on a line; they cannot be refined")
    model.transform(given_from_found)


def colmap_name(frame: PosedImage, turn: bool) -> str:
    """A name that is valid in COLMAP's lists of pairs and in UTF-8 text; rotated pictures become PNG
    files."""
    name = "".join(c if c.isprintable() else "_" for c in _SPACE.sub("_", frame.name))
    return str(PurePosixPath(name).with_suffix(".png")) if turn else name


def _place(source: Path, target: Path, turn: bool) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if turn:
            with Image.open(source) as image, replacing(target) as unfinished:
                ImageOps.exif_transpose(image).save(unfinished)
            return
        for place in (os.link, os.symlink, shutil.copyfile):
            try:
                place(source.resolve(), target)
                return
            except OSError as error:
                reason = error
        raise reason
    except OSError as error:
        raise write_error(target, error) from error
