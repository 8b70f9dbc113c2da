"""The photographs taken from folders: all but broken ones and copies."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sfumato import machine
from sfumato.errors import CaptureError
from sfumato.footage.duplicates import duplicates
from sfumato.footage.kinds import Report, Source, distinct, plain_name
from sfumato.footage.options import LONGEST_PHOTO_SIDE_PX, FrameOptions
from sfumato.footage.photos import MissingReader, Photo, examine, place, shrunk_size
from sfumato.footage.records import Dropped, Picture

_log = logging.getLogger(__name__)

_MOST_WORKERS = 4

Item = TypeVar("Item")
Result = TypeVar("Result")


def take_photos(
    sources: Sequence[Source], folder: Path, options: FrameOptions, report: Report
) -> tuple[list[Picture], list[Dropped]]:
    """Bring photographs into the folder of pictures.

    Args:
        sources: photographs only.
        folder: of pictures; each goes into ``folder / source.group``.
        options: how large, and whether copies stay.
        report: called with what is done, how much of it, and of how much.

    Raises:
        CaptureError: all of them are broken, or one needs a package that is not installed.
    """
    dropped: list[Dropped] = []
    looked_at = _each(
        sources, lambda source: examine(source.path, source.kind), "looking at photographs", report
    )
    good = _good(sources, looked_at, dropped)
    if not good:
        raise CaptureError(f"all {len(sources)} photographs are broken; the first: {dropped[0].reason}")
    names = dict(zip(sources, _names(sources), strict=True))
    copies = {} if options.keep_duplicates else duplicates([photo for _, photo in good])
    for index, twin in copies.items():
        reason = f"near duplicate of {names[good[twin][0]]}"
        dropped.append(Dropped(str(good[index][0].path), names[good[index][0]], reason))
    good = [pair for index, pair in enumerate(good) if index not in copies]
    longest = options.max_side_px or LONGEST_PHOTO_SIDE_PX
    placed = _each(
        good, lambda pair: place(pair[1], folder / names[pair[0]], longest), "keeping photographs", report
    )
    written = _good([source for source, _ in good], placed, dropped)
    photos = dict(good)
    pictures = [
        _picture(source, photos[source], path.relative_to(folder).as_posix(), longest)
        for source, path in written
    ]
    return pictures, dropped


def _each(
    items: Sequence[Item], work: Callable[[Item], Result], what: str, report: Report
) -> list[Result | CaptureError]:
    """The result of each item, or its error; in several threads, since decoders need no interpreter."""

    def attempt(item: Item) -> Result | CaptureError:
        try:
            return work(item)
        except MissingReader:
            raise
        except CaptureError as error:
            return error

    found: list[Result | CaptureError] = []
    with ThreadPoolExecutor(min(machine.cores(), _MOST_WORKERS)) as pool:
        try:
            for result in pool.map(attempt, items):
                found.append(result)
                report(what, len(found), len(items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return found


def _good(
    sources: Sequence[Source], results: Sequence[Result | CaptureError], dropped: list[Dropped]
) -> list[tuple[Source, Result]]:
    """Sources with their results; those with errors go to ``dropped``, with a warning."""
    good = []
    for source, result in zip(sources, results, strict=True):
        if isinstance(result, CaptureError):
            name = f"{source.group}/{source.path.name}"
            dropped.append(Dropped(str(source.path), name, f"broken: {result}"))
            _log.warning("%s; going on without it", result)
        else:
            good.append((source, result))
    return good


def _names(sources: Sequence[Source]) -> list[str]:
    """Distinct names without suffix, of the form "group/name"."""
    taken: set[str] = set()
    return [f"{s.group}/{distinct(_stem(s), taken, within=s.group)}" for s in sources]


def _stem(source: Source) -> str:
    return plain_name(source.path.stem) or "photo"


def _picture(source: Source, photo: Photo, name: str, longest: int) -> Picture:
    size = shrunk_size(photo.size_px, longest)
    scale = max(size) / max(photo.size_px)
    recorded = f"{photo.camera} " if photo.camera else f"folder {source.group} "
    return Picture(
        name=name,
        source=str(source.path),
        camera=f"{recorded}{size[0]}x{size[1]}",
        size_px=size,
        focal_px=None if photo.focal_px is None else photo.focal_px * scale,
        sequence=None,
        time_s=None,
        sharpness=photo.sharpness,
        brightness=photo.brightness,
        gravity=photo.gravity,
        place=photo.place,
    )
