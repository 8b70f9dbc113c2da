"""Cameras exported from Agisoft Metashape as XML (File > Export > Export Cameras)."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from sfumato.capture.points import PointCloud, read_ply_points
from sfumato.capture.readers.image_files import PictureIndex, sole_ply
from sfumato.capture.readers.metashape_sensors import sensor_intrinsics
from sfumato.capture.readers.metashape_xml import number_of, numbers_of, parse_xml
from sfumato.capture.readers.pose_forms import from_opencv
from sfumato.capture.readers.source import Intrinsics, PosedDataset, PosedImage, refuse_missing, rigid
from sfumato.errors import CaptureError

_log = logging.getLogger("sfumato")

_HEAD_BYTES = 65_536
_DISABLED = ("0", "false", "False")


def find_metashape(root: Path) -> tuple[Path, ...]:
    """The XML files of a folder that appear to be Metashape's; only ``cameras.xml`` if it is among them."""
    found = tuple(path for path in sorted(root.glob("*.xml")) if path.is_file() and _looks_right(path))
    return tuple(path for path in found if path.name == "cameras.xml") or found


def _looks_right(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return b"<document" in head and b"<chunk" in head


def read_metashape(root: Path, paths: tuple[Path, ...]) -> PosedDataset:
    """Read Metashape's cameras and find their images below the folder.

    The world frame is that of the chunk's transform, in which Metashape exports points; for a georeferenced
    chunk, whose transform is geocentric, it is the chunk's own frame.

    Args:
        root: folder with the images, and perhaps a ``.ply`` of the points.
        paths: the camera file; more than one is an error.

    Returns:
        The dataset; points are None where there is no ``.ply``.

    Raises:
        CaptureError: the file is broken, an image is missing or has no calibration.
    """
    if len(paths) > 1:
        raise CaptureError(
            f"{root} has camera files {paths[0].name} and {paths[1].name}; give one of them, not the folder"
        )
    path = paths[0]
    document = parse_xml(path)
    chunks = [chunk for chunk in document.iter("chunk") if chunk.find("cameras") is not None]
    if document.tag != "document" or not chunks:
        raise CaptureError(f"{path} holds no cameras; write it with File > Export > Export Cameras (XML)")
    chunk, cameras = max(((chunk, _aligned(chunk)) for chunk in chunks), key=lambda pair: len(pair[1]))
    if len(chunks) > 1:
        _log.warning("%s has %d chunks; using %r", path, len(chunks), chunk.get("label"))
    cameras, component = _largest_component(cameras, path)
    if not cameras:
        raise CaptureError(f"{path}: no image is aligned; align the images before exporting the cameras")
    _warn_of_the_rest(chunk, cameras, path)
    index, labels = PictureIndex(root), [camera.get("label") or "" for camera in cameras]
    names = [index.find(label, str(path)) for label in labels]
    missing = [label for label, name in zip(labels, names, strict=True) if name is None]
    refuse_missing(missing, len(labels), path, root)
    placed = _Placed(root, path, _world_from_chunk(chunk, component, path), _Sensors(chunk, path))
    found = zip(cameras, names, strict=True)
    frames = tuple(placed.frame(camera, name) for camera, name in found if name is not None)
    return PosedDataset(frames, None if _is_georeferenced(chunk) else _points(root, path))


def _every_camera(chunk: Element) -> list[Element]:
    """The cameras of a chunk, including those in groups."""
    cameras = chunk.find("cameras")
    return [] if cameras is None else list(cameras.iter("camera"))


def _aligned(chunk: Element) -> list[Element]:
    """Enabled cameras with a pose, including those in groups."""
    return [
        one
        for one in _every_camera(chunk)
        if one.find("transform") is not None and one.get("enabled") not in _DISABLED
    ]


def _largest_component(cameras: list[Element], path: Path) -> tuple[list[Element], str | None]:
    """The cameras of the largest component: components have no common frame."""
    sizes = Counter(camera.get("component_id") for camera in cameras)
    if not sizes:
        return [], None
    component, size = sizes.most_common(1)[0]
    if len(sizes) > 1:
        _log.warning(
            "%s has %d components; using the largest, %d of %d images", path, len(sizes), size, len(cameras)
        )
    return [camera for camera in cameras if camera.get("component_id") == component], component


def _warn_of_the_rest(chunk: Element, used: list[Element], path: Path) -> None:
    every = _every_camera(chunk)
    rest = [
        camera for camera in every if camera.find("transform") is None or camera.get("enabled") in _DISABLED
    ]
    if rest:
        _log.warning(
            "%s: skipped %d of %d images that are not aligned or not enabled, the first is %r",
            path, len(rest), len(every), rest[0].get("label"),
        )  # fmt: skip


def _world_from_chunk(chunk: Element, component: str | None, path: Path) -> np.ndarray | None:
    """[4, 4] similarity, or None if the chunk stays in its own frame."""
    components = {one.get("id"): one.find("transform") for one in chunk.iterfind("components/component")}
    transform = components.get(component)
    transform = chunk.find("transform") if transform is None else transform
    if transform is None or transform.find("rotation") is None:
        return None
    if _is_georeferenced(chunk):
        _log.warning(
            "%s is georeferenced; its cameras stay in the chunk's own frame and no .ply is read",
            path,
        )
        return None
    where = f"{path}: transform"
    matrix = np.eye(4)
    matrix[:3, :3] = numbers_of(transform.find("rotation"), 9, f"{where}: rotation").reshape(3, 3)
    matrix = rigid(matrix, where)
    if transform.find("translation") is not None:
        matrix[:3, 3] = numbers_of(transform.find("translation"), 3, f"{where}: translation")
    scale = number_of(transform, "scale", 1.0, where)
    if not 1e-9 < scale < 1e9:
        raise CaptureError(f"{where}: scale {scale} is not possible; export the cameras again")
    matrix[:3, :3] *= scale
    return matrix


def _is_georeferenced(chunk: Element) -> bool:
    reference = (chunk.findtext("reference") or "").strip()
    return bool(reference) and not reference.startswith("LOCAL_CS")


class _Sensors:
    """Intrinsics by sensor, created on demand."""

    def __init__(self, chunk: Element, path: Path) -> None:
        self._elements = {sensor.get("id"): sensor for sensor in chunk.iterfind("sensors/sensor")}
        self._path = path
        self._made: dict[str | None, Intrinsics] = {}

    def of(self, camera: Element, where: str) -> Intrinsics:
        sensor_id = camera.get("sensor_id")
        if sensor_id not in self._elements:
            raise CaptureError(f"{where} names sensor {sensor_id!r:.40}, which does not exist; export again")
        if sensor_id not in self._made:
            spot = f"{self._path}: sensor {sensor_id!r:.40}"
            self._made[sensor_id] = sensor_intrinsics(self._elements[sensor_id], spot)
        return self._made[sensor_id]


@dataclass(frozen=True)
class _Placed:
    """Data shared by all images of a chunk."""

    root: Path
    path: Path
    world_from_chunk: np.ndarray | None
    sensors: _Sensors

    def frame(self, camera: Element, name: str) -> PosedImage:
        where = f"{self.path}: image {name!r}"
        matrix = numbers_of(camera.find("transform"), 16, f"{where}: transform").reshape(4, 4)
        pose = rigid(matrix, where)
        if self.world_from_chunk is not None:
            # Without the scale of the similarity, as a camera pose is rigid.
            scale = np.cbrt(np.linalg.det(self.world_from_chunk[:3, :3]))
            pose = self.world_from_chunk @ pose
            pose[:3, :3] /= scale
        picture = self.root / name
        return PosedImage(name, picture, None, from_opencv(pose, where), self.sensors.of(camera, where))


def _points(root: Path, path: Path) -> PointCloud | None:
    cloud = sole_ply(root, path.stem)
    if cloud is None:
        _log.warning("%s has no .ply of points beside it; training will start from random points", path)
        return None
    return read_ply_points(cloud)
