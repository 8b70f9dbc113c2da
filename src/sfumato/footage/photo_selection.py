"""Selection of photographs from folders: all but broken ones and duplicates."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from sfumato import machine
from sfumato.errors import CaptureError
from sfumato.footage.duplicates import duplicates
from sfumato.footage.frame_options import LONGEST_PHOTO_SIDE_PX, FrameOptions
from sfumato.footage.frames_file import LEFT_OUT, Dropped, Picture
from sfumato.footage.kinds import Progress, Source, distinct, plain_name
from sfumato.footage.photos import MissingReader, Photo, check_reader, examine, place, shrunk_size
from sfumato.maths.spread import evenly

_log = logging.getLogger(__name__)

_MOST_WORKERS = 4
# Photographs examined, as a multiple of the requested number.
_EXAMINED = 2
# Weight of a central position among photographs of similar sharpness, for even spacing.
_CENTRED = 0.3

Item = TypeVar("Item")
Result = TypeVar("Result")


def select_photos(
    sources: Sequence[Source], folder: Path, options: FrameOptions, report: Progress
) -> tuple[list[Picture], list[Dropped]]:
    """Select photographs and place them in the picture folder.

    Args:
        sources: photographs only.
        folder: the picture folder; each goes into ``folder / source.group``.
        options: number, size, and whether duplicates are kept.
        report: called with the title of the step, the amount done, and the total.

    Raises:
        CaptureError: all of them are broken, or one needs a package that is not installed.
    """
    dropped: list[Dropped] = []
    names = dict(zip(sources, _names(sources), strict=True))
    most = options.max_photos or len(sources)
    # More than requested are examined, as broken ones and duplicates are dropped.
    sources = _taken(sources, evenly(len(sources), _EXAMINED * most), names, most, dropped)
    for kind, source in {source.kind: source for source in reversed(sources)}.items():
        check_reader(source.path, kind)
    examined = _each(sources, lambda source: examine(source.path, source.kind), "reading photographs", report)
    good = _good(sources, examined, dropped)
    if not good:
        raise CaptureError(f"all {len(sources)} photographs are broken; the first: {dropped[0].reason}")
    copies = {} if options.keep_duplicates else duplicates([photo for _, photo in good])
    for index, twin in copies.items():
        reason = f"near duplicate of {names[good[twin][0]]}"
        dropped.append(Dropped(str(good[index][0].path), names[good[index][0]], reason))
    good = [pair for index, pair in enumerate(good) if index not in copies]
    sharpness = [photo.sharpness for _, photo in good]
    kept = sharpest_of_each_interval(sharpness, most)
    chosen = _taken([source for source, _ in good], kept, names, most, dropped)
    good = [(source, photo) for source, photo in good if source in set(chosen)]
    longest = options.max_side_px or LONGEST_PHOTO_SIDE_PX
    placed = _each(
        good, lambda pair: place(pair[1], folder / names[pair[0]], longest), "saving photographs", report
    )
    written = _good([source for source, _ in good], placed, dropped)
    photos = dict(good)
    pictures = [
        _picture(source, photos[source], path.relative_to(folder).as_posix(), longest)
        for source, path in written
    ]
    return pictures, dropped


def _each(
    items: Sequence[Item], work: Callable[[Item], Result], what: str, report: Progress
) -> list[Result | CaptureError]:
    """The result for each item, or its error; in several threads, since decoders release the GIL."""

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


def sharpest_of_each_interval(sharpness: Sequence[float], most: int) -> list[int]:
    """Indices of at most ``most`` photographs: the sharpest of each of ``most`` equal intervals.

    Args:
        sharpness: of the photographs, in the order in which they were taken.
        most: number of photographs to select.
    """
    count = len(sharpness)
    if count <= most:
        return list(range(count))

    def score(place: int, interval: int) -> float:
        off_centre = 2 * abs((place + 0.5) * most / count - interval - 0.5)
        return sharpness[place] * (1 - _CENTRED * off_centre**2)

    edges = [-(-i * count // most) for i in range(most + 1)]
    return [max(range(edges[i], edges[i + 1]), key=partial(score, interval=i)) for i in range(most)]


def _taken(
    sources: Sequence[Source],
    indices: Sequence[int],
    names: Mapping[Source, str],
    most: int,
    dropped: list[Dropped],
) -> list[Source]:
    """The photographs at some indices; the others go to ``dropped``."""
    kept = set(indices)
    for at, source in enumerate(sources):
        if at not in kept:
            reason = f"{LEFT_OUT}{most} photographs were wanted"
            dropped.append(Dropped(str(source.path), names[source], reason))
    return [sources[at] for at in indices]


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
