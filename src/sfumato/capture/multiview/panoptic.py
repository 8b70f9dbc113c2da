"""PanopticSports, the layout of Dynamic 3D Gaussians: ``ims``, ``seg`` and two files of cameras.

Source: Luiten et al., Dynamic 3D Gaussians, 3DV 2024, and the data published with it.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path

import numpy as np

from sfumato.capture.multiview.number_arrays import read_numbers
from sfumato.capture.multiview.rig_source import FRAMES_PER_SECOND, RigSource, SourceCamera
from sfumato.capture.points import PointCloud, finite_points
from sfumato.capture.readers.image_files import PictureFolder
from sfumato.capture.readers.json_values import numbers, pixels, read_object
from sfumato.capture.readers.source import Intrinsics, PosedImage, check_intrinsics, rigid
from sfumato.errors import CaptureError
from sfumato.scene.lenses import PINHOLE

_log = logging.getLogger("sfumato")

_PARTS = ("train_meta.json", "test_meta.json")
_MAX_POINTS = 50_000_000


def find_panoptic(root: Path) -> Path | None:
    """The file of training cameras, or None if the folder has another layout."""
    path = root / _PARTS[0]
    return path if path.is_file() and (root / "ims").is_dir() else None


def read_panoptic(root: Path, fps: float | None) -> RigSource:
    """Read cameras, frames and masks; those of ``test_meta.json`` are held out.

    Args:
        root: holds ``train_meta.json``, ``ims/CAMERA/FRAME.jpg`` and, perhaps, ``test_meta.json``,
            ``seg/CAMERA/FRAME.png`` and ``init_pt_cld.npz``.
        fps: frames per second; None: 30.

    Raises:
        CaptureError: a file is missing, broken or contradicts another.
    """
    reader = _PanopticReader(root, 1.0 / (FRAMES_PER_SECOND if fps is None else fps))
    train = reader.read(root / _PARTS[0])
    test = reader.read(root / _PARTS[1]) if (root / _PARTS[1]).is_file() else {}
    if set(train) & set(test):
        raise CaptureError(f"{root}: camera {min(set(train) & set(test))} is in both {' and '.join(_PARTS)}")
    cameras = tuple(reader.camera(name, found) for name, found in (train | test).items())
    reader.warn_of_missing()
    return RigSource(cameras, read_cloud(root / "init_pt_cld.npz"), frozenset(test), _PARTS[1])


class _PanopticReader:
    """Frames of both files of cameras."""

    def __init__(self, root: Path, seconds_per_step: float) -> None:
        self.root, self.seconds_per_step = root, seconds_per_step
        self.pictures, self.masks = PictureFolder(root / "ims"), PictureFolder(root / "seg")
        self.missing: list[str] = []

    def read(self, path: Path) -> dict[str, dict[int, PosedImage]]:
        """{camera: {step: frame}} of the frames whose pictures exist."""
        values = read_object(path)
        size_px = (pixels(values.get("w"), "w", str(path)), pixels(values.get("h"), "h", str(path)))
        rows = [values.get(key) for key in ("k", "w2c", "fn", "cam_id")]
        shapes = [
            [len(row) if isinstance(row, list) else -1 for row in of] for of in rows if isinstance(of, list)
        ]
        if len(shapes) < 4 or not shapes[0] or any(shape != shapes[0] or min(shape) < 0 for shape in shapes):
            raise CaptureError(
                f"{path}: k, w2c, fn and cam_id must be lists of one list for each frame, as long"
            )
        found: dict[str, dict[int, PosedImage]] = defaultdict(dict)
        for step, row in enumerate(zip(*rows, strict=True)):
            for k, w2c, name, camera_id in zip(*row, strict=True):
                where = f"{path}: frame {step} of camera {camera_id!r:.40}"
                if (
                    not isinstance(name, str)
                    or isinstance(camera_id, bool)
                    or not isinstance(camera_id, (int, str))
                ):
                    raise CaptureError(f"{where}: fn must be a text and cam_id a number or text")
                camera = str(camera_id)
                if step in found[camera]:
                    raise CaptureError(f"{where} is listed twice; remove one of the two")
                picture = self.pictures.picture(name, where)
                if picture is None:
                    self.missing.append(name)
                    continue
                intrinsics = _intrinsics(k, size_px, camera, where)
                pose = rigid(np.stack([numbers(r, 4, "w2c", where) for r in _four(w2c, where)]), where)
                time = step * self.seconds_per_step
                found[camera][step] = PosedImage(
                    f"{camera}/{picture.name}", picture, None, pose, intrinsics, time
                )
        return found

    def camera(self, name: str, found: dict[int, PosedImage]) -> SourceCamera:
        """A camera with a mask for each frame that has one."""
        frames = tuple(found[step] for step in sorted(found))
        inside = (frame.path.relative_to(self.root / "ims").as_posix() for frame in frames)
        masks = tuple(self.masks.picture(one, str(self.root / "seg")) for one in inside)
        return SourceCamera(name, frames, masks)

    def warn_of_missing(self) -> None:
        """Warn of listed pictures that do not exist."""
        if self.missing:
            _log.warning(
                "%s: %d of the pictures that its cameras name do not exist, the first is %r; those cameras "
                "go without at those steps",
                self.root / "ims", len(self.missing), self.missing[0],
            )  # fmt: skip


def _four(rows: object, where: str) -> list:
    if not isinstance(rows, list) or len(rows) != 4:
        raise CaptureError(f"{where}: w2c must be 4 rows of 4 numbers")
    return rows


def _intrinsics(k: object, size_px: tuple[int, int], camera: str, where: str) -> Intrinsics:
    if not isinstance(k, list) or len(k) != 3:
        raise CaptureError(f"{where}: k must be 3 rows of 3 numbers")
    (fx, skew, cx), (_, fy, cy), _ = (numbers(row, 3, "k", where) for row in k)
    if abs(skew) > 1e-3 * abs(fx):
        raise CaptureError(
            f"{where}: k has a skew of {skew:.6g}, which no camera here has; resample the pictures"
        )
    found = Intrinsics((float(fx), float(fy)), (float(cx), float(cy)), size_px, PINHOLE, camera)
    return check_intrinsics(found, where)


def read_cloud(path: Path) -> PointCloud | None:
    """The cloud of ``init_pt_cld.npz``, whose array ``data`` has rows (x, y, z, r, g, b, foreground).

    Args:
        path: of the file; the result is None if it does not exist.

    Raises:
        CaptureError: it is broken, or has another shape.
    """
    if not path.is_file():
        return None
    data = read_numbers(
        path, lambda shape: len(shape) == 2 and shape[1] in (6, 7) and shape[0] <= _MAX_POINTS, "data"
    )
    rgb = np.nan_to_num(data[:, 3:6])
    rgb = np.clip(np.rint(rgb * (255.0 if rgb.max(initial=0.0) <= 1.0 else 1.0)), 0, 255).astype(np.uint8)
    return finite_points(np.nan_to_num(data[:, :3], nan=np.inf), rgb, path)
