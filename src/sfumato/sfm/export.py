"""Export of undistorted pictures and a COLMAP model of pinhole cameras."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from sfumato import machine
from sfumato.capture.images import decode
from sfumato.capture.readers.colmap_models import split_params
from sfumato.capture.resample import DistortedCamera, Resampler, pinhole_scale
from sfumato.errors import CaptureError
from sfumato.outputs import replacing, write_error
from sfumato.sfm.model_files import write_model
from sfumato.sfm.progress import Progress
from sfumato.sfm.upright import Similarity

if TYPE_CHECKING:
    import pycolmap

# Sides are cut to a multiple of this, so that halves, quarters and eighths are whole pixels.
_SIDE_MULTIPLE = 8
_JPEG = {"quality": 95, "subsampling": "4:4:4"}


@dataclass(frozen=True)
class Undistortion:
    """Undistortion of the pictures of one camera.

    Attributes:
        source: the estimated camera.
        resampler: to the pinhole camera, whose focal lengths, centre and size are written.
    """

    source: DistortedCamera
    resampler: Resampler

    @staticmethod
    def of(camera: pycolmap.Camera) -> Undistortion:
        """Undistortion and crop without empty pixels."""
        name = f"camera {camera.camera_id}"
        focal_px, centre_px, lens = split_params(camera.model_name, tuple(camera.params), name)
        size_px = (camera.width, camera.height)
        source = DistortedCamera(focal_px, centre_px, size_px, lens)
        # A pinhole camera is kept, however wide: its pictures may be copied unchanged.
        scale = 1.0 if lens.is_pinhole else pinhole_scale(source)
        width, height = (max(side // _SIDE_MULTIPLE * _SIDE_MULTIPLE, 1) for side in size_px)
        kept = (width, height)
        cut = [(side - keep) // 2 for side, keep in zip(size_px, kept, strict=True)]
        resampler = Resampler(
            source,
            (focal_px[0] * scale, focal_px[1] * scale),
            (centre_px[0] - cut[0], centre_px[1] - cut[1]),
            kept,
        )
        return Undistortion(source, resampler)


def write_dataset(
    model: pycolmap.Reconstruction, similarity: Similarity, images: Path, out: Path, report: Progress
) -> None:
    """Write ``images/`` and ``sparse/0/`` of a dataset folder.

    Args:
        model: cameras and points; changed in place to what is written.
        similarity: from the model's world to the one that is written.
        images: folder of the model's pictures.
        out: dataset folder; pictures and models of an earlier one are removed.
        report: called with the number of pictures that are done.
    """
    import pycolmap

    undistortions = {number: Undistortion.of(camera) for number, camera in model.cameras.items()}
    placed = [model.images[i] for i in sorted(model.reg_image_ids(), key=lambda i: model.images[i].name)]
    folder = _emptied(out / "images")
    tasks = [(images / im.name, folder / im.name, undistortions[im.camera_id].resampler) for im in placed]
    _write_pictures(tasks, report)
    _flatten(model, undistortions)
    model.transform(
        pycolmap.Sim3d(similarity.scale, pycolmap.Rotation3d(similarity.rotation), similarity.translation)
    )
    sparse = _emptied(out / "sparse") / "0"
    unfinished = out / "sparse" / ".0.part"
    unfinished.mkdir()
    write_model(model, unfinished)
    unfinished.rename(sparse)


def _write_pictures(tasks: list[tuple[Path, Path, Resampler]], report: Progress) -> None:
    done = 0
    report(0, len(tasks))
    with ThreadPoolExecutor(machine.cores()) as pool:
        try:
            for _ in pool.map(_undistorted, *zip(*tasks, strict=True)):
                done += 1
                report(done, len(tasks))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _undistorted(source: Path, target: Path, resampler: Resampler) -> None:
    """Write one picture; an unchanged one is linked or copied."""
    camera = resampler.source
    target.parent.mkdir(parents=True, exist_ok=True)
    if camera.lens.is_pinhole and camera.size_px == resampler.size_px:
        _placed(source, target)
        return
    picture = decode(source, turn=False)
    if picture.shape[1::-1] != camera.size_px:
        raise CaptureError(f"{source} changed while it was in use; run the command again")
    image = Image.fromarray(resampler(picture))
    with replacing(target) as unfinished:
        if target.suffix.lower() in (".jpg", ".jpeg"):
            image.convert("RGB").save(unfinished, "JPEG", **_JPEG)
        else:
            image.save(unfinished)


def _placed(source: Path, target: Path) -> None:
    real = Path(os.path.realpath(source))
    for place in (os.link, shutil.copyfile):
        try:
            place(real, target)
            return
        except OSError as error:
            reason = error
    raise write_error(target, reason)


def _flatten(model: pycolmap.Reconstruction, undistortions: dict[int, Undistortion]) -> None:
    """Replace the model's cameras by pinholes and move its features to the undistorted pictures."""
    import pycolmap

    for image in model.images.values():
        camera, to = model.cameras[image.camera_id], undistortions[image.camera_id].resampler
        xy = np.array([point.xy for point in image.points2D], float).reshape(-1, 2)
        if len(xy):
            moved = np.asarray(camera.cam_from_img(xy)) * to.focal_px + to.centre_px
            for point, place in zip(image.points2D, moved, strict=True):
                point.xy = place
    for number, undistortion in undistortions.items():
        camera, to = model.cameras[number], undistortion.resampler
        camera.model = pycolmap.CameraModelId.PINHOLE
        camera.width, camera.height = to.size_px
        camera.params = [*to.focal_px, *to.centre_px]
    model.update_point_3d_errors()


def _emptied(folder: Path) -> Path:
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
    except OSError as error:
        raise write_error(folder, error) from error
    return folder
