"""The selected pictures and their records in ``frames.json``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sfumato.errors import CaptureError
from sfumato.json_files import read_json
from sfumato.outputs import write_json

FILE_NAME = "frames.json"
IMAGES = "images"
LEFT_OUT = "left out: "
"""Prefix of the reasons of usable pictures that were not needed, or did not fit the time budget."""

_VERSION = 1
_MAX_FILE_BYTES = 256 << 20
_MAX_SIDE_PX = 1 << 16


@dataclass(frozen=True)
class Picture:
    """One picture that is kept.

    Attributes:
        name: relative to the picture folder, with forward slashes; sorting by ``natural_key`` gives the order
            of capture.
        source: the video or photograph it comes from.
        camera: pictures with the same value share their intrinsics.
        size_px: (width, height).
        focal_px: focal length at this size from the metadata; None if not recorded.
        sequence: the video it is a frame of; None for photographs.
        time_s: seconds since the video's first frame; None for photographs.
        sharpness: higher is sharper; compares pictures of one camera.
        brightness: mean luma in [0, 1].
        gravity: unit vector downwards in the camera's axes; None if not recorded.
        place: latitude and longitude in degrees, height in metres or None; None if not recorded.
    """

    name: str
    source: str
    camera: str
    size_px: tuple[int, int]
    focal_px: float | None
    sequence: str | None
    time_s: float | None
    sharpness: float
    brightness: float
    gravity: tuple[float, float, float] | None
    place: tuple[float, float, float | None] | None = None


@dataclass(frozen=True)
class Dropped:
    """One picture that is not kept.

    Attributes:
        source: the video or photograph.
        name: the name it would have had.
        reason: why it was dropped.
    """

    source: str
    name: str
    reason: str


@dataclass(frozen=True)
class Footage:
    """All pictures of a reconstruction.

    Attributes:
        folder: the picture folder; names are relative to it.
        pictures: sorted by name.
        dropped: unusable pictures, sorted by name; frames that were merely not needed are not listed.
    """

    folder: Path
    pictures: tuple[Picture, ...]
    dropped: tuple[Dropped, ...]

    @property
    def spared(self) -> int:
        """Number of usable pictures that time or number excluded."""
        return sum(dropped.reason.startswith(LEFT_OUT) for dropped in self.dropped)


def kinds_of(dropped: Sequence[Dropped]) -> str:
    """Number of dropped pictures by reason, in words, the most frequent first."""
    kinds = Counter(re.split(" of |[:,]", one.reason)[0] for one in dropped)
    return ", ".join(f"{number} {reason}" for reason, number in kinds.most_common())


def left_out(dropped: Sequence[Dropped]) -> str:
    """ ", 3 left out: 2 blurred, 1 too dark", or nothing."""
    return f", {len(dropped)} left out: {kinds_of(dropped)}" if dropped else ""


def write_footage(footage: Footage, folder: Path) -> None:
    """Write ``frames.json`` into ``folder``."""
    value = {
        "version": _VERSION,
        "pictures": [asdict(picture) for picture in footage.pictures],
        "dropped": [asdict(dropped) for dropped in footage.dropped],
    }
    write_json(folder / FILE_NAME, value)


def read_footage(folder: Path) -> Footage:
    """Read the result of ``gather``.

    Args:
        folder: the one given to ``gather``.

    Raises:
        CaptureError: ``frames.json`` is missing or not what ``gather`` writes, or a picture is missing.
    """
    path = folder / FILE_NAME
    try:
        value = read_json(path, _MAX_FILE_BYTES)
        if not isinstance(value, dict) or value.get("version") != _VERSION:
            raise ValueError(f"it is not of version {_VERSION}")
        pictures = tuple(_picture(item) for item in _list(value, "pictures"))
        dropped = tuple(_dropped(item) for item in _list(value, "dropped"))
        names = [picture.name for picture in pictures]
        if names != sorted(set(names)):
            raise ValueError("its pictures are not sorted by distinct names")
        for name in names:
            if not (folder / IMAGES / name).is_file():
                raise ValueError(f"{IMAGES}/{name} is missing")
    except FileNotFoundError:
        raise CaptureError(f"{path} does not exist; gather the pictures first") from None
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CaptureError(f"{path} cannot be used ({reason}); gather the pictures again") from None
    return Footage(folder / IMAGES, pictures, dropped)


def _picture(item: Any) -> Picture:
    width, height = (_number(v, "size_px", 1, _MAX_SIDE_PX) for v in _numbers(item, "size_px", 2))
    gravity = item.get("gravity")
    if gravity is not None:
        gravity = tuple(_number(v, "gravity", -2.0, 2.0) for v in _numbers(item, "gravity", 3))
    return Picture(
        name=_name(_text(item, "name")),
        source=_text(item, "source"),
        camera=_text(item, "camera"),
        size_px=(int(width), int(height)),
        focal_px=_optional(item, "focal_px", 1e-3, 1e9),
        sequence=None if item.get("sequence") is None else _text(item, "sequence"),
        time_s=_optional(item, "time_s", -1e12, 1e12),
        sharpness=_number(item.get("sharpness"), "sharpness", 0.0, 1e12),
        brightness=_number(item.get("brightness"), "brightness", 0.0, 1.0),
        gravity=gravity,
        place=None if item.get("place") is None else _place(item),
    )


def _place(item: Any) -> tuple[float, float, float | None]:
    latitude, longitude, height = _numbers(item, "place", 3)
    return (
        _number(latitude, "place", -90.0, 90.0),
        _number(longitude, "place", -180.0, 180.0),
        None if height is None else _number(height, "place", -1e5, 1e5),
    )


def _dropped(item: Any) -> Dropped:
    if not isinstance(item, dict):
        raise ValueError("an entry is not a table")
    return Dropped(_text(item, "source"), _text(item, "name"), _text(item, "reason"))


def _list(value: dict[str, Any], key: str) -> list[Any]:
    if not isinstance(value.get(key), list):
        raise ValueError(f"{key!r} is not a list")
    return value[key]


def _text(item: dict[str, Any], key: str) -> str:
    if not isinstance(item.get(key), str):
        raise ValueError(f"{key!r} is not a text")
    return item[key]


def _name(name: str) -> str:
    path = PurePosixPath(name)
    is_plain = name == path.as_posix() and not path.is_absolute() and ".." not in path.parts
    if not name or not is_plain or "\\" in name or "\0" in name or ":" in path.parts[0]:
        raise ValueError(f"the name {name[:80]!r} leads out of the folder")
    return name


def _numbers(item: Any, key: str, count: int) -> list[Any]:
    if not isinstance(item, dict):
        raise ValueError("an entry is not a table")
    value = item.get(key)
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"{key!r} is not {count} numbers")
    return value


def _number(value: Any, key: str, least: float, most: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # This form also refuses NaN, and integers too large for a float.
    if not is_number or not least <= value <= most:
        raise ValueError(f"{key!r} is {str(value)[:40]}, not a number from {least:g} to {most:g}")
    return value


def _optional(item: dict[str, Any], key: str, least: float, most: float) -> float | None:
    return None if item.get(key) is None else _number(item[key], key, least, most)
