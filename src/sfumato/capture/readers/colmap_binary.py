"""COLMAP's binary model files: cameras.bin, images.bin, points3D.bin (little endian)."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from sfumato.capture.readers.colmap_models import MODEL_NAMES, num_params
from sfumato.capture.readers.colmap_records import CameraRecord, ImageRecord, PointRecords
from sfumato.capture.readers.source import read_bytes
from sfumato.errors import CaptureError

_POINT = struct.Struct("<Q3d3BdQ")
_POINT2D_BYTES = 24
_TRACK_BYTES = 8


class _Cursor:
    """Reads structs from a file's bytes and refuses to run past their end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = read_bytes(path)
        self.at = 0

    def take(self, layout: str) -> tuple:
        start = self.at
        self.skip(struct.calcsize(layout))
        return struct.unpack_from(layout, self.data, start)

    def skip(self, num_bytes: int) -> None:
        if num_bytes > len(self.data) - self.at:
            raise CaptureError(
                f"{self.path} is truncated or corrupt: {num_bytes} bytes wanted at byte {self.at} of "
                f"{len(self.data)}; copy or export the model again"
            )
        self.at += num_bytes

    def count(self, record_bytes: int) -> int:
        (number,) = self.take("<Q")
        if number * record_bytes > len(self.data) - self.at:
            raise CaptureError(
                f"{self.path} claims {number} records but has only {len(self.data)} bytes; "
                "copy or export the model again"
            )
        return number

    def text(self) -> str:
        end = self.data.find(b"\0", self.at, self.at + 4096)
        if end < 0:
            raise CaptureError(
                f"{self.path} is corrupt: a name at byte {self.at} does not end; export it again"
            )
        raw, self.at = self.data[self.at : end], end + 1
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise CaptureError(f"{self.path}: the name {raw!r} is not UTF-8; rename the image") from None

    def finish(self) -> None:
        if self.at != len(self.data):
            raise CaptureError(
                f"{self.path} is corrupt: {len(self.data) - self.at} bytes follow its last record; "
                "export it again"
            )


def read_cameras(path: Path) -> list[CameraRecord]:
    """The records of ``cameras.bin``."""
    cursor = _Cursor(path)
    records = []
    for _ in range(cursor.count(24)):
        camera_id, model_id, width, height = cursor.take("<IiQQ")
        if not 0 <= model_id < len(MODEL_NAMES):
            raise CaptureError(
                f"{path}: camera {camera_id} has the unknown model id {model_id}; "
                f"known are 0 to {len(MODEL_NAMES) - 1}"
            )
        model = MODEL_NAMES[model_id]
        params = cursor.take(f"<{num_params(model)}d")
        where = f"{path}: camera {camera_id}"
        records.append(CameraRecord(camera_id, model, (width, height), params, where))
    cursor.finish()
    return records


def read_images(path: Path) -> list[ImageRecord]:
    """The records of ``images.bin``, without their 2D points."""
    cursor = _Cursor(path)
    records = []
    for _ in range(cursor.count(73)):
        _, *pose, camera_id = cursor.take("<I7dI")
        name = cursor.text()
        cursor.skip(cursor.count(_POINT2D_BYTES) * _POINT2D_BYTES)
        records.append(ImageRecord(name, tuple(pose[:4]), tuple(pose[4:]), camera_id))
    cursor.finish()
    return records


def read_points(path: Path) -> PointRecords:
    """Positions and colours of ``points3D.bin``."""
    cursor = _Cursor(path)
    number = cursor.count(_POINT.size)
    xyz, rgb = np.empty((number, 3)), np.empty((number, 3), dtype=np.uint8)
    for i in range(number):
        start = cursor.at
        cursor.skip(_POINT.size)
        _, x, y, z, r, g, b, _, track = _POINT.unpack_from(cursor.data, start)
        cursor.skip(track * _TRACK_BYTES)
        xyz[i], rgb[i] = (x, y, z), (r, g, b)
    cursor.finish()
    return PointRecords(xyz, rgb)
