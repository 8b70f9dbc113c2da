"""Sensors in Metashape's cameras: their calibration as intrinsics."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from sfumato.capture.readers.brown import brown_lens, farthest_radius, require_negligible
from sfumato.capture.readers.metashape_xml import number_of
from sfumato.capture.readers.source import MAX_SIDE_PX, Intrinsics, check_intrinsics
from sfumato.errors import CaptureError
from sfumato.scene.lenses import Lens

_FISHEYE = ("fisheye", "equidistant_fisheye")


def sensor_intrinsics(sensor: Element, where: str) -> Intrinsics:
    """The intrinsics of a sensor.

    Metashape projects to u = w/2 + cx + x f + x b1 + y b2, v = h/2 + cy + y f. Its p1 multiplies
    r^2 + 2x^2 in x and its p2 multiplies 2xy: in OpenCV the two are swapped.

    Args:
        sensor: the element.
        where: file and sensor, for messages.

    Raises:
        CaptureError: it is not calibrated, of an unsupported type, or has unsupported distortion terms.

    Source: Agisoft Metashape Professional user manual, appendix "Camera models".
    """
    calibration = _calibration(sensor, where)
    kind = calibration.get("type") or sensor.get("type") or "frame"
    if kind != "frame" and kind not in _FISHEYE:
        raise CaptureError(
            f"{where}: camera type {kind!r:.40} is neither frame nor fisheye; export undistorted images"
        )
    size_px = _size(calibration, sensor, where)
    terms = {
        f"{letter}{i}": 0.0 for letter, count in (("k", 4), ("p", 4), ("b", 2)) for i in range(1, count + 1)
    }
    terms = {name: number_of(calibration, name, value, where) for name, value in terms.items()}
    if calibration.find("f") is None:
        # The format of PhotoScan before 1.2.
        fx, fy = (number_of(calibration, name, None, where) for name in ("fx", "fy"))
        terms["b2"] = number_of(calibration, "skew", 0.0, where)
        cx, cy = (number_of(calibration, name, None, where) for name in ("cx", "cy"))
    else:
        fy = number_of(calibration, "f", None, where)
        fx = fy + terms["b1"]
        offset = [number_of(calibration, name, 0.0, where) for name in ("cx", "cy")]
        cx, cy = (0.5 * side + value for side, value in zip(size_px, offset, strict=True))
    lens = Lens()
    made = check_intrinsics(Intrinsics((fx, fy), (cx, cy), size_px, lens, sensor.get("id")), where)
    lens = _lens(terms, kind in _FISHEYE, made, where)
    return check_intrinsics(Intrinsics((fx, fy), (cx, cy), size_px, lens, sensor.get("id")), where)


def _calibration(sensor: Element, where: str) -> Element:
    found = sensor.findall("calibration")
    adjusted = [one for one in found if one.get("class") == "adjusted"]
    if not found:
        raise CaptureError(f"{where} has no calibration; align the images before exporting the cameras")
    return (adjusted or found)[-1]


def _size(calibration: Element, sensor: Element, where: str) -> tuple[int, int]:
    resolution = calibration.find("resolution")
    resolution = sensor.find("resolution") if resolution is None else resolution
    sides = [] if resolution is None else [resolution.get("width") or "", resolution.get("height") or ""]
    if not sides or not all(side.isascii() and side.isdigit() and len(side) < 10 for side in sides):
        raise CaptureError(f"{where} has no resolution with width and height; export the cameras again")
    width, height = map(int, sides)
    if not (1 <= width <= MAX_SIDE_PX and 1 <= height <= MAX_SIDE_PX):
        raise CaptureError(f"{where}: the picture size {width}x{height} is not possible")
    return width, height


def _lens(terms: dict[str, float], is_fisheye: bool, ideal: Intrinsics, where: str) -> Lens:
    reach = farthest_radius(ideal.focal_px, ideal.centre_px, ideal.size_px)
    focal = max(ideal.focal_px)
    require_negligible("b2", terms["b2"], terms["b2"] * reach, where)
    tangential_px = 3.0 * reach**2 * focal * max(abs(terms["p1"]), abs(terms["p2"]))
    require_negligible("p3", terms["p3"], terms["p3"] * reach**2 * tangential_px, where)
    require_negligible("p4", terms["p4"], terms["p4"] * reach**4 * tangential_px, where)
    k1, k2, k3, k4 = (terms[f"k{i}"] for i in range(1, 5))
    p1, p2 = terms["p2"], terms["p1"]
    if not is_fisheye:
        require_negligible("k4", k4, k4 * reach**9 * focal, where)
        return brown_lens((k1, k2, k3), (p1, p2))
    if p1 or p2:
        return Lens("thin_prism_fisheye", (k1, k2, p1, p2, k3, k4, 0.0, 0.0))
    return Lens("opencv_fisheye", (k1, k2, k3, k4))
