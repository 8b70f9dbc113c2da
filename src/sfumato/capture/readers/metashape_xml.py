"""Safe parsing of Metashape's XML, and checked access to its numbers."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from sfumato.capture.readers.source import read_bytes
from sfumato.errors import CaptureError

_MAX_BYTES = 1 << 28
_MAX_ELEMENTS = 4_000_000


def parse_xml(path: Path) -> Element:
    """The root element of an XML file.

    Entities are refused: a few lines of them can expand to gigabytes.

    Args:
        path: the file, UTF-8.

    Raises:
        CaptureError: it is broken, too large, or declares a document type or entities.
    """
    if path.is_file() and path.stat().st_size > _MAX_BYTES:
        raise CaptureError(f"{path} is larger than 256 MiB; too large for a camera file")
    data = read_bytes(path)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        raise CaptureError(f"{path} is not UTF-8 text; export the cameras again") from None
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise CaptureError(
            f"{path} declares a document type or entities, which cameras do not need; remove them"
        )
    if data.count(b"<") > _MAX_ELEMENTS:
        raise CaptureError(f"{path} has more than {_MAX_ELEMENTS} elements; too many for a camera file")
    try:
        # A fixed encoding: the file cannot declare one that hides entities.
        return ElementTree.fromstring(data, ElementTree.XMLParser(encoding="utf-8"))
    except (ElementTree.ParseError, ValueError) as error:
        raise CaptureError(f"{path} is not whole XML ({error}); export the cameras again") from None


def numbers_of(element: Element | None, count: int, where: str) -> np.ndarray:
    """The text of an element as ``count`` finite float64.

    Args:
        element: with numbers separated by spaces, or None if it is missing.
        count: required number of numbers.
        where: file, place and name of the element, for messages.

    Raises:
        CaptureError: it is missing, or does not hold these numbers.
    """
    words = ((element.text if element is not None else None) or "").split()
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        raise CaptureError(f"{where} must hold {count} finite numbers; export the cameras again")
    return np.array(values, dtype=np.float64)


def number_of(parent: Element, tag: str, default: float | None, where: str) -> float:
    """The number in a child element.

    Args:
        parent: of the child.
        tag: of the child.
        default: value if there is no such child; None if it is required.
        where: file and place, for messages.

    Raises:
        CaptureError: it is missing, or not a number.
    """
    element = parent.find(tag)
    if element is None and default is not None:
        return default
    return float(numbers_of(element, 1, f"{where}: {tag}")[0])
